"""Folded months by the digest of what they are folded from: it saves time, and never changes a byte.

    <home>/fold-cache/ab/<inputs>.parquet    a folded month
    <home>/fold-cache/ab/<inputs>.json       its SHA-256 and its claims; written last

What is taken is hashed on arrival; a month that is not what was kept counts as absent, and is folded and kept again.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import Sealed, file_digest, load, save
from fraud_ml.data.kept_months import record_of, trim
from fraud_ml.errors import FraudMLError, Tampered

MOST_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Kept(Sealed):
    """The record of a folded month."""

    inputs: str
    sha256: str
    claims: int


class FoldCache:
    """The cache in `folder`; several processes may use it at once."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most_bytes = most_bytes

    def take(self, inputs: str, target: Path) -> int | None:
        """Copy the month to `target` and return its claims; None, and no file, unless its bytes are those kept."""
        record = record_of(self.folder, inputs)
        try:
            kept = load(Kept, record)
            if kept.is_intact and kept.inputs == inputs:
                shutil.copyfile(record.with_suffix(".parquet"), target)
                if file_digest(target) == kept.sha256:
                    os.utime(record)  # the longest unused go first
                    return kept.claims
        except (FraudMLError, OSError, ValueError):  # never kept, or trimmed by another process
            pass
        target.unlink(missing_ok=True)
        return None

    def find(self, inputs: str) -> tuple[Path, str] | None:
        """Return where the month lies and its SHA-256; None unless its bytes are those kept."""
        record = record_of(self.folder, inputs)
        folded = record.with_suffix(".parquet")
        try:
            kept = load(Kept, record)
            if kept.is_intact and kept.inputs == inputs and file_digest(folded) == kept.sha256:
                return folded, kept.sha256
        except (FraudMLError, OSError, AttributeError, TypeError, ValueError):  # never kept, trimmed or damaged
            pass
        return None

    def keep(self, inputs: str, folded: Path, claims: int) -> None:
        """Copy a folded month into the cache, where there is room and leave to write."""
        record = record_of(self.folder, inputs)
        partial = record.with_name(f".{inputs}.{os.getpid()}")
        try:
            record.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folded, partial)
            partial.replace(record.with_suffix(".parquet"))
            save(Kept(inputs, file_digest(folded), claims).sealed(), record)
        except OSError:
            with suppress(OSError):
                partial.unlink()

    def trim(self) -> None:
        """Remove the months that were not used for longest until `most_bytes` hold the rest."""
        trim(self.folder, ".parquet", self._most_bytes)

    def verify(self) -> int:
        """Hash every kept month and return how many there are. Raises Tampered naming the file that was changed."""
        count = 0
        for record in sorted(self.folder.glob("*/*.json")):
            folded = record.with_suffix(".parquet")
            try:
                kept = load(Kept, record)
                whole = kept.is_intact and kept.inputs == record.stem
                damaged = None if whole and file_digest(folded) == kept.sha256 else folded if whole else record
            except (FraudMLError, OSError, AttributeError, TypeError, ValueError):
                damaged = record
            if damaged and record.is_file():  # else another process has trimmed it
                raise _changed(damaged)
            count += 1
        return count


def _changed(path: Path) -> Tampered:
    return Tampered(
        f"{path} was changed after it was folded", next_step="delete it: the next run folds it again", path=str(path)
    )
