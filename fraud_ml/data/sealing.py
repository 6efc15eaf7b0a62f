"""What of a row is personal, sealed for the log and opened in memory.

At rest the subject column and those that mention people hold pseudonyms; the other personal columns are null, and what
they held stands in `sealed`: base64 of AES-SIV (RFC 5297) under the subject's own key. Equal rows are equal bytes.
Whoever's key was destroyed is unknown: their rows' personal values are null, and where others' rows name them stands
`erased`.
"""

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraud_ml.contract import SEALED, Contract, Erasure, Kind, Mentions
from fraud_ml.data.subject_keys import NAME_BOUND_TO, Enrolled, SnapshotKeys, SubjectKey, cipher
from fraud_ml.data.tables import claim_schema, log_schema
from fraud_ml.errors import Tampered

if TYPE_CHECKING:
    import pyarrow as pa

ERASED = "erased"  # in a list of people: one whose key was destroyed


def people_in(rows: "pa.Table", erasure: Erasure) -> set[str]:
    """Return everybody whom the rows name: claim rows give identifiers, log rows pseudonyms."""
    import pyarrow.compute as pc

    found = {person for person in pc.unique(rows[erasure.subject]).to_pylist() if person is not None}
    for column, mentions in erasure.mentions.items():
        for told in pc.unique(rows[column]).to_pylist():
            found.update(_named(told, mentions))
    return found


def seal_rows(rows: "pa.Table", contract: Contract, people: Enrolled) -> "pa.Table":
    """Return claim rows as they may lie at rest; every subject has a key in `people`."""
    import pyarrow as pa

    erasure = contract.erasure
    if erasure is None:
        return rows
    subjects = rows[erasure.subject].to_pylist()
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns[SEALED] = pa.array(_sealed(rows, contract, subjects, people.keys), pa.string())
    for name in _sealed_columns(contract):
        columns[name] = pa.nulls(rows.num_rows, columns[name].type)
    columns[erasure.subject] = pa.array([people.pseudonyms[subject] for subject in subjects], pa.string())
    for name, mentions in erasure.mentions.items():
        columns[name] = _replaced(rows[name], mentions, people.pseudonyms.__getitem__)
    return pa.table(columns, schema=log_schema(contract))


def open_rows(rows: "pa.Table", contract: Contract, keys: SnapshotKeys) -> "pa.Table":
    """Return log rows as the claim rows they were. Raises Tampered where a value is not what was sealed there.

    Without the subject's key, every personal value is null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    erasure = contract.erasure
    if erasure is None:
        return rows
    names = _names_of(keys.people)
    subjects = rows[erasure.subject].to_pylist()
    opened = _opened(rows, contract, subjects, keys)
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    del columns[SEALED]
    for place, name in enumerate(_sealed_columns(contract)):
        values = [None if told is None else told[place] for told in opened]
        columns[name] = _typed(values, contract.column(name).kind, claim_schema(contract).field(name).type)
    columns[erasure.subject] = pa.array(
        [None if told is None else names.get(subject) for subject, told in zip(subjects, opened, strict=True)],
        pa.string(),
    )

    def name_of(pseudonym: str) -> str:
        if pseudonym not in keys.people:
            raise _not_sealed_so(contract, "no key for a person whom a row names")
        return names.get(pseudonym, ERASED)

    known = pa.array([told is not None for told in opened], pa.bool_())
    for name, mentions in erasure.mentions.items():
        columns[name] = pc.if_else(known, _replaced(rows[name], mentions, name_of), None)
    return pa.table(columns, schema=claim_schema(contract))


def open_columns(rows: "pa.Table", contract: Contract, keys: SnapshotKeys, wanted: Collection[str]) -> "pa.Table":
    """Return the wanted columns of log rows, opened; null where the subject was erased.

    `rows` hold at least `columns_to_open`. Raises Tampered where a value is not what was sealed there.
    """
    import pyarrow as pa

    erasure = contract.erasure
    if erasure is not None and not set(wanted).isdisjoint({erasure.subject, *erasure.mentions}):
        return open_rows(rows, contract, keys).select(list(wanted))
    sealed = [(place, name) for place, name in enumerate(_sealed_columns(contract)) if name in wanted]
    if erasure is None or not sealed:
        return rows.select(list(wanted))
    opened = _opened(rows, contract, rows[erasure.subject].to_pylist(), keys)
    columns = {name: rows[name] for name in wanted}
    for place, name in sealed:
        values = [None if told is None else told[place] for told in opened]
        columns[name] = _typed(values, contract.column(name).kind, claim_schema(contract).field(name).type)
    return pa.table(columns)


def columns_to_open(contract: Contract, wanted: Collection[str]) -> list[str]:
    """Return the columns of log rows without which `open_columns` cannot give the wanted ones."""
    erasure = contract.erasure
    if erasure is None or set(wanted).isdisjoint(column.name for column in contract.personal):
        return list(wanted)
    if not set(wanted).isdisjoint({erasure.subject, *erasure.mentions}):
        return list(log_schema(contract).names)
    return list(dict.fromkeys([*wanted, erasure.subject, SEALED]))


# --- inside ---------------------------------------------------------------------------------------------------------


def _sealed_columns(contract: Contract) -> list[str]:
    """Return the columns whose values stand in `sealed`, in the order in which they stand there."""
    erasure = contract.erasure
    kept = {erasure.subject, *erasure.mentions} if erasure else set()
    return sorted(column.name for column in contract.personal if column.name not in kept)


def _bound_to(contract: Contract) -> list[bytes]:
    """Return what sealed values are bound to: they cannot be opened as those of other columns."""
    return [json.dumps(_sealed_columns(contract)).encode()]


def _sealed(rows: "pa.Table", contract: Contract, subjects: Sequence[str], keys: Mapping[str, bytes]) -> Iterator[str]:
    """Yield each row's sealed values. A claim's rows mostly hold the same ones: those are sealed once."""
    import pyarrow as pa

    bound, ciphers, known = _bound_to(contract), {}, {}
    columns = [
        rows[name].cast(pa.int64()) if contract.column(name).kind is Kind.TIMESTAMP else rows[name]
        for name in _sealed_columns(contract)
    ]
    values = zip(*(column.to_pylist() for column in columns), strict=True) if columns else [()] * rows.num_rows
    for told in zip(subjects, values, strict=True):
        if told not in known:
            subject, cells = told
            if subject not in ciphers:
                ciphers[subject] = cipher(keys[subject])
            plain = json.dumps(cells, separators=(",", ":"), ensure_ascii=False).encode()
            known[told] = base64.b64encode(ciphers[subject].encrypt(plain, bound)).decode()
        yield known[told]


def _opened(
    rows: "pa.Table", contract: Contract, subjects: Sequence[str], keys: SnapshotKeys
) -> list[list[Any] | None]:
    """Return each row's values in the order of the sealed columns, or None where they were erased."""
    bound, known = _bound_to(contract), {}
    found: list[list[Any] | None] = []
    for told in zip(subjects, rows[SEALED].to_pylist(), strict=True):
        if told not in known:
            known[told] = _open(*told, keys.people, bound, contract)
        found.append(known[told])
    return found


