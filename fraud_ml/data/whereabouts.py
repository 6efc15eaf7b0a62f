"""Where a person stands in the log and in the snapshots: found by pseudonym, after the erasure too."""

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fraud_ml.contract import Contract
from fraud_ml.data.layout import in_groups
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.set_aside import hashed
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.settings import Settings


@dataclass(frozen=True)
class Whereabouts:
    """Counts of log rows that are the person's own, or name them, and the frozen versions that hold such rows."""

    rows: int
    mentions: int
    claims: frozenset[str]  # SHA-256 of the keys of the person's own claims
    snapshots: tuple[Version, ...]


def find_person(settings: Settings, contract: Contract, pseudonym: str) -> Whereabouts:
    """Read the whole log's columns that name people, a few objects at a time. Raises Tampered, Unavailable."""
    log = ClaimLog(settings, contract)
    every = {f"{item.day} {batch.id}": [(batch, item)] for batch in log.batches() for item in batch.objects}
    rows = mentions = 0
    claims: set[str] = set()
    places: set[tuple[str, str]] = set()
    for group in in_groups(every):
        with tempfile.TemporaryDirectory(prefix="fraud-ml-erase-") as scratch:
            for (batch, item), path in zip(group, log.fetch(group, Path(scratch)), strict=True):
                own, named, keys = _in_object(path, contract, pseudonym)
                rows, mentions, claims = rows + own, mentions + named, claims | keys
                if own or named:
                    places.add((batch.id, item.day))
    registry = SnapshotRegistry(settings)
    held = tuple(
        version
        for version in registry.versions(contract.dataset)
        if _holds(registry.manifest(version).batches, version.as_of, places)
    )
    return Whereabouts(rows, mentions, frozenset(claims), held)


def _in_object(path: Path, contract: Contract, pseudonym: str) -> tuple[int, int, set[str]]:
    import pyarrow.compute as pc
    from pyarrow import parquet

    erasure = contract.erasure
    assert erasure is not None, "only such a contract has people to find"
    names = [contract.key, erasure.subject, *erasure.mentions]
    table = parquet.read_table(path, columns=names)
    own = pc.equal(table[erasure.subject], pseudonym)
    keys = {str(hashed(key)) for key in table.filter(own)[contract.key].to_pylist()}
    named = sum(pc.sum(pc.match_substring(table[name], pseudonym)).as_py() or 0 for name in erasure.mentions)
    return pc.sum(own).as_py() or 0, named, keys


def _holds(batches: tuple[str, ...], as_of: str, places: set[tuple[str, str]]) -> bool:
    last = date.fromisoformat(as_of)
    return any(batch in batches and date.fromisoformat(day) <= last for batch, day in places)
