"""What stages hand to each other: typed paths under one workspace, and the reports that are written there as JSON.

Light on purpose: the Airflow bridge reads these too. Data moves forward only; a stage reads what earlier stages wrote.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from fraud_ml.errors import BadInput, NotAccepted, Unavailable

SUBJECT_KEYS = "subject-keys.parquet"  # it lies beside the snapshot's folder, never in it

Report = TypeVar("Report")


# --- values ---------------------------------------------------------------------------------------------------------


class Severity(StrEnum):
    """What a failed finding does to its subject."""

    STOP = "stop"
    QUARANTINE = "quarantine"
    WARN = "warn"
    ADVICE = "advice"  # never stops, not even where nothing could be told


class Outcome(StrEnum):
    """What a rule found; `undecided` means it could not judge, which stops like a failure of a stopping rule."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"


class Decision(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Finding:
    """What one rule found. `count` and `share` are of rows; texts never carry a claim's values.

    `partition` is the event month (YYYY-MM) that is worst; `examples` are SHA-256 digests of claim keys.
    """

    code: str
    title: str
    severity: Severity
    outcome: Outcome
    expected: str
    arrived: str
    column: str | None = None
    count: int | None = None
    share: float | None = None
    next_step: str = ""
    partition: str | None = None
    examples: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        if self.outcome is Outcome.UNDECIDED:
            return self.severity is not Severity.ADVICE
        return self.outcome is Outcome.FAILED and self.severity is Severity.STOP


@dataclass(frozen=True)
class Verdict:
    """The decision on one subject (a snapshot, a candidate) and every finding behind it."""

    about: str
    subject_digest: str
    decision: Decision
    findings: tuple[Finding, ...]
    rows: int
    quarantined_rows: int = 0

    @classmethod
    def of(
        cls, about: str, subject_digest: str, findings: Iterable[Finding], *, rows: int, quarantined_rows: int = 0
    ) -> "Verdict":
        """Reject when any finding stops, accept otherwise. A verdict without findings judged nothing: rejected."""
        found = tuple(findings)
        accepted = bool(found) and not any(finding.stops for finding in found)
        decision = Decision.ACCEPTED if accepted else Decision.REJECTED
        return cls(about, subject_digest, decision, found, rows, quarantined_rows)

    @property
    def is_accepted(self) -> bool:
        return self.decision is Decision.ACCEPTED

    @property
    def stopping(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.stops)

    def require_accepted(self, *, subject_digest: str) -> None:
        """Raise NotAccepted unless this verdict accepts exactly that subject."""
        if self.subject_digest != subject_digest:
            raise NotAccepted(
                f"the verdict on {self.about} judged something else",
                expected=subject_digest[:12],
                arrived=self.subject_digest[:12],
                next_step="run the judging stage again",
                codes=(),
            )
        if not self.is_accepted:
            first = self.stopping[0] if self.stopping else None
            where = f" column {first.column}:" if first and first.column else ""
            raise NotAccepted(
                f"{self.about} is rejected by {', '.join(f.code for f in self.stopping) or 'an empty verdict'}"
                + (f" ({first.code}{where} {first.title})" if first else ""),
                expected=first.expected if first else "at least one finding",
                arrived=first.arrived if first else "none",
                next_step=(first.next_step if first and first.next_step else "read the report"),
                codes=tuple(f.code for f in self.stopping),
            )


@dataclass(frozen=True)
class SnapshotManifest:
    """What a snapshot is: the prefix of the claim log recorded up to and including `as_of`.

    `files` maps each Parquet partition's path (relative to the snapshot's folder) to the SHA-256 of its bytes;
    `digest` is over all of these and the fields above it: what the claims are. The fields below it say where they came
    from, and may differ between two freezes of the same claims. `batches` are the landed batches it was frozen from.
    """

    dataset: str
    as_of: str  # ISO date
    digest: str
    rows: int
    files: Mapping[str, str]
    batches: tuple[str, ...]
    source_digests: tuple[str, ...] = ()  # SHA-256 of the files those batches were landed from
    laid_from: Mapping[str, str] = field(default_factory=dict)  # partition -> digest of the log objects merged into it
    code_version: str = ""  # of the program that froze it
    layout: int = 1  # how that program lays rows out (data/layout.py)

    def content_digest(self) -> str:
        """Return what `digest` must be for these fields."""
        return digest_of({"dataset": self.dataset, "as_of": self.as_of, "rows": self.rows, "files": dict(self.files)})


@dataclass(frozen=True)
class Sealed:
    """A record whose `digest` is over all its other fields, so that a change of any of them is found."""

    digest: str = field(default="", kw_only=True)

    def sealed(self) -> Self:
        """Return the same record with its digest filled in."""
        return replace(self, digest=self._digest())

    @property
    def is_intact(self) -> bool:
        return self.digest == self._digest()

    def _digest(self) -> str:
        return digest_of({name: value for name, value in asdict(self).items() if name != "digest"})


@dataclass(frozen=True)
class FoldManifest(Sealed):
    """What a fold is: each claim of a snapshot once, as known on `as_of`, in Parquet files by event month.

    `files` maps each file's name to the SHA-256 of its bytes.
    """

    dataset: str
    as_of: str  # ISO date
    snapshot_digest: str
    claims: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class Window:
    """One part of the split by event time: [begin, end), ISO dates."""

    begin: str
    end: str
    rows: int
    positives: int


@dataclass(frozen=True)
class FeatureReport:
    """How accepted claims became training, validation and test rows; the counts add up to `claims`."""

    dataset: str
    as_of: str  # ISO date
    snapshot_digest: str
    features: tuple[str, ...]
    claims: int
    train: Window
    validation: Window
    test: Window
    left_out: Mapping[str, int]  # reason (quarantined, immature, never_looked_at, recording_stopped, …) -> claims


@dataclass(frozen=True)
class ModelManifest:
    """One exported model. Stands as model.json in its folder, and beside it the files it names.

    `model_digest` is over canonical weights (name, dtype, shape, bytes), preprocessing and golden predictions: equal
    for equal training runs. `files` maps every other file to its SHA-256, `artifact_digest` is over those: equal bytes.
    """

    family: str
    model_digest: str
    artifact_digest: str
    files: Mapping[str, str]
    features: tuple[str, ...]

    @staticmethod
    def digest_files(files: Mapping[str, str]) -> str:
        return digest_of(dict(files))


@dataclass(frozen=True)
class FamilyResult:
    family: str
    model_digest: str
    validation_average_precision: float


@dataclass(frozen=True)
class TrainingReport:
    """What was trained, which family became the candidate, and what it was computed by.

    `environment` names versions of code and libraries, the lock's digest and the processor's family.
    """

    chosen: str
    snapshot_digest: str
    seed: int
    results: tuple[FamilyResult, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Champion:
    """The model that served when the run was opened; `version` is None when there was none."""

    version: str | None = None
    candidate_digest: str | None = None
    model_digest: str | None = None

    @property
    def exists(self) -> bool:
        return self.version is not None


@dataclass(frozen=True)
class EvaluationReport:
    """What a candidate was judged on. `test_window_digest` is the SHA-256 of the frozen test window's file.

    Whoever looks at one window often enough will find a model that suits it: each look is counted where runs are kept.
    """

    family: str
    model_digest: str
    test_window: Window
    test_window_digest: str
    threshold: float | None  # at or above it a claim is to be investigated; None where none is worth it
    undefined: tuple[str, ...]  # figures that do not exist for these claims


@dataclass(frozen=True)
class Candidate(Sealed):
    """What people approve. `digest` is over every other field, so that nothing behind it can be exchanged."""

    dataset: str
    as_of: str
    family: str
    snapshot_digest: str
    params_digest: str
    model_digest: str
    artifact_digest: str
    evaluation_digest: str


# --- paths ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Workspace:
    """The paths of one run, below `root`: the checkout whose dvc.yaml is run."""

    root: Path = field(default_factory=Path.cwd)

    def _at(self, *parts: str) -> Path:
        return self.root.joinpath("workspace", *parts)

    # pinned inputs
    @property
    def snapshot(self) -> Path:
        return self._at("snapshot")

    @property
    def snapshot_manifest(self) -> Path:
        return self._at("snapshot", "manifest.json")

    @property
    def subject_keys(self) -> Path:
        """Parquet of the keys that open the snapshot's personal values; empty where its contract erases nobody."""
        return self.snapshot.with_name(SUBJECT_KEYS)

    @property
    def served(self) -> Path:
        """Counts of the claims that scorers were asked about in the quarter before the as-of date."""
        return self._at("served.json")

    @property
    def champion(self) -> Path:
        """Folder with champion.json and, if there is a champion, its exported model under model/."""
        return self._at("champion")

    @property
    def champion_record(self) -> Path:
        return self._at("champion", "champion.json")

    @property
    def champion_model(self) -> Path:
        return self._at("champion", "model")

    @property
    def expectations(self) -> Path:
        return self.root / "expectations"

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    # validate
    @property
    def claims(self) -> Path:
        """Folder with the snapshot's fold: the claims that were judged, and that are learned from."""
        return self._at("claims")

    @property
    def validation_verdict(self) -> Path:
        return self._at("validation", "verdict.json")

    @property
    def quarantine(self) -> Path:
        """Parquet of the set-aside rows: the claim key's SHA-256 (hex text) and the finding's code."""
        return self._at("validation", "quarantine.parquet")

    @property
    def validation_report(self) -> Path:
        return self._at("validation", "report")

    # features
    @property
    def features(self) -> Path:
        """Folder with train.parquet, validation.parquet, test.parquet and report.json."""
        return self._at("features")

    # train
    @property
    def models(self) -> Path:
        """Folder with one exported model per family."""
        return self._at("models")

    @property
    def checkpoints(self) -> Path:
        """Folder of what an interrupted training had learned. No stage's output: DVC leaves it where it is."""
        return self._at("checkpoints")

    @property
    def training_report(self) -> Path:
        return self._at("training.json")

    # evaluate
    @property
    def evaluation(self) -> Path:
        """Folder with predictions.parquet, report.json, threshold.json, slices.json, plots/ and report/."""
        return self._at("evaluation")

    @property
    def evaluation_report(self) -> Path:
        return self._at("evaluation", "report.json")

    @property
    def evaluation_verdict(self) -> Path:
        return self._at("evaluation", "verdict.json")

    @property
    def candidate(self) -> Path:
        return self._at("evaluation", "candidate.json")

    @property
    def metrics(self) -> Path:
        return self._at("metrics.json")


# --- reports as JSON ------------------------------------------------------------------------------------------------


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of `value` that digests are taken over: sorted keys, no spaces, UTF-8, no NaN."""
    plain = _plain(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """Return the SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def evaluation_digest(metrics: Mapping[str, Any], verdict: Any) -> str:
    """Return the digest by which a candidate is bound to its figures and to the verdict on it."""
    return digest_of({"metrics": dict(metrics), "verdict": digest_of(verdict)})


def file_digest(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_digests(paths: Iterable[Path]) -> Iterator[str]:
    """Yield the SHA-256 of each file in turn; several are read at a time, and hashing leaves the interpreter free."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(file_digest, paths)


def save(report: Any, path: Path) -> None:
    """Write `report` as readable JSON; a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(report), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to write into; it becomes `path` when the block ends well.

    A reader sees the old folder, none, or the whole new one. What a killed writer left behind is cleared here.
    """
    partial = path.with_name(f".{path.name}-partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    if path.exists():
        shutil.rmtree(path)
    partial.rename(path)


def load(kind: type[Report], path: Path) -> Report:
    """Return the report at `path`. Raises Unavailable when it is absent and BadInput when it is not a `kind`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unavailable(f"{path} is not there", next_step="run the stage that writes it (`dvc repro`)") from None
    except ValueError:
        raise BadInput(f"{path}: not valid JSON", next_step="run the stage that writes it again") from None
    try:
        return _revive(kind, content)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: not a {kind.__name__}", arrived=str(error), next_step="write it again") from None


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _revive(kind: Any, value: Any) -> Any:
    """Build a (nested) dataclass from what JSON kept of it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else _revive(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        return tuple(_revive(arguments[0], item) for item in value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _revive(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    return value
