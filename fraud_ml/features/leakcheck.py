"""Does anything that a model learns from know more than was known? Seven rules, LEAK001 to LEAK007, and a verdict."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.artifacts import Finding, Outcome, Severity, SnapshotManifest, Verdict
from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot, open_snapshot
from fraud_ml.features.labels import LEARNABLE, LabelState, label_states
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.features.maturity import log_rows
from fraud_ml.features.order import (
    ENCODES_ORDER,
    FEATURE,
    FEW_LEVELS,
    GIVES_LABEL_AWAY,
    TELLS_SOME,
    TELLS_TIME,
    Probe,
    probe,
)
from fraud_ml.features.poison import poison
from fraud_ml.features.replay import Featurise, differing_features, differing_labels, first_recorded, recorded_too_late
from fraud_ml.features.split import feature_columns

if TYPE_CHECKING:
    import pandas as pd

Freeze = Callable[["pd.DataFrame", Contract, date, Path], SnapshotManifest]  # log rows -> a snapshot in the folder
_PROBED = 200_000  # claims that a column's model is asked about, drawn at random
_AS_FOLDED = "the same value as in the log cut at the claim's own scoring time"


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
    later: "pd.DataFrame | None" = None,
    sample: int = 200,
    seed: int = 0,
    featurise: Featurise = feature_columns,
    freeze: Freeze = freeze_copy,
) -> LeakReport:
    """Judge a snapshot and the features made of it; a leak is a verdict, not an error.

    later: rows of the same log recorded after the as-of date; without them the poison alone stands for the future.
    sample: how many claims, drawn by `seed`, are computed again the slow way. Nothing outside a temporary folder is
    written. `featurise` and `freeze` are what is judged: by default those that training uses.
    """
    contract, as_of = snapshot.contract, date.fromisoformat(snapshot.manifest.as_of)
    rows = log_rows(snapshot, contract)
    learned = _learned(snapshot, contract, featurise)
    every = sorted(learned.claims[contract.key])
    keys = [every[place] for place in sorted(np.random.default_rng(seed).permutation(len(every))[:sample])]
    future = poison(rows, later, contract, as_of, seed)
    probes = tuple(_probes(rows, learned, contract, seed))
    findings = (
        *_replayed(keys, rows, learned, contract, as_of, featurise),
        _cut(rows, as_of),
        *_poisoned(snapshot, rows, future, learned, contract, as_of, featurise, freeze),
        *_probed(probes),
    )
    return LeakReport(
        dataset=contract.dataset,
        as_of=as_of.isoformat(),
        snapshot_digest=snapshot.manifest.digest,
        seed=seed,
        claims=len(learned.claims),
        sampled=len(keys),
        known_rows=len(rows),
        later_rows=0 if later is None else len(later),
        poison_rows=len(future),
        order_columns=tuple(found.column for found in probes if found.encodes_order),
        probes=probes,
        verdict=Verdict.of(
            f"the leak check of {contract.dataset} as of {as_of}", snapshot.manifest.digest, findings, rows=len(rows)
        ),
    )


def _learned(snapshot: Snapshot, contract: Contract, featurise: Featurise) -> Learned:
    claims = snapshot.claims()
    as_of = date.fromisoformat(snapshot.manifest.as_of)
    return Learned(claims, featurise(claims, contract), label_states(claims, contract, as_of))


# --- LEAK001 to LEAK003: the slow way -------------------------------------------------------------------------------


def _replayed(
    keys: list[str], rows: "pd.DataFrame", learned: Learned, contract: Contract, as_of: date, featurise: Featurise
) -> Iterator[Finding]:
    if not keys:
        yield Finding("LEAK001", "features as scored", Severity.STOP, Outcome.UNDECIDED, "a claim", "none")
        return
    differing = {n: c for n, c in differing_features(keys, rows, learned.claims, contract, featurise).items() if c}
    for column, count in differing.items():
        yield _finding(
            "LEAK001",
            "the feature knows more than was known when its claim was scored",
            passed=False,
            expected=_AS_FOLDED,
            arrived=f"another one for {count} of {len(keys)} claims",
            column=column,
            count=count,
            next_step="take the column from what was recorded by then, or give it the role `context` in contract.yaml",
        )
    if not differing:
        yield _finding(
            "LEAK001",
            "every feature is as it was when its claim was scored",
            expected=_AS_FOLDED,
            arrived=f"that, for {len(keys)} claims (so it fails for {3 / len(keys):.1%} at most, 95 %)",
        )
    states = learned.states.set_axis(learned.claims[contract.key])
    count = differing_labels(keys, rows, states, contract, as_of)
    yield _finding(
        "LEAK002",
        "every label is the one known at the as-of date",
        passed=not count,
        expected="the label state of the claim's own rows, read one by one up to the as-of date",
        arrived=f"another one for {count} of {len(keys)} claims",
        column=contract.label.column,
        count=count,
        next_step="compare the fold with the log's rows of those claims",
    )


def _cut(rows: "pd.DataFrame", as_of: date) -> Finding:
    count = recorded_too_late(rows, as_of)
    return _finding(
        "LEAK003",
        "the snapshot ends with its as-of date",
        passed=not count,
        expected=f"rows recorded before the end of {as_of} (UTC)",
        arrived=f"{count} of {len(rows)} rows recorded later",
        column="recorded_at",
        count=count,
        next_step="correct the cut, and freeze the date anew",
    )


# --- LEAK004: another future ----------------------------------------------------------------------------------------


def _poisoned(
    snapshot: Snapshot,
    rows: "pd.DataFrame",
    future: "pd.DataFrame",
    learned: Learned,
    contract: Contract,
    as_of: date,
    featurise: Featurise,
    freeze: Freeze,
) -> Iterator[Finding]:
    """Freeze the log again as it would be with another future, and compare digest, features and label states."""
    import pandas as pd

    with tempfile.TemporaryDirectory(prefix="fraud-ml-leakcheck-") as scratch:
        folder = Path(scratch) / "poisoned"
        manifest = freeze(pd.concat([rows, future], ignore_index=True), contract, as_of, folder)
        again = _learned(open_snapshot(folder, contract), contract, featurise)
    changed = _changed_columns(learned, again, contract)
    passed = manifest.digest == snapshot.manifest.digest and not changed
    same_rows = manifest.rows == snapshot.manifest.rows
    expected = f"digest {snapshot.manifest.digest[:12]}, the same features and label states"
    what = f"digest {manifest.digest[:12]}" + ("" if same_rows else f", {manifest.rows - len(rows):+,} rows")
    for column in changed or ([] if passed else ["recorded_at"]):
        yield _finding(
            "LEAK004",
            "what is recorded after the as-of date changes what is learned",
            passed=False,
            expected=expected,
            arrived=f"{what} once {len(future):,} poisoned rows were recorded after it",
            column=column,
            next_step="correct the cut by recorded time",
        )
    if passed:
        yield _finding(
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


# --- LEAK005 to LEAK007: one column alone ---------------------------------------------------------------------------


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


def _probed(probes: tuple[Probe, ...]) -> Iterator[Finding]:
    judged = [found for found in probes if found.role == FEATURE]
    for found in judged:
        if found.encodes_order:
            yield _finding(
                "LEAK005",
                "the feature tells when its claim was recorded",
                passed=False,
                expected=f"less than {ENCODES_ORDER:.0%} of the recorded order explained by it",
                arrived=f"{found.order_share:.0%}",
                column=found.column,
                share=found.order_share,
                next_step="a row number, an id or a calendar is no feature: give it another role in contract.yaml",
            )
        if found.learns_calendar:
            yield _finding(
                "LEAK006",
                "what the feature teaches holds for its own months only",
                passed=False,
                severity=Severity.STOP if found.order_share >= TELLS_TIME else Severity.WARN,
                expected="about the same area under the curve on random claims and on later ones",
                arrived=f"{found.auc_random:.2f} and {found.auc_forward:.2f}",
                column=found.column,
                next_step="see whether it stands for the labelling calendar",
            )
        if found.gives_label_away:
            yield _finding(
                "LEAK007",
                "the feature alone gives the label away",
                passed=False,
                expected=f"an area under its curve below {GIVES_LABEL_AWAY}",
                arrived=f"{found.auc_random:.3f}",
                column=found.column,
                next_step="see whether it is derived from the label, or recorded with it",
            )
    for code, title, caught in (
        ("LEAK005", "no feature tells when its claim was recorded", [p for p in judged if p.encodes_order]),
        ("LEAK006", "what a feature teaches holds for later claims", [p for p in judged if p.learns_calendar]),
        ("LEAK007", "no feature alone gives the label away", [p for p in judged if p.gives_label_away]),
    ):
        if not caught:
            yield _finding(code, title, expected="none", arrived=f"none of {len(judged)} features and pairs")


def _finding(
    code: str,
    title: str,
    *,
    expected: str,
    arrived: str,
    passed: bool = True,
    severity: Severity = Severity.STOP,
    column: str | None = None,
    count: int | None = None,
    share: float | None = None,
    next_step: str = "",
) -> Finding:
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Finding(code, title, severity, outcome, expected, arrived, column, count, share, next_step)
