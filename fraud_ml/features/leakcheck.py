"""Does anything that a model learns from know more than was known? Seven rules, LEAK001 to LEAK007, and a verdict."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.artifacts import Finding, SnapshotManifest, Verdict
from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot, open_snapshot
from fraud_ml.features.labels import LEARNABLE, LabelState, label_states
from fraud_ml.features.leak_rules import cut, finding, probed, replayed
from fraud_ml.features.log_copy import freeze_copy, log_rows, opened
from fraud_ml.features.network import network_of
from fraud_ml.features.order import ENCODES_ORDER, FEATURE, FEW_LEVELS, TELLS_SOME, Probe, probe
from fraud_ml.features.poison import poison
from fraud_ml.features.replay import Featurise, first_recorded
from fraud_ml.features.split import feature_columns
from fraud_ml.validation.quarantine import digest_key

if TYPE_CHECKING:
    import pandas as pd

Connect = Callable[[Snapshot], "pd.DataFrame"]  # a snapshot -> its claims' network columns, by key
Freeze = Callable[["pd.DataFrame", Contract, date, Path], SnapshotManifest]  # log rows -> a snapshot in the folder
_PROBED = 200_000  # claims that a column's model is asked about, drawn at random


@dataclass(frozen=True)
class LeakReport:
    """What was tried, and the verdict. `probes` hold every column, those that are no features too."""

    dataset: str
    as_of: str
    snapshot_digest: str
    seed: int
    claims: int
    sampled: int
    known_rows: int
    later_rows: int  # really recorded after the as-of date, as far as they are at hand
    poison_rows: int
    order_columns: tuple[str, ...]  # those that tell the recorded order, whatever their role
    probes: tuple[Probe, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Learned:
    """What would be learned from a snapshot: its claims, their features (on the same index) and label states."""

    claims: "pd.DataFrame"
    features: "pd.DataFrame"
    states: "pd.Series[str]"


def check_leaks(
    snapshot: Snapshot,
    *,
    windows: "pd.DataFrame | None" = None,
    later: "pd.DataFrame | None" = None,
    sample: int = 200,
    seed: int = 0,
    featurise: Featurise = feature_columns,
    connect: Connect = network_of,
    freeze: Freeze = freeze_copy,
) -> LeakReport:
    """Judge a snapshot and the features made of it; a leak is a verdict, not an error.

    windows: the rows that the features stage wrote from this snapshot, in one frame; they are computed again as well.
    later: rows of the same log recorded after the as-of date; without them the poison alone stands for the future.
    sample: how many claims, drawn by `seed`, are computed again the slow way. Nothing outside a temporary folder is
    written. `featurise`, `connect` and `freeze` are what is judged: by default those that training uses.
    """
    contract, as_of = snapshot.contract, date.fromisoformat(snapshot.manifest.as_of)
    stored = log_rows(snapshot, contract)  # as they lie at rest: frozen again they give the same bytes
    rows = opened(stored, snapshot)
    learned = _learned(snapshot, contract, featurise, connect)
    features = learned.features.set_axis(learned.claims[contract.key])
    states = learned.states.set_axis(learned.claims[contract.key])
    drawn = _drawn(states.index, sample, seed)
    future = poison(stored, later, contract, as_of, seed)
    probes = tuple(_probes(rows, learned, contract, seed))
    findings = (
        *replayed(features.loc[drawn], states.loc[drawn], rows, contract, as_of, featurise),
        *([] if windows is None else _written(windows, learned, rows, contract, as_of, featurise, sample, seed)),
        cut(rows, as_of),
        *_poisoned(snapshot, stored, future, learned, contract, as_of, featurise, connect, freeze),
        *probed(probes),
    )
    return LeakReport(
        dataset=contract.dataset,
        as_of=as_of.isoformat(),
        snapshot_digest=snapshot.manifest.digest,
        seed=seed,
        claims=len(learned.claims),
        sampled=len(drawn),
        known_rows=len(rows),
        later_rows=0 if later is None else len(later),
        poison_rows=len(future),
        order_columns=tuple(found.column for found in probes if found.encodes_order),
        probes=probes,
        verdict=Verdict.of(
            f"the leak check of {contract.dataset} as of {as_of}", snapshot.manifest.digest, findings, rows=len(rows)
        ),
    )


def _learned(snapshot: Snapshot, contract: Contract, featurise: Featurise, connect: Connect) -> Learned:
    import pandas as pd

    claims = snapshot.claims()
    as_of = date.fromisoformat(snapshot.manifest.as_of)
    features = featurise(claims, contract)
    if contract.network:
        network = connect(snapshot).loc[claims[contract.key]].set_axis(features.index)
        features = pd.concat([features, network], axis=1)
    return Learned(claims, features, label_states(claims, contract, as_of))


def _drawn(keys: "pd.Index[str]", sample: int, seed: int) -> list[str]:
    every = sorted(keys)
    return [every[place] for place in sorted(np.random.default_rng(seed).permutation(len(every))[:sample])]


def _written(
    windows: "pd.DataFrame",
    learned: Learned,
    rows: "pd.DataFrame",
    contract: Contract,
    as_of: date,
    featurise: Featurise,
    sample: int,
    seed: int,
) -> Iterator[Finding]:
    """Judge written rows (features, `key_sha256`, `label`) as what was computed from the snapshot here is judged."""
    keys = learned.claims[contract.key]
    known = windows["key_sha256"].map(dict(zip(keys.map(digest_key), keys, strict=True)))
    strange = int(known.isna().sum())
    yield finding(
        "LEAK003",
        "the windows hold claims of the snapshot only",
        passed=not strange,
        expected="claims of this snapshot",
        arrived=f"{strange} of {len(windows)} rows of other claims",
        column="key_sha256",
        count=strange,
        next_step="run the features stage again on this snapshot",
    )
    written = windows[known.notna()].set_axis(known.dropna())
    written = written.loc[_drawn(written.index, sample, seed)]
    states = written["label"].map({1: str(LabelState.CONFIRMED), 0: str(LabelState.CLEARED)})
    features = written.drop(columns=["key_sha256", "event_time", "label"])
    yield from replayed(features, states, rows, contract, as_of, featurise, where=" in the windows")


def _probes(rows: "pd.DataFrame", learned: Learned, contract: Contract, seed: int) -> Iterator[Probe]:
    """Probe every feature, every pair of features that tell some of the order, and every column but the label."""
    recorded = learned.claims[contract.key].map(first_recorded(rows, contract))
    label = np.where(learned.states == LabelState.CONFIRMED, 1.0, 0.0)
    label[~learned.states.isin(LEARNABLE).to_numpy()] = np.nan
    drawn = np.sort(np.random.default_rng(seed).permutation(len(label))[:_PROBED])
    claims, features = learned.claims.iloc[drawn], learned.features.iloc[drawn]
    recorded, label = recorded.iloc[drawn], label[drawn]
    found = [probe(features[name], FEATURE, recorded, label, seed=seed) for name in features.columns]
    yield from found
    partial = [part.column for part in found if TELLS_SOME <= part.order_share < ENCODES_ORDER]
    for one, other in combinations([name for name in partial if features[name].nunique() <= FEW_LEVELS], 2):
        both = (features[one].astype(str) + " " + features[other].astype(str)).rename(f"{one} with {other}")
        yield probe(both, FEATURE, recorded, label, seed=seed)
    for column in contract.columns:
        if column.name not in features.columns and column.name != contract.label.column:
            yield probe(claims[column.name], column.role, recorded, label, seed=seed)


# --- LEAK004: another future ----------------------------------------------------------------------------------------


def _poisoned(
    snapshot: Snapshot,
    rows: "pd.DataFrame",
    future: "pd.DataFrame",
    learned: Learned,
    contract: Contract,
    as_of: date,
    featurise: Featurise,
    connect: Connect,
    freeze: Freeze,
) -> Iterator[Finding]:
    """Freeze the log again as it would be with another future, and compare digest, features and label states."""
    import pandas as pd

    with tempfile.TemporaryDirectory(prefix="fraud-ml-leakcheck-") as scratch:
        folder = Path(scratch) / "poisoned"
        manifest = freeze(pd.concat([rows, future], ignore_index=True), contract, as_of, folder)
        again = _learned(open_snapshot(folder, contract, keys=snapshot.keys), contract, featurise, connect)
    changed = _changed_columns(learned, again, contract)
    passed = manifest.digest == snapshot.manifest.digest and not changed
    same_rows = manifest.rows == snapshot.manifest.rows
    expected = f"digest {snapshot.manifest.digest[:12]}, the same features and label states"
    what = f"digest {manifest.digest[:12]}" + ("" if same_rows else f", {manifest.rows - len(rows):+,} rows")
    for column in changed or ([] if passed else ["recorded_at"]):
        yield finding(
            "LEAK004",
            "what is recorded after the as-of date changes what is learned",
            passed=False,
            expected=expected,
            arrived=f"{what} once {len(future):,} poisoned rows were recorded after it",
            column=column,
            next_step="correct the cut by recorded time",
        )
    if passed:
        yield finding(
            "LEAK004",
            "nothing that is recorded after the as-of date changes what is learned",
            expected=expected,
            arrived=f"the same with {len(future):,} poisoned rows recorded after it",
        )


def _changed_columns(learned: Learned, again: Learned, contract: Contract) -> list[str]:
    keys, other = learned.claims[contract.key], again.claims[contract.key]
    if list(keys) != list(other):  # claims appeared or vanished: what the others hold is compared all the same
        common = sorted(set(keys) & set(other))
        learned, again = _only(learned, keys, common), _only(again, other, common)
        changed = ["recorded_at"]
    else:
        changed = []
    for name in learned.features.columns:
        before, after = learned.features[name].reset_index(drop=True), again.features[name].reset_index(drop=True)
        if not before.equals(after):
            changed.append(str(name))
    if list(learned.states) != list(again.states):
        changed.append(contract.label.column)
    return changed


def _only(learned: Learned, keys: "pd.Series[str]", wanted: list[str]) -> Learned:
    inside = keys.isin(wanted)
    return Learned(learned.claims[inside], learned.features[inside], learned.states[inside])
