"""A scene through landing, folding and judging, as a snapshot goes: who notices what, under which code."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus.asking import claims_of, inputs_of, newest_claims, record_of
from benchmarks.corpus.clean import CHANGES
from benchmarks.corpus.family import FAMILIES, TAMPERED, Guard, Level
from benchmarks.corpus.landing import history, known_claims, land
from benchmarks.corpus.scenes import File, Scene, as_csv, scene
from fraud_ml.artifacts import Outcome
from fraud_ml.data.set_aside import Code
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.tables import log_columns
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.params import load_params
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


ASKED = 2_000  # claims that callers ask about


@dataclass(frozen=True, order=True)
class Told:
    """What a finding says: its code, the column and event month (empty: of no single one), and whether it stops."""

    code: str
    column: str = ""
    month: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Noticed:
    """What came of a delivery: the guard that said no (None: nobody), and what it found."""

    guard: Guard | None
    findings: frozenset[Told]
    rejected: bool


def notice(place: Scene, file: File) -> Noticed:
    """Land the file, fold it with the history and judge."""
    try:
        rows = land(place, file)
    except BadInput as broken:
        code = str(broken.facts.get("code", Code.UNREADABLE))
        return Noticed(Guard.LANDING, frozenset({Told(code, broken.facts.get("column") or "", stops=True)}), True)
    return _judged(place, known_claims(place, [_history(place), rows]))


def _history(place: Scene) -> "pa.Table":
    """Return the log rows of the scene's history."""
    dataset, seed = place.line.dataset, place.seed
    return (
        history(dataset, seed) if place.history is scene(dataset, seed).history else land(place, as_csv(place.history))
    )


def notice_frozen(place: Scene, act: Callable[[Path], object]) -> Noticed:
    """Freeze the scene's log, let `act` change the folder, and open it as the validate stage does."""
    import pyarrow as pa

    contract = place.contract.model_copy(update={"erasure": None})  # nobody's keys are needed to see changed bytes
    plain = replace(place, contract=contract)
    rows = pa.concat_tables([history(place.line.dataset, place.seed), land(plain, as_csv(place.arriving))])
    with tempfile.TemporaryDirectory(prefix="fraud-ml-corpus-") as scratch:
        folder = Path(scratch) / "snapshot"
        freeze_copy(rows.select(list(log_columns(contract))).to_pandas(), contract, place.as_of, folder)
        act(folder)
        try:
            open_snapshot(folder, contract)
        except Tampered:
            return Noticed(Guard.TAMPERED, frozenset({Told(TAMPERED, stops=True)}), True)
    return Noticed(None, frozenset(), False)


def _judged(place: Scene, claims: "pd.DataFrame") -> Noticed:
    """Judge without TFDV: its worker takes ten seconds to start, and what it alone would see counts as missed here."""
    from fraud_ml.validation.verdict import judge

    judgement = judge(
        claims,
        place.contract,
        load_params(PROJECT / "params.yaml").validation,
        rules=place.rules,
        as_of=place.as_of,
        subject_digest="",
        tfdv_python=None,
        served=place.served,
    )
    verdict = judgement.verdict
    wrong = frozenset(
        Told(f.code, f.column or "", f.partition or "", f.stops)
        for f in verdict.findings
        if f.outcome is not Outcome.PASSED
    )
    return Noticed(Guard.VERDICT if wrong else None, wrong, any(f.stops for f in verdict.findings))


@dataclass(frozen=True)
class Tried:
    """One broken snapshot of the corpus, and what was noticed beyond what the clean scene shows anyway."""

    family: str
    severity: str
    dataset: str
    seed: int
    column: str | None
    noticed: Noticed
    seconds: float

    @property
    def right_code(self) -> bool:
        told = {
            one.code
            for one in self.noticed.findings
            # sense is of several columns, and named by the first
            if not one.column or not self.column or self.column in one.column or one.code.startswith("SENSE")
        }
        return any(code.startswith(FAMILIES[self.family].codes) for code in told)

    @property
    def caught(self) -> bool:
        return self.noticed.rejected or self.right_code


def try_family(name: str, severity: str, dataset: str, seed: int) -> Tried:
    """Break the scene and see."""
    import time
    import zlib

    import numpy as np

    family, place = FAMILIES[name], scene(dataset, seed)
    dice = np.random.default_rng([seed, zlib.crc32(f"{family.name} {severity}".encode())])
    broken: Any
    columns = family.columns(place)
    column = str(dice.choice(columns)) if columns else None
    amount = family.severities[severity]
    begin = time.perf_counter()
    if family.level is Level.FROZEN:
        noticed = notice_frozen(place, lambda folder: family.act(folder, amount, dice))
        return Tried(name, severity, dataset, seed, None, noticed, time.perf_counter() - begin)
    if family.level is Level.REQUESTS:
        asked = newest_claims(claims_of(dataset, seed), place.as_of, ASKED, dice)
        broken = family.act(asked, column, amount, dice)
        served = record_of(dataset, broken, inputs_of(dataset, seed), place.as_of)
        place, broken = replace(place, served=served), as_csv(place.arriving)
    else:
        broken = family.act(place, column, amount, dice)
    begin = time.perf_counter()
    noticed = notice(place, broken if isinstance(broken, File) else as_csv(broken))
    seconds = time.perf_counter() - begin
    known = findings_before(dataset, seed) | clean_findings(dataset, seed).findings
    rejected = noticed.rejected and not clean_findings(dataset, seed).rejected
    return Tried(
        name, severity, dataset, seed, column, Noticed(noticed.guard, noticed.findings - known, rejected), seconds
    )


@cache
def clean_findings(dataset: str, seed: int) -> Noticed:
    place = scene(dataset, seed)
    return notice(place, as_csv(place.arriving))


@cache
def findings_before(dataset: str, seed: int) -> frozenset[Told]:
    """Return what the history alone shows: it is what a fault leaves when it takes the delivery's own findings away."""
    place = scene(dataset, seed)
    return _judged(replace(place, as_of=place.before), known_claims(place, [_history(place)])).findings


@dataclass(frozen=True)
class TriedClean:
    """A harmless change of the corpus, and what was said of it."""

    change: str
    dataset: str
    seed: int
    noticed: Noticed
    seconds: float


def try_clean(change: str, dataset: str, seed: int) -> TriedClean:
    """Change the scene harmlessly and see."""
    import time
    import zlib

    import numpy as np

    dice = np.random.default_rng([seed, zlib.crc32(change.encode())])
    place, file = CHANGES[change](scene(dataset, seed), dice)
    begin = time.perf_counter()
    return TriedClean(change, dataset, seed, notice(place, file), time.perf_counter() - begin)
