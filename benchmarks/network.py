"""Whether it helps to know who is connected with whom, and what that costs.

LightGBM (settings as tuned for motor without these columns) learns from the simulated motor insurer's mature claims
twice, without and with the network columns of features/network over two years, and answers for the last mature year,
which chose nothing. Windows and columns are those of the features stage. Runs are of different insurers (seeds).

- `ap_without`, `ap_with`: average precision of confirmed fraud among investigated claims; `gain` is their difference.
- `observable_bayes_ap`: of the best score from a claim's own columns, which cannot know who was seen before;
  `full_bayes_ap`: of the best score by one who knows the rings' members as well.
- `ring_ap_without`, `ring_ap_with`, `ring_full_bayes_ap`: the same, of rings' frauds among them and the cleared claims.
- `ring_score_alone_ap`: the same, where claims are ordered by `network_ring_score` and nothing else.
- `claims_per_cpu_s`, `peak_gib`: of computing the columns in a process of its own, from a log of made-up claims with
  240 garages and three quarters as many telephones, addresses and claimants as claims. `time_exponent` is that of CPU
  seconds against a quarter of the claims over the same three years: 1 is linear.
"""

import json
import math
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._claim_rows import rows_by_recorded_month
from benchmarks._quality_peers import lightgbm
from benchmarks._quality_settings import SETTINGS
from benchmarks.harness import Figure, Figures, in_own_process, peak_gib, say
from fraud_ml.artifacts import FoldManifest, SnapshotManifest, file_digest, load, save
from fraud_ml.contract import Column, Contract, Network, load_contract
from fraud_ml.data.fold import MANIFEST, fold, read_fold
from fraud_ml.data.parquet import by_recorded_month, to_parquet
from fraud_ml.data.snapshots import read_manifest
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.data.tables import log_schema
from fraud_ml.features.network import read_network, write_network
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.models.ranking import average_precision
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

CLAIMS, QUICK_CLAIMS, SEEDS, QUICK_SEEDS = 120_000, 30_000, (0, 1, 2, 3, 4), (0,)
COST_CLAIMS, QUICK_COST_CLAIMS = 1_000_000, 40_000
BEGIN, AS_OF = date(2020, 1, 1), date(2025, 12, 31)
NETWORK = Network(
    window_days=730,
    parties={
        "claimant_id": "person",
        "witness_ids": "person",
        "garage_id": "garage",
        "phone_id": "phone",
        "address_id": "address",
    },
)
_NO_KEYS = SnapshotKeys("", {})


@dataclass(frozen=True)
class Judged:
    """The test window's labels, and scores for it; `is_ring` marks the frauds that a ring made."""

    label: "NDArray[np.int8]"
    is_ring: "NDArray[np.bool_]"
    scores: "dict[str, NDArray[np.float64]]"

    def ap(self, name: str) -> float:
        return average_precision(self.label, self.scores[name])

    def ring_ap(self, name: str) -> float:
        asked = (self.label == 0) | self.is_ring
        return average_precision(self.label[asked], self.scores[name][asked])


def run(*, quick: bool) -> Figures:
    """Measure in a temporary folder, which is gone afterwards."""
    claims, seeds = (QUICK_CLAIMS, QUICK_SEEDS) if quick else (CLAIMS, SEEDS)
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-bench."))
    try:
        judged = []
        for seed in seeds:
            say(f"insurer {seed}: {claims:,} claims")
            judged.append(_judged(home / f"insurer-{seed}", seed, claims))
        return {**_quality(judged), **_cost(home, QUICK_COST_CLAIMS if quick else COST_CLAIMS)}
    finally:
        shutil.rmtree(home, ignore_errors=True)


# --- does it help? --------------------------------------------------------------------------------------------------


def _judged(home: Path, seed: int, claims: int) -> Judged:
    """Return what LightGBM says of the test window, with and without the network's columns."""
    import pandas as pd

    from fraud_ml.data.simulator import stream
    from fraud_ml.features.split import split_claims
    from fraud_ml.params import load_params
    from fraud_ml.validation.quarantine import digest_key

    contract = _connected_motor()
    parts = list(stream("motor", claims=claims, seed=seed, begin=BEGIN, end=AS_OF))
    rows = _log_rows([part.rows for part in parts], contract)
    _lay_out(home, ((f"{month:%Y-%m}", of_month) for month, of_month in by_recorded_month(rows)), contract)
    _measure(home, contract)
    told = load(FoldManifest, home / "claims" / MANIFEST)
    found = read_fold(home / "claims", contract, snapshot_digest=told.snapshot_digest, keys=_NO_KEYS)
    found = found.join(read_network(home / "network", told, contract), on=contract.key)
    frames = split_claims(found, contract, AS_OF, set(), load_params(PROJECT / "params.yaml").features).frames
    whole, test = pd.concat([frames["train"], frames["validation"]], ignore_index=True), frames["test"]
    truth = pd.concat([part.truth.to_pandas() for part in parts], ignore_index=True)
    truth = truth.set_index(truth[contract.key].map(digest_key)).loc[test["key_sha256"]]
    connected = [column for column in contract.network_features if column.name in test.columns]
    scores = {
        "without": _answers(whole, test, list(contract.features), seed),
        "with": _answers(whole, test, [*contract.features, *connected], seed),
        "observable": truth["p_observable"].to_numpy(),
        "full": truth["p_all"].to_numpy(),
        "ring_score": test["network_ring_score"].fillna(0).to_numpy(),
    }
    label = test["label"].to_numpy()
    return Judged(label, (label == 1) & truth["ring_id"].notna().to_numpy(), scores)


