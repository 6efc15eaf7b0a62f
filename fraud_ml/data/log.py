"""The raw claim log in S3: append-only batches of rows, each row dated by when it happened and when it was recorded.

    s3://claims/<dataset>/log/recorded_day=YYYY-MM-DD/<batch id>.parquet     the rows of one batch recorded that day
    s3://claims/<dataset>/batches/<batch id>.json                            the batch's manifest, written last
    s3://claims/<dataset>/quarantine/<source>/<content>.jsonl                rows that were set aside, with their codes

The manifest is the commit point: objects without one are invisible, so landing may be killed at any instant and
repeated. A batch's id is the digest of its rows: landing the same claims twice, from whatever file, adds nothing.
Nothing in the log is ever changed. A correction is a new row of the claim, recorded later; a batch that tells a known
moment of a claim differently is refused, or loses those rows to the quarantine where the contract says so.
Where the contract can erase people, rows are sealed here (sealing.py): nothing personal reaches the store in plain.
"""

import hashlib
import io
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import digest_of
from fraud_ml.contract import BadRows, Contract
from fraud_ml.data.parquet import by_recorded_day, to_parquet
from fraud_ml.data.sealing import people_in, seal_rows
from fraud_ml.data.set_aside import Code, SetAside
from fraud_ml.data.sources.files import SourceTable, read_file
from fraud_ml.data.subject_keys import KeyRing
from fraud_ml.data.tables import EVENT_TIME, RECORDED_AT, compare_rows, log_columns, merge_files, parse_rows
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Batch:
    """What landing a delivery did; `created` is False when its rows were in the log already.

    Where nothing was left to land, because all rows were set aside or known, `rows` is 0 and id and times are empty.
    """

    id: str
    rows: int
    source_digest: str
    first_recorded: str
    last_recorded: str
    created: bool
    source: str = ""
    known: int = 0  # a stream's rows that other batches hold already; they are not written again
    set_aside: dict[str, int] = field(default_factory=dict)  # rows by code
    quarantine: str = ""  # address of the rows set aside


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
    source: str  # file name, address of the object, or the messages' offsets
    source_digest: str  # SHA-256 of those bytes
    first_event: str
    last_event: str
    first_recorded: str
    last_recorded: str
    objects: tuple[LogObject, ...]
    digest: str = ""
    set_aside: dict[str, int] = field(default_factory=dict)  # rows of that source that were not landed, by code
    quarantine: str = ""  # where they are

    @property
    def content(self) -> dict[str, Any]:
        """The manifest as it is written: a batch that set nothing aside does not speak of it."""
        return {name: value for name, value in asdict(self).items() if name not in _OPTIONAL or value}

    def sealed(self) -> "BatchManifest":
        return replace(self, digest=self._digest())

    @property
    def is_intact(self) -> bool:
        return self.digest == self._digest()

    def _digest(self) -> str:
        return digest_of({name: value for name, value in self.content.items() if name != "digest"})


_OPTIONAL = {"set_aside", "quarantine"}


@dataclass(frozen=True)
class _New:
    """The rows that may be landed, and the keys of claims whose rows the log held of somebody erased."""

    rows: "pa.Table"
    erased: list[str]


