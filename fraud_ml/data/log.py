"""The raw claim log in S3: append-only batches of rows, each row dated by when it happened and when it was recorded.

    s3://claims/<dataset>/log/recorded_day=YYYY-MM-DD/<batch id>.parquet     the rows of one batch recorded that day
    s3://claims/<dataset>/batches/<batch id>.json                            the batch's manifest, written last

The manifest is the commit point: objects without one are invisible, so landing may be killed at any instant and
repeated. A batch's id is the digest of its rows: landing the same claims twice, from whatever file, adds nothing.
Nothing in the log is ever changed. A correction is a new row of the claim, recorded later; a batch that tells a known
moment of a claim differently is refused.
"""

import hashlib
import io
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import digest_of
from fraud_ml.contract import Contract
from fraud_ml.data.parquet import by_recorded_day, to_parquet
from fraud_ml.data.sources.files import SourceTable, read_file
from fraud_ml.data.tables import EVENT_TIME, RECORDED_AT, count_conflicts, log_columns, merge_files, parse_rows
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """What landing a file did; `created` is False when its rows were in the log already."""

    id: str
    rows: int
    source_digest: str
    first_recorded: str
    last_recorded: str
    created: bool


@dataclass(frozen=True)
class LogObject:
    """The rows of one batch recorded on one day."""

    day: str  # ISO date
    rows: int
    sha256: str


@dataclass(frozen=True)
class BatchManifest:
    """What a batch consists of; `digest` is over every other field."""

    dataset: str
    id: str
    rows: int
    source: str  # file name
    source_digest: str  # SHA-256 of that file
    first_event: str
    last_event: str
    first_recorded: str
    last_recorded: str
    objects: tuple[LogObject, ...]
    digest: str = ""

    def sealed(self) -> "BatchManifest":
        return replace(self, digest=self._digest())

    @property
    def is_intact(self) -> bool:
        return self.digest == self._digest()

    def _digest(self) -> str:
        return digest_of({name: value for name, value in asdict(self).items() if name != "digest"})


class ClaimLog:
    """The log of one dataset."""

    def __init__(self, settings: Settings, contract: Contract) -> None:
        self._store = ObjectStore(settings)
        self._contract = contract
        self._root = f"{settings.claims_url.rstrip('/')}/{contract.dataset}"

    def object_url(self, batch: str, day: str) -> str:
        return f"{self._root}/log/recorded_day={day}/{batch}.parquet"

    def manifest_url(self, batch: str) -> str:
        return f"{self._root}/batches/{batch}.json"

    def batches(self) -> tuple[BatchManifest, ...]:
        """Return every committed batch, ordered by id. Raises Tampered naming a manifest that was changed."""
        found = self._store.read_many(self._store.below(f"{self._root}/batches/"))
        return tuple(_read_manifest(url, content) for url, content in sorted(found.items()))

    def fetch(self, wanted: Iterable[tuple[BatchManifest, LogObject]], folder: Path) -> list[Path]:
        """Write the objects into `folder` and return their paths.

        Raises Tampered naming the object whose bytes are not those of its manifest.
        """
        expected = {self.object_url(batch.id, item.day): item.sha256 for batch, item in wanted}
        files = []
        for number, (url, content) in enumerate(self._store.read_many(expected).items()):
            arrived = hashlib.sha256(content).hexdigest()
            if arrived != expected[url]:
                raise Tampered(
                    f"{url} was changed after it was landed",
                    expected=f"SHA-256 {expected[url][:12]}…",
                    arrived=f"{arrived[:12]}…",
                    next_step="restore the object (delete it and land its file again)",
                    path=url,
                )
            files.append(folder / f"{number}.parquet")
            files[-1].write_bytes(content)
        return files

    def append(self, rows: "pa.Table", source: SourceTable) -> Batch:
        """Append rows in log order as one batch, unless they are there; objects first, the manifest last."""
        batch_id = _content_digest(rows, self._contract)[:16]
        parts = {day.isoformat(): part for day, part in by_recorded_day(rows)}
        committed = self.batches()
        known = next((batch for batch in committed if batch.id == batch_id), None)
        if known is None:
            self._refuse_other_truth(rows, set(parts), committed, source)
        present = set(self._store.below(f"{self._root}/log/"))
        lost = {day: part for day, part in parts.items() if self.object_url(batch_id, day) not in present}
        objects = self._upload(batch_id, lost if known else parts)
        if known is None:
            known = BatchManifest(
                dataset=self._contract.dataset,
                id=batch_id,
                rows=rows.num_rows,
                source=source.path.name,
                source_digest=source.digest,
                **_range("event", rows[EVENT_TIME]),
                **_range("recorded", rows[RECORDED_AT]),
                objects=objects,
            ).sealed()
            content = json.dumps(asdict(known), indent=2, sort_keys=True).encode() + b"\n"
            self._store.write(self.manifest_url(batch_id), content, media_type="application/json")
            return _told(known, created=True)
        return _told(known, created=False)

    def _refuse_other_truth(
        self, rows: "pa.Table", days: set[str], committed: Iterable[BatchManifest], source: SourceTable
    ) -> None:
        """Raise BadInput when a moment of a claim (key, recorded at) is in the log with another content."""
        overlapping = [(batch, item) for batch in committed for item in batch.objects if item.day in days]
        if not overlapping:
            return
        with tempfile.TemporaryDirectory(prefix="fraud-ml-known-") as folder:
            known = merge_files(self.fetch(overlapping, Path(folder)), self._contract)
        conflicts = count_conflicts(known, rows, self._contract)
        if conflicts:
            raise BadInput(
                f"{source.path}: {conflicts:,} rows tell a moment of a claim that the log already holds, differently",
                expected=f"a new `{self._contract.key}`, or a later recorded time",
                next_step="record corrections at the time they became known; the log's past does not change",
                count=conflicts,
            )

    def _upload(self, batch_id: str, parts: "dict[str, pa.Table]") -> tuple[LogObject, ...]:
        """Write each day's rows, several objects at a time. Equal rows are equal bytes: again changes nothing."""
        objects, files = [], {}
        with tempfile.TemporaryDirectory(prefix="fraud-ml-land-") as folder:
            for day, part in parts.items():
                content = to_parquet(part)
                files[self.object_url(batch_id, day)] = file = Path(folder) / f"{day}.parquet"
                file.write_bytes(content)
                objects.append(LogObject(day, part.num_rows, hashlib.sha256(content).hexdigest()))
            self._store.upload(files)
        return tuple(objects)


