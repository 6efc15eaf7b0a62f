"""Messages that are claims: one JSON object each, sorted into rows of the contract and dead letters."""

import hashlib
from collections.abc import Iterable

from fraud_ml.contract import Contract
from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.files import SourceTable, parse_json_object
from fraud_ml.data.sources.port import DeadLetter
from fraud_ml.errors import BadInput


def sort_messages(
    name: str, messages: Iterable[tuple[str, bytes]], contract: Contract
) -> tuple[SourceTable | None, tuple[DeadLetter, ...]]:
    """Return the claims of (place, content) messages as a table named `name`, or None, and those that hold no claim.

    The table's digest is that of all contents, each behind its length, in the order given.
    """
    rows, letters, digest = [], [], hashlib.sha256()
    for place, content in messages:
        digest.update(len(content).to_bytes(8, "big") + content)
        try:
            rows.append(_row(place, content, contract))
        except BadInput as poison:
            letters.append(DeadLetter(place, Code.UNREADABLE, str(poison), content))
    return _table(name, rows, digest.hexdigest(), contract) if rows else None, tuple(letters)


def _row(place: str, content: bytes, contract: Contract) -> dict[str, str | None]:
    """Return the message's cells. Raises BadInput, without any of its content, when it holds no claim."""
    where = f"message {place}"
    if not content:
        raise BadInput(f"{where}: empty", expected="a claim as a JSON object")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{where}: not readable as UTF-8", expected="a claim as a JSON object") from None
    row = parse_json_object(where, text)
    if unknown := len(set(row) - set(contract.names)):
        raise BadInput(
            f"{where}: {unknown} name(s) that are no columns of `{contract.dataset}`",
            next_step="correct the producer, or declare them in the contract (`role: context`)",
        )
    return row


def _table(name: str, rows: list[dict[str, str | None]], digest: str, contract: Contract) -> SourceTable:
    import pyarrow as pa

    columns = {name: pa.array([row.get(name) or None for row in rows], pa.string()) for name in contract.names}
    return SourceTable(name, pa.table(columns), digest, lines=False, name=name)
