"""How many claims a second a batch scores, from Parquet to Parquet.

The model is the blend that params.yaml describes (boosted trees and networks), fitted to 20,000 simulated motor claims,
exported, and loaded. The claims are a million others of the same contract, folded from a log as a snapshot's are; their
personal columns lie in plain here, so that figures are of scoring and not of AES. All runs are of one process on all
processors, in turns. Times are of reading, looking words up, answering, and writing; folding and loading are left out.

- `rows_per_s`: claims scored a second, with the writing of their key, time, probability and decision.
- `with_reasons_rows_per_s`: the same with three reasons for each claim to be investigated, one in twenty.
- `over_bare_model`: seconds against those of the exported model alone, asked about claims in memory, looked up already.
- `over_lightgbm_predict`: seconds against LightGBM's `predict` (300 trees of 6 leaves, as tuned for motor) alone, of
  claims in memory, encoded already.
- `trees_rows_per_s`, `network_rows_per_s`: Parquet to Parquet with one part of the blend.
- `peak_gib`: the largest resident memory of a process that does nothing but score.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks._claim_rows import rows_by_recorded_month
from benchmarks._quality_peers import codes
from benchmarks._quality_rounds import motor
from benchmarks._quality_settings import SETTINGS
from benchmarks.harness import Figure, Figures, in_own_process, in_turns, peak_gib, say
from fraud_ml.artifacts import Candidate, FoldManifest, SnapshotManifest, file_digest, load
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.fold import MANIFEST, fold
from fraud_ml.data.parquet import to_parquet
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.models import export_model, fit_family, load_model
from fraud_ml.models.blend import Blend
from fraud_ml.models.calibrate import fit_platt
from fraud_ml.models.coding import Coder
from fraud_ml.models.family import Coded, Examples, Family
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.params import load_params
from fraud_ml.scoring.batch import score_fold
from fraud_ml.scoring.model import BatchModel
from fraud_ml.scoring.months import ScoresFolder
from fraud_ml.settings import PROJECT

CLAIMS, QUICK_CLAIMS = 1_000_000, 60_000
LEARNED_FROM = 20_000
FLAGGED_SHARE = 0.05
PEER = "lightgbm.txt"
MODELS = ("blend", "boosted_trees", "keras_tabular")


def run(*, quick: bool) -> Figures:
    """Measure in a temporary folder, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-bench."))
    claims, turns = (QUICK_CLAIMS, 1) if quick else (CLAIMS, 3)
    try:
        say(f"writing {claims:,} claims")
        _write_fold(home, _plain_motor(), claims)
        say("fitting the blend and LightGBM")
        _fit(home)
        measured = in_own_process("benchmarks.scoring", home, "measure", turns)
        say(f"seconds {measured['seconds']}")
        scored = in_own_process("benchmarks.scoring", home, "score")
        return _figures(**measured, peak_gib=scored["peak_gib"])
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _in_turns(home: Path, turns: int) -> dict[str, Any]:
    """Return every contender's seconds; asked of a process that has not trained, which leaves its threads alone."""
    from lightgbm import Booster

    contract, told = _plain_motor(), load(FoldManifest, home / "claims" / MANIFEST)
    models = {name: _opened(home, name) for name in MODELS}
    coded, table = _in_memory(home, told, models["blend"])
    lightgbm = Booster(model_file=home / PEER)
    threads = len(os.sched_getaffinity(0))
    answers = models["blend"].predictor.opened.answer_coded(coded)
    models["explained"] = replace(models["blend"], threshold=float(np.quantile(answers, 1 - FLAGGED_SHARE)))

    def batch(name: str) -> Callable[[], object]:
        return lambda: _score(home, told, contract, models[name])

    seconds = in_turns(
        turns,
        blend=batch("blend"),
        explained=batch("explained"),
        bare=lambda: models["blend"].predictor.opened.answer_coded(coded),
        lightgbm=lambda: lightgbm.predict(table, raw_score=True, num_threads=threads),
        trees=batch("boosted_trees"),
        network=batch("keras_tabular"),
    )
    return {"claims": told.claims, "seconds": seconds}


def _figures(claims: int, seconds: dict[str, list[float]], peak_gib: float) -> Figures:
    rates = {name: [claims / one for one in taken] for name, taken in seconds.items()}
    ratios = {
        peer: [mine / other for mine, other in zip(seconds["blend"], seconds[peer], strict=True)]
        for peer in ("bare", "lightgbm")
    }
    return {
        "rows_per_s": Figure.median_of(rates["blend"], "rows/s", note="blend; Parquet to Parquet"),
        "with_reasons_rows_per_s": Figure.median_of(
            rates["explained"], "rows/s", note=f"reasons for {FLAGGED_SHARE:.0%} of the claims"
        ),
        "over_bare_model": Figure.median_of(
            ratios["bare"], "ratio", peer=f"the model alone: {np.median(rates['bare']):,.0f} rows/s"
        ),
        "over_lightgbm_predict": Figure.median_of(
            ratios["lightgbm"], "ratio", peer=f"LightGBM's predict alone: {np.median(rates['lightgbm']):,.0f} rows/s"
        ),
        "trees_rows_per_s": Figure.median_of(rates["trees"], "rows/s"),
        "network_rows_per_s": Figure.median_of(rates["network"], "rows/s"),
        "peak_gib": Figure(round(peak_gib, 2), "GiB", note="resident, one process"),
    }