def land(settings: Settings, contract: Contract, file: Path) -> Batch:
    """Append a file's claims to the log. Afterwards every row of the file is in it, once.

    Raises BadInput when the file breaks its contract (nothing is written then), Unavailable when S3 is not there.
    """
    source = read_file(file, contract)
    rows = parse_rows(source, contract)
    log = ClaimLog(settings, contract)
    return log.append(rows, source)


def _told(batch: BatchManifest, *, created: bool) -> Batch:
    return Batch(batch.id, batch.rows, batch.source_digest, batch.first_recorded, batch.last_recorded, created)


def _read_manifest(url: str, content: bytes) -> BatchManifest:
    try:
        fields = json.loads(content)
        fields["objects"] = tuple(LogObject(**item) for item in fields["objects"])
        manifest = BatchManifest(**fields)
    except (ValueError, TypeError, KeyError):
        manifest = None
    if manifest is None or not manifest.is_intact:
        raise Tampered(f"{url} was changed after it was landed", next_step="restore the object", path=url)
    return manifest


def _content_digest(rows: "pa.Table", contract: Contract) -> str:
    """Return the digest of the rows themselves, as CSV: a null is empty, text is quoted."""
    import pyarrow.csv as arrow_csv

    sink = io.BytesIO()
    arrow_csv.write_csv(rows, sink, arrow_csv.WriteOptions(include_header=False))
    names = json.dumps([contract.dataset, *log_columns(contract)]).encode()
    return hashlib.sha256(names + b"\n" + sink.getvalue()).hexdigest()


def _range(name: str, times: "pa.ChunkedArray") -> dict[str, str]:
    import pyarrow.compute as pc

    found = pc.min_max(times).as_py()
    return {f"first_{name}": found["min"].isoformat(), f"last_{name}": found["max"].isoformat()}


def recorded_until(batch: BatchManifest, as_of: date) -> tuple[LogObject, ...]:
    """Return the batch's objects recorded on or before `as_of`."""
    return tuple(item for item in batch.objects if date.fromisoformat(item.day) <= as_of)