def _open(
    subject: str | None, sealed: str | None, people: Mapping[str, SubjectKey], bound: list[bytes], contract: Contract
) -> list[Any] | None:
    from cryptography.exceptions import InvalidTag

    person = people.get(subject or "")
    if person is None or sealed is None:
        raise _not_sealed_so(contract, "no key for a row's person" if sealed else "a row without sealed values")
    if person.key is None:
        return None
    try:
        values: list[Any] = json.loads(cipher(person.key).decrypt(base64.b64decode(sealed), bound))
    except (InvalidTag, ValueError):
        if person.erased:  # before the person was readmitted, under the key that is gone
            return None
        raise _not_sealed_so(contract, "sealed values that the person's key does not open") from None
    return values


def _not_sealed_so(contract: Contract, arrived: str) -> Tampered:
    return Tampered(
        f"the rows of `{contract.dataset}` are not sealed as their contract and keys say",
        arrived=arrived,
        next_step="restore the contract (its personal columns) that the claims were landed with, or pin again",
        path=SEALED,
    )


def _names_of(people: Mapping[str, SubjectKey]) -> dict[str, str]:
    """Return the identifier of everybody who has a key, by pseudonym."""
    return {
        pseudonym: cipher(entry.key).decrypt(entry.name, NAME_BOUND_TO).decode()
        for pseudonym, entry in people.items()
        if entry.key is not None and entry.name is not None
    }


def _named(told: str | None, mentions: Mentions) -> list[str]:
    if told is None or told in mentions.nobody:
        return []
    return [person for person in told.split(mentions.joined_by) if person]


def _replaced(column: "pa.ChunkedArray", mentions: Mentions, renamed: Callable[[str], str]) -> "pa.Array":
    """Return the lists of people with each name replaced; words for nobody stay."""
    import pyarrow as pa

    told = column.to_pylist()
    known = {
        one: mentions.joined_by.join(map(renamed, people)) if (people := _named(one, mentions)) else one
        for one in set(told)
    }
    return pa.array([known[one] for one in told], pa.string())


def _typed(values: list[Any], kind: Kind, arrow: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    return pa.array(values, pa.int64()).cast(arrow) if kind is Kind.TIMESTAMP else pa.array(values, arrow)