# --- what is scored, and by what ------------------------------------------------------------------------------------


def _plain_motor() -> Contract:
    """Return motor's contract as that of a source whose people lie in plain."""
    return load_contract("motor", PROJECT / "expectations").model_copy(update={"erasure": None})


def _write_fold(home: Path, contract: Contract, claims: int) -> None:
    """Leave the claims' fold in `<home>/claims`."""
    snapshot, scratch = home / "snapshot", home / "rows"
    for folder in (snapshot, scratch):
        folder.mkdir()
    files, rows = {}, 0
    for month, part in rows_by_recorded_month(claims, contract, scratch):
        name = f"{month}.parquet"
        (snapshot / name).write_bytes(to_parquet(part))
        files[name] = file_digest(snapshot / name)
        rows += part.num_rows
    manifest = SnapshotManifest("motor", "2025-12-31", "", rows, files, ())
    manifest = replace(manifest, digest=manifest.content_digest())
    fold(snapshot, manifest, contract, home / "claims")
    shutil.rmtree(scratch)


def _fit(home: Path) -> None:
    """Export the blend and its parts to `<home>/models`, and LightGBM's trees beside them."""
    from lightgbm import LGBMClassifier

    claims = motor(7, LEARNED_FROM).rounds[0]
    params = load_params(PROJECT / "params.yaml").training
    inputs = describe_inputs(claims.first, _plain_motor().features)
    train, validation = (Examples.of(frame, inputs) for frame in (claims.first, claims.validation))
    fitted: dict[str, Any] = {}
    for name in MODELS:
        model = fit_family(name, inputs, train, validation, params, progress=lambda _: None, fitted=fitted)
        if name == "blend":  # whatever validation thought of the parts, both are to work
            parts: dict[str, Any] = {part: fitted[part] for part in params.blend.families}
            model = cast(Family, Blend(inputs, parts, np.full(len(parts), 1 / len(parts), np.float32)))
        folder = home / "models" / name
        folder.mkdir(parents=True)
        calibration = fit_platt(model.logits(validation.columns), validation.labels)
        export_model(folder, name, model, inputs, calibration)
    peer = LGBMClassifier(**SETTINGS["motor"]["lightgbm"], random_state=7, verbose=-1)  # type: ignore[arg-type]
    peer.fit(codes(train.columns, inputs), train.labels, categorical_feature=list(range(len(inputs.categories))))
    peer.booster_.save_model(home / PEER)


def _opened(home: Path, name: str) -> BatchModel:
    predictor = load_model(home / "models" / name)
    manifest = predictor.manifest
    candidate = Candidate(
        "motor", "2025-12-31", name, "", "", manifest.model_digest, manifest.artifact_digest, ""
    ).sealed()
    return BatchModel("1", candidate, None, predictor)


def _in_memory(home: Path, told: FoldManifest, model: BatchModel) -> tuple[Coded, Any]:
    """Return all claims looked up for our model, and encoded for LightGBM."""
    from pyarrow import parquet

    inputs, coder = model.predictor.inputs, Coder(model.predictor.inputs)
    coded, tables = [], []
    for name in sorted(told.files):
        rows = parquet.read_table(home / "claims" / name, columns=list(inputs.names))
        coded += [coder.code_batch(batch) for batch in rows.combine_chunks().to_batches()]
        tables.append(codes(read_columns(rows.to_pandas(), inputs), inputs))
    cells, numbers = (np.concatenate([getattr(part, what) for part in coded]) for what in ("cells", "numbers"))
    return Coded(cells, numbers), np.concatenate(tables)


def _score(home: Path, told: FoldManifest, contract: Contract, model: BatchModel) -> None:
    out = home / "scores"
    shutil.rmtree(out, ignore_errors=True)
    score_fold(
        home / "claims", told, contract, SnapshotKeys("", {}), model, ScoresFolder(out), lambda _: None, reasons=3
    )


# --- a process of its own -------------------------------------------------------------------------------------------


def _main(home: Path, act: str, turns: str = "1") -> Any:
    if act == "measure":
        return _in_turns(home, int(turns))
    _score(home, load(FoldManifest, home / "claims" / MANIFEST), _plain_motor(), _opened(home, "blend"))
    return {"peak_gib": peak_gib()}


if __name__ == "__main__":
    print(json.dumps(_main(Path(sys.argv[1]), *sys.argv[2:])))
