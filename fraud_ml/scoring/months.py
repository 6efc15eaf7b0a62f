"""A folder of scores: one Parquet file for each event month, what each was made of, and at the end a manifest.

    2025-11.parquet            the scores of the claims that happened in that month, in the fold's order
    .months/2025-11.json       what it was made of, and its SHA-256; written after it
    manifest.json              all months; written last, so that its absence says that somebody is not done

A month that stands, made of the same and whole, is not made again; each is written in one step.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fraud_ml.artifacts import Sealed, file_digest, load, save
from fraud_ml.errors import BadInput, FraudMLError, Unavailable

MANIFEST, RECORDS = "manifest.json", ".months"
_OURS = re.compile(r"\d{4,5}-\d{2}\.parquet|\.\d{4,5}-\d{2}\.parquet-partial|manifest\.json|\.months")


@dataclass(frozen=True)
class ScoredMonth:
    """A month's file. made_of: digest of everything that its content depends on."""

    made_of: str
    sha256: str
    claims: int
    flagged: int


@dataclass(frozen=True)
class ScoresManifest(Sealed):
    """What was scored, by what, into which files."""

    dataset: str
    as_of: str  # ISO date
    snapshot_digest: str
    model_version: str
    candidate_digest: str
    model_digest: str
    threshold: float | None
    claims: int
    flagged: int
    months: Mapping[str, ScoredMonth]  # YYYY-MM -> its file


class ScoresFolder:
    """Reads and writes one folder of scores."""

    def __init__(self, folder: Path) -> None:
        """Raises BadInput when the folder holds anything but scores."""
        self.folder = folder
        if folder.is_file() or (folder.is_dir() and any(not _OURS.fullmatch(one.name) for one in folder.iterdir())):
            raise BadInput(
                f"{folder} holds something else than scores",
                expected="a folder that is absent, empty, or holds scores",
                next_step="choose another --out",
            )
        (folder / RECORDS).mkdir(parents=True, exist_ok=True)

    def partial(self, month: str) -> Path:
        """Return where a month's file is written before it counts."""
        return self.folder / f".{month}.parquet-partial"

    def find(self, month: str, made_of: str) -> ScoredMonth | None:
        """Return the month's record if its file stands whole and was made of just that."""
        file = self._file(month)
        try:
            record = load(ScoredMonth, self._record(month))
        except FraudMLError:
            return None
        is_same = record.made_of == made_of and file.is_file() and file_digest(file) == record.sha256
        return record if is_same else None

    def keep(self, month: str, made_of: str, *, claims: int, flagged: int) -> ScoredMonth:
        """Let the partial file become the month's."""
        record = ScoredMonth(made_of, file_digest(self.partial(month)), claims, flagged)
        (self.folder / MANIFEST).unlink(missing_ok=True)  # it tells of another file
        self._record(month).unlink(missing_ok=True)
        self.partial(month).replace(self._file(month))
        save(record, self._record(month))
        return record

    def finish(self, manifest: ScoresManifest) -> None:
        """Remove what other runs left, and write the manifest."""
        for file in [*self.folder.glob("*.parquet"), *self.folder.glob(".*-partial")]:
            if file.name.removesuffix(".parquet") not in manifest.months:
                file.unlink(missing_ok=True)
        for record in (self.folder / RECORDS).iterdir():
            if record.stem not in manifest.months:
                record.unlink(missing_ok=True)
        save(manifest, self.folder / MANIFEST)

    def _file(self, month: str) -> Path:
        return self.folder / f"{month}.parquet"

    def _record(self, month: str) -> Path:
        return self.folder / RECORDS / f"{month}.json"


def read_manifest(folder: Path) -> ScoresManifest:
    """Return the manifest of finished scores. Raises Unavailable where there is none."""
    if not (folder / MANIFEST).is_file():
        raise Unavailable(f"{folder} holds no finished scores", next_step="run `fraud-ml score` again")
    content = load(ScoresManifest, folder / MANIFEST)
    months = {month: ScoredMonth(**told) for month, told in content.months.items()}  # type: ignore[arg-type]
    return replace(content, months=months)