class ClaimLog:
    """The log of one dataset."""

    def __init__(self, settings: Settings, contract: Contract) -> None:
        self._store = ObjectStore(settings)
        self._contract = contract
        self._root = f"{settings.claims_url.rstrip('/')}/{contract.dataset}"
        self._read: dict[str, BatchManifest] = {}  # a manifest never changes
        self._settings = settings

    @cached_property
    def _ring(self) -> KeyRing | None:
        return KeyRing(self._settings, self._contract.dataset) if self._contract.erasure else None

    def object_url(self, batch: str, day: str) -> str:
        return f"{self._root}/log/recorded_day={day}/{batch}.parquet"

    def manifest_url(self, batch: str) -> str:
        return f"{self._root}/batches/{batch}.json"

    def batches(self) -> tuple[BatchManifest, ...]:
        """Return every committed batch, ordered by id. Raises Tampered naming a manifest that was changed."""
        listed = self._store.below(f"{self._root}/batches/")
        for url, content in self._store.read_many(url for url in listed if url not in self._read).items():
            self._read[url] = _read_manifest(url, content)
        return tuple(self._read[url] for url in listed)

    def fetch(self, wanted: Iterable[tuple[BatchManifest, LogObject]], folder: Path) -> list[Path]:
        """Write the objects into `folder` and return their paths.

        Raises Tampered naming the object whose bytes are not those of its manifest, and Unavailable (LAND015) naming
        the batches of which the store lacks objects.
        """
        objects = {self.object_url(batch.id, item.day): (batch, item.sha256) for batch, item in wanted}
        expected = {url: sha256 for url, (_, sha256) in objects.items()}
        try:
            found = self._store.read_many(expected)
        except Unavailable:
            held = set(self._store.below(f"{self._root}/log/"))
            if lost := {url: batch for url, (batch, _) in objects.items() if url not in held}:
                raise _lost(lost) from None
            raise
        files = []
        for number, (url, content) in enumerate(found.items()):
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

    def append(
        self, rows: "pa.Table", source: SourceTable, aside: SetAside | None = None, *, only_new: bool = False
    ) -> Batch:
        """Append claim rows in log order as one batch, unless they are there; objects first, the manifest last.

        Rows that tell a known moment differently go into `aside`, or raise BadInput without it. Rows of an erased
        person are always set aside, and nothing is kept of them. With `only_new`, rows that any batch holds are left
        out: a stream's batches have no edges of their own, so it may give them again.
        """
        committed = {batch.id: batch for batch in self.batches()}
        arrived = rows.num_rows
        left = SetAside() if aside is None else aside  # what is written; `aside` says what may be
        rows, returned = self._sealed(rows, left)
        only_new = only_new or Code.ERASED in left.counts  # the same file again, without one person, adds nothing
        if _batch_id(rows, self._contract) not in committed:
            new = self._without_known(rows, committed.values(), source, aside, only_new=only_new, returned=returned)
            left.add_hashed(Code.ERASED, new.erased)
            rows, only_new = new.rows, only_new or bool(new.erased)
        told = self._put_aside(source, left)
        left_out = arrived - rows.num_rows - left.counts.get(Code.OTHER_TRUTH, 0) - left.counts.get(Code.ERASED, 0)
        if rows.num_rows == 0 and not only_new:
            raise BadInput(
                f"{source.path}: no row of it can be landed",
                arrived=f"{len(left):,} rows, set aside in {told.get('quarantine', '-')}",
                next_step="mend them and land them again",
                code=next(iter(told.get("set_aside", {})), ""),
            )
        if rows.num_rows == 0:
            return Batch("", 0, source.digest, "", "", created=False, source=source.name, known=left_out, **told)
        batch_id = _batch_id(rows, self._contract)
        parts = {day.isoformat(): part for day, part in by_recorded_day(rows)}
        if known := committed.get(batch_id):
            present = set(self._store.below(f"{self._root}/log/"))
            lost = {day: part for day, part in parts.items() if self.object_url(batch_id, day) not in present}
            self._upload(batch_id, lost)
            return _told(known, created=False, known=rows.num_rows, **told)
        manifest = BatchManifest(
            dataset=self._contract.dataset,
            id=batch_id,
            rows=rows.num_rows,
            source=source.name,
            source_digest=source.digest,
            **_range("event", rows[EVENT_TIME]),
            **_range("recorded", rows[RECORDED_AT]),
            objects=self._upload(batch_id, parts),
            **told,
        ).sealed()
        content = json.dumps(manifest.content, indent=2, sort_keys=True).encode() + b"\n"
        self._store.write(self.manifest_url(batch_id), content, media_type="application/json")
        return _told(manifest, created=True, known=left_out, **told)

    def _sealed(self, rows: "pa.Table", left: SetAside) -> tuple["pa.Table", frozenset[str]]:
        """Return the rows sealed, and the pseudonyms of people who were readmitted.

        Rows of the erased are left out, and set aside without their cells.
        """
        erasure = self._contract.erasure
        if erasure is None or self._ring is None:
            return rows, frozenset()
        people = self._ring.enrol(people_in(rows, erasure))
        if people.erased:
            gone = [subject in people.erased for subject in rows[erasure.subject].to_pylist()]
            left.add_hashed(Code.ERASED, rows[self._contract.key].filter(gone).to_pylist())
            rows = rows.filter([not one for one in gone])
        sealed = seal_rows(rows, self._contract, people)
        return sealed, frozenset(people.pseudonyms[one] for one in people.readmitted)

    def _without_known(
        self,
        rows: "pa.Table",
        committed: Iterable[BatchManifest],
        source: SourceTable,
        aside: SetAside | None,
        *,
        only_new: bool,
        returned: frozenset[str],
    ) -> "_New":
        """Return the rows without those that tell a known moment (key, recorded at) differently.

        Raises BadInput when there are such and `aside` is None. With `only_new`, known rows are left out as well. What
        the log holds of people who `returned` was sealed under a key that is gone: it stays erased.
        """
        days = {day.isoformat() for day, _ in by_recorded_day(rows)}
        overlapping = [(batch, item) for batch in committed for item in batch.objects if item.day in days]
        if not overlapping:
            return _New(rows, [])
        with tempfile.TemporaryDirectory(prefix="fraud-ml-known-") as folder:
            held = merge_files(self.fetch(overlapping, Path(folder)), self._contract)
        states = compare_rows(held, rows, self._contract)
        erasure = self._contract.erasure
        subjects = rows[erasure.subject].to_pylist() if erasure and returned else [None] * rows.num_rows
        erased = [state is False and who in returned for state, who in zip(states, subjects, strict=True)]
        differs = [state is False and not gone for state, gone in zip(states, erased, strict=True)]
        if any(differs) and aside is None:
            count = sum(differs)
            raise BadInput(
                f"{source.path}: {count:,} rows tell a moment of a claim that the log already holds, differently",
                expected=f"a new `{self._contract.key}`, or a later recorded time",
                next_step="record corrections at the time they became known; the log's past does not change",
                count=count,
                code=str(Code.OTHER_TRUTH),
            )
        if aside is not None:
            aside.add(Code.OTHER_TRUTH, rows.filter(differs), self._contract.key)
        only_new = only_new or any(erased)
        return _New(
            rows.filter([state is None or (state and not only_new) for state in states]),
            rows[self._contract.key].filter(erased).to_pylist(),
        )

    def _put_aside(self, source: SourceTable, aside: SetAside) -> dict[str, Any]:
        """Write the rows set aside; return their counts and address, or nothing when there are none."""
        if not aside:
            return {}
        content = aside.content()
        name = f"{source.digest[:16]}/{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
        url = f"{self._root}/quarantine/{name}"
        self._store.write(url, content, media_type="application/x-ndjson")
        return {"set_aside": aside.counts, "quarantine": url}

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
    """Append a file's claims to the log. Afterwards every row of the file is in it, once, or set aside by contract.

    Raises BadInput when the file breaks its contract (nothing is written then), Unavailable when S3 is not there.
    """
    source = read_file(file, contract)
    aside = SetAside() if contract.landing.bad_rows is BadRows.QUARANTINE else None
    rows = parse_rows(source, contract, aside=aside)
    return ClaimLog(settings, contract).append(rows, source, aside)


