"""What was kept of judged months, by the digest of all that they depend on: it saves time, and never changes a verdict.

    <home>/verdict-cache/ab/<inputs>.partial    a month's partial; sealed where its contract can erase people
    <home>/verdict-cache/ab/<inputs>.json       its SHA-256, and the pseudonyms of the people it counts; written last
    <home>/verdict-cache/ab/<month>.last        which of these the month was judged as last

A sealed partial opens only with the keys of all these people, as they were when the month was judged: when one of them
is erased it cannot be read any more, by anybody, and the month is judged anew. What is not what was kept counts as
absent: half written, damaged, or of other rules.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from fraud_ml.artifacts import Sealed, digest_of, file_digest, load, save
from fraud_ml.contract import Contract
from fraud_ml.data.kept_months import record_of, trim
from fraud_ml.data.subject_keys import SubjectKey, cipher
from fraud_ml.errors import FraudMLError
from fraud_ml.validation.partial import Partial, from_bytes, to_bytes
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suite import SUITE_FILE

MOST_BYTES = 4 * 2**30
_BOUND_TO = [b"partial"]
_LIBRARIES = ("duckdb", "great-expectations", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Kept(Sealed):
    """The record of a month. people: pseudonyms, none where nothing is sealed."""

    inputs: str
    sha256: str
    people: tuple[str, ...] = ()


def inputs_of(month_sha256: str, contract: Contract, rules: Path) -> str:
    """Return the digest of everything that a month's partial depends on, but for people's keys.

    month_sha256: of the folded month's bytes. rules: the folder with suite and schema.
    """
    return digest_of({"month": month_sha256, "rules": _rules(contract, rules), "code": _code()})


@dataclass(frozen=True)
class Judged(Sealed):
    """How a month was judged last: the inputs of its partial, and those of its fold."""

    inputs: str
    fold_inputs: str


def month_of(name: str, contract: Contract, rules: Path) -> str:
    """Return the digest of a month (its file's name) under these rules and this code, whatever claims it holds."""
    return digest_of({"name": name, "rules": _rules(contract, rules), "code": _code()})


class PartialCache:
    """The cache in `folder`; several processes may use it at once."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most_bytes = most_bytes

    def take(self, inputs: str, people: Mapping[str, SubjectKey] | None) -> Partial | None:
        """Return the month's partial, or None unless it is what was kept and its people's keys open it.

        people: everybody's keys where the contract can erase people.
        """
        record = record_of(self.folder, inputs)
        try:
            kept = load(Kept, record)
            content = record.with_suffix(".partial").read_bytes()
            if not kept.is_intact or kept.inputs != inputs or hashlib.sha256(content).hexdigest() != kept.sha256:
                return None
            if people is not None:
                content = _opened(content, kept.people, people)
            partial = from_bytes(content)
            os.utime(record)  # the longest unused go first
        except (FraudMLError, OSError, ValueError, AttributeError, TypeError, KeyError):
            return None
        return partial

    def keep(self, inputs: str, partial: Partial, people: Mapping[str, SubjectKey] | None) -> None:
        """Write a month's partial, where there is room and leave to write.

        people: the keys of everybody in the month, by pseudonym, where the contract can erase people.
        """
        record = record_of(self.folder, inputs)
        half = record.with_name(f".{inputs}.{os.getpid()}")
        content = to_bytes(partial)
        if people is not None:
            content = cipher(_key_of(sorted(people), people)).encrypt(content, _BOUND_TO)
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(content)
            half.replace(record.with_suffix(".partial"))
            sha256 = hashlib.sha256(content).hexdigest()
            save(Kept(inputs, sha256, tuple(sorted(people or ()))).sealed(), record)
        except OSError:
            with suppress(OSError):
                half.unlink()

    def last(self, month: str) -> Judged | None:
        """Return how the month (`month_of`) was judged last, where that is known."""
        try:
            judged = load(Judged, self._last(month))
            return judged if judged.is_intact else None
        except (FraudMLError, OSError, ValueError, AttributeError, TypeError):
            return None

    def note_last(self, month: str, judged: Judged) -> None:
        """Keep how the month was judged, where there is room and leave to write."""
        with suppress(OSError):
            save(judged.sealed(), self._last(month))

    def trim(self) -> None:
        """Remove the months that were not used for longest until `most_bytes` hold the rest."""
        trim(self.folder, ".partial", self._most_bytes)
        for path in self.folder.glob("*/*.last"):
            judged = self.last(path.stem)
            if judged is None or not record_of(self.folder, judged.inputs).is_file():
                path.unlink(missing_ok=True)

    def _last(self, month: str) -> Path:
        return record_of(self.folder, month).with_suffix(".last")


# --- inside ---------------------------------------------------------------------------------------------------------


def _key_of(pseudonyms: list[str], people: Mapping[str, SubjectKey]) -> bytes:
    """Return 32 bytes that only the keys of all these people give. Who is not known at all has none."""
    digest = hashlib.sha256(b"partial\0")
    for pseudonym in pseudonyms:
        key = people[pseudonym].key
        digest.update(hashlib.sha256(pseudonym.encode()).digest() + hashlib.sha256(key or b"").digest())
    return digest.digest()


def _opened(content: bytes, pseudonyms: tuple[str, ...], people: Mapping[str, SubjectKey]) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher(_key_of(list(pseudonyms), people)).decrypt(content, _BOUND_TO)
    except InvalidTag:
        raise ValueError("other keys") from None


def _rules(contract: Contract, rules: Path) -> str:
    files = {path.name: file_digest(path) for path in (rules / SUITE_FILE, rules / SCHEMA_FILE) if path.is_file()}
    return digest_of({"contract": contract.model_dump(mode="json"), "files": files})


@cache
def _code() -> str:
    """Return the digest of this room's code and of the libraries that count."""
    here = Path(__file__).parent
    sources = {path.relative_to(here).as_posix(): file_digest(path) for path in sorted(here.rglob("*.py"))}
    return digest_of({"sources": sources, "libraries": {name: version(name) for name in _LIBRARIES}})