def _answers(whole: "pd.DataFrame", test: "pd.DataFrame", features: list[Column], seed: int) -> "NDArray[np.float64]":
    inputs = describe_inputs(whole, features)
    answer = lightgbm(SETTINGS["motor"]["lightgbm"])(inputs, Examples.of(whole, inputs), seed)
    return answer(read_columns(test, inputs))


def _quality(judged: list[Judged]) -> Figures:
    def over_seeds(name: str, note: str, *, ring: bool = False) -> Figure:
        runs = [one.ring_ap(name) if ring else one.ap(name) for one in judged]
        return Figure.median_of(runs, "ratio", peer="LightGBM" if name.startswith("with") else None, note=note)

    rings = f"rings' frauds, {', '.join(str(int(one.is_ring.sum())) for one in judged)} of them"
    frauds = f"of {', '.join(f'{one.label.sum()} in {len(one.label)}' for one in judged)} claims"
    gains = {
        "gain": [one.ap("with") - one.ap("without") for one in judged],
        "ring_gain": [one.ring_ap("with") - one.ring_ap("without") for one in judged],
    }
    return {
        "ap_without": over_seeds("without", frauds),
        "ap_with": over_seeds("with", frauds),
        **{name: Figure.median_of(runs, "ratio", note="on the same claims") for name, runs in gains.items()},
        "observable_bayes_ap": over_seeds("observable", "the best of a claim's own columns"),
        "full_bayes_ap": over_seeds("full", "the best of one who knows the rings' members"),
        "ring_ap_without": over_seeds("without", rings, ring=True),
        "ring_ap_with": over_seeds("with", rings, ring=True),
        "ring_full_bayes_ap": over_seeds("full", rings, ring=True),
        "ring_score_alone_ap": over_seeds("ring_score", rings, ring=True),
    }


# --- what does it cost? ---------------------------------------------------------------------------------------------


def _cost(home: Path, claims: int) -> Figures:
    contract, measured = _connected_motor(), {}
    for name, count in (("whole", claims), ("quarter", claims // 4)):
        place = home / name
        (place / "scratch").mkdir(parents=True)
        say(f"connecting {count:,} claims")
        _lay_out(place, rows_by_recorded_month(count, contract, place / "scratch"), contract)
        measured[name] = in_own_process("benchmarks.network", place)
    spent, quarter = measured["whole"]["cpu_s"], measured["quarter"]["cpu_s"]
    return {
        "claims_per_cpu_s": Figure(round(claims / spent), "1/s", note=f"{claims:,} claims in {spent:.0f} CPU seconds"),
        "peak_gib": Figure(round(measured["whole"]["peak_gib"], 2), "GiB", note="resident, a process of its own"),
        "time_exponent": Figure(round(math.log(spent / quarter, 4), 2), "", note="against a quarter of the claims"),
    }


def _measure(home: Path, contract: Contract) -> dict[str, float]:
    """Compute the columns of the claims in `home`; return CPU seconds, all threads', and the peak so far."""
    (home / "network").mkdir()
    snapshot, told = home / "snapshot", load(FoldManifest, home / "claims" / MANIFEST)
    begin = time.process_time()
    write_network(snapshot, read_manifest(snapshot), home / "claims", told, contract, _NO_KEYS, home / "network")
    return {"cpu_s": time.process_time() - begin, "peak_gib": peak_gib()}


# --- the logs -------------------------------------------------------------------------------------------------------


def _connected_motor() -> Contract:
    """Return motor's contract with a network, its people in plain: figures are of the network, and not of AES."""
    contract = load_contract("motor", PROJECT / "expectations")
    separator, nobody = contract.separator("witness_ids"), contract.nobody("witness_ids")
    columns = tuple(
        column.model_copy(update={"joined_by": separator, "nothing": nobody})
        if column.name == "witness_ids"
        else column
        for column in contract.columns
    )
    return contract.model_copy(update={"erasure": None, "network": NETWORK, "columns": columns})


def _log_rows(parts: "list[pa.Table]", contract: Contract) -> "pa.Table":
    """Return simulated rows as the log holds them, in the order in which they were recorded."""
    import pyarrow as pa

    rows = pa.concat_tables(parts, promote_options="permissive")
    source = {**{name: name for name in rows.column_names}, "event_time": "accident_date"}
    columns = {field.name: rows[source[field.name]].cast(field.type) for field in log_schema(contract)}
    return pa.table(columns).sort_by([("recorded_at", "ascending"), (contract.key, "ascending")])


def _lay_out(home: Path, months: Any, contract: Contract) -> None:
    """Leave (month, its rows) as a snapshot of closed months in `home`, and beside it the fold."""
    (home / "snapshot" / "log").mkdir(parents=True)
    files, rows = {}, 0
    for month, table in months:
        path = home / "snapshot" / "log" / f"{month}.parquet"
        path.write_bytes(to_parquet(table))
        files[f"log/{month}.parquet"] = file_digest(path)
        rows += table.num_rows
    manifest = SnapshotManifest(contract.dataset, AS_OF.isoformat(), "", rows, files, ("bench",))
    manifest = replace(manifest, digest=manifest.content_digest())
    save(manifest, home / "snapshot" / "manifest.json")
    fold(home / "snapshot", manifest, contract, home / "claims")


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), _connected_motor())))