def _told(batch: BatchManifest, *, created: bool, known: int, **aside: Any) -> Batch:
    names = ("id", "rows", "source", "source_digest", "first_recorded", "last_recorded")
    return Batch(**{name: getattr(batch, name) for name in names}, created=created, known=known, **aside)


def _batch_id(rows: "pa.Table", contract: Contract) -> str:
    return _content_digest(rows, contract)[:16]


def _lost(objects: dict[str, BatchManifest]) -> Unavailable:
    """Return the error for objects that their batches' manifests list and the store does not hold."""
    first = min(objects)
    sources = sorted({batch.source for batch in objects.values()})
    more = f", and {len(sources) - 1} more" if len(sources) > 1 else ""
    return Unavailable(
        f"{first} is not there any more ({Code.LOST})",
        expected="every object that a batch's manifest lists",
        arrived=f"{len(objects):,} missing, of {len({batch.id for batch in objects.values()}):,} batches",
        next_step=f"land its source again ({sources[0]}{more}), which restores it, or bring it back from a copy",
        code=str(Code.LOST),
        path=first,
        count=len(objects),
    )


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


def _range(name: str, times: "pa.ChunkedArray") -> dict[str, Any]:
    import pyarrow.compute as pc

    found = pc.min_max(times).as_py()
    return {f"first_{name}": found["min"].isoformat(), f"last_{name}": found["max"].isoformat()}


def recorded_until(batch: BatchManifest, as_of: date) -> tuple[LogObject, ...]:
    """Return the batch's objects recorded on or before `as_of`."""
    return tuple(item for item in batch.objects if date.fromisoformat(item.day) <= as_of)
