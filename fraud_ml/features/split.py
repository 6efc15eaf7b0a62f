"""Which claims train, validate and test: windows by event time, the test window being the last mature months.

There is no random split here: claims of one month share a labelling practice, and a random split lets a model learn it.
Windows lie `gap_days` apart, and claims that share a policy, a person or a garage, as the contract says, never lie in
two of them: the earlier is left out, so that the test window stays whole.
"""

import tempfile
from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import FeatureReport, Verdict, Window, Workspace, load, save, whole_folder
from fraud_ml.contract import Contract, RecordingStopped, load_contract
from fraud_ml.errors import BadInput, Tampered, Undefined
from fraud_ml.features.labels import LEARNABLE, LabelState, label_states, mature_until
from fraud_ml.features.recording import event_months, find_stopped
from fraud_ml.features.windows import REPORT, write_window
from fraud_ml.params import FeatureParams
from fraud_ml.validation.quarantine import digest_key, quarantined_keys

if TYPE_CHECKING:
    import pandas as pd

QUARANTINED = "quarantined"
RECORDING_STOPPED = "recording_stopped"
_NO_FEATURES = ("key_sha256", "event_time", "label")  # what windows hold beside the features
GAP = "gap"  # between two windows
SHARED_GROUP = "shared_group"  # with a claim of a later window


@dataclass(frozen=True)
class Split:
    """The windows' frames (feature columns, `key_sha256`, `event_time`, `label`) and what was left out, and why."""

    frames: "Mapping[str, pd.DataFrame]"
    windows: Mapping[str, Window]
    left_out: Mapping[str, int]


def build_windows(workspace: Workspace, params: FeatureParams) -> FeatureReport:
    """Split the accepted snapshot; afterwards `workspace.features` holds the three windows and their report.

    Raises NotAccepted unless the verdict accepts exactly this snapshot, Tampered when the claims or the set-aside rows
    are not those that were judged, Undefined when a window holds too few frauds to learn or to judge from.
    """
    from fraud_ml.data.fold import read_fold
    from fraud_ml.data.snapshots import read_manifest

    manifest = read_manifest(workspace.snapshot)
    contract = load_contract(manifest.dataset, workspace.expectations)
    verdict = load(Verdict, workspace.validation_verdict)
    verdict.require_accepted(subject_digest=manifest.digest)
    claims = read_fold(workspace.claims, contract, snapshot_digest=manifest.digest)
    if contract.network:
        claims = _connected(claims, workspace, contract)
    set_aside = quarantined_keys(workspace.quarantine)
    split = split_claims(claims, contract, date.fromisoformat(manifest.as_of), set_aside, params)
    _require_set_aside(split.left_out.get(QUARANTINED, 0), verdict, workspace.quarantine)
    report = FeatureReport(
        dataset=manifest.dataset,
        as_of=manifest.as_of,
        snapshot_digest=manifest.digest,
        features=tuple(name for name in split.frames["train"].columns if name not in _NO_FEATURES),
        claims=len(claims),
        train=split.windows["train"],
        validation=split.windows["validation"],
        test=split.windows["test"],
        left_out=split.left_out,
    )
    with whole_folder(workspace.features) as folder:
        for name, frame in split.frames.items():
            write_window(frame, folder / f"{name}.parquet", contract)
        save(report, folder / REPORT)
    return report


def split_claims(
    claims: "pd.DataFrame", contract: Contract, as_of: date, quarantined: Collection[str], params: FeatureParams
) -> Split:
    """Return the windows of `claims`, the fold as known at `as_of`; `quarantined` holds SHA-256 of keys, as hex.

    The test window is the `test_months` up to the last mature day, validation the `validation_months` before it, train
    everything earlier, with `gap_days` between them. Each claim is in exactly one window or counted in `left_out`.
    Where the contract says so, the labelled claims of months in which recording stopped are left out, frauds and others
    alike, and those that share a group with a claim of a later window. A network column that says the same of every
    claim to learn from (nobody was caught twice yet, say) is in no window.
    Raises Undefined naming the window that holds fewer than `min_positives` confirmed frauds, or nothing else.
    """

    keys = claims[contract.key].map(digest_key)
    states = label_states(claims, contract, as_of)
    if contract.label.recording_stopped is RecordingStopped.LEAVE_OUT:
        stopped = event_months(claims).isin(find_stopped(claims, contract, as_of).stopped)
        states = states.mask(stopped & states.isin(LEARNABLE), RECORDING_STOPPED)
    states = states.mask(keys.isin(list(quarantined)), QUARANTINED)
    usable = states.isin(LEARNABLE)
    bounds = _window_bounds(claims.loc[usable, "event_time"], contract, as_of, params)
    window = _window_of(claims["event_time"], bounds)
    states = states.mask(usable & (window == GAP), GAP)
    shared = usable & _shares_with_later(claims, window.where(usable), contract.split.groups)
    states = states.mask(shared, SHARED_GROUP)
    usable = states.isin(LEARNABLE)

    _require_free_names([column.name for column in contract.features])
    learned = feature_columns(claims[usable], contract).assign(
        key_sha256=keys[usable],
        event_time=claims.loc[usable, "event_time"],
        label=(states[usable] == LabelState.CONFIRMED).astype("int8"),
    )
    silent = _silent(learned[window[usable] == "train"], contract)
    frames, windows = {}, {}
    for name, (begin, until) in bounds.items():
        inside = learned[window[usable] == name].drop(columns=silent)
        frames[name] = inside.sort_values(["event_time", "key_sha256"], ignore_index=True)
        positives = int(frames[name]["label"].sum())
        windows[name] = Window(begin.isoformat(), until.isoformat(), len(frames[name]), positives)
        _require_both_classes(name, windows[name], params.min_positives)
    return Split(frames, windows, dict(sorted(Counter(states[~usable]).items())))


def _window_bounds(
    times: "pd.Series[pd.Timestamp]", contract: Contract, as_of: date, params: FeatureParams
) -> dict[str, tuple[date, date]]:
    """Return [begin, end) of train, validation and test; train begins with the first of `times`."""
    gap = timedelta(days=params.gap_days)
    end = mature_until(as_of, contract.label.maturity_days) + timedelta(days=1)
    test_begin = months_before(end, params.test_months)
    validation_end = test_begin - gap
    validation_begin = months_before(validation_end, params.validation_months)
    train_end = validation_begin - gap
    first = times.min().date() if len(times) else train_end
    return {
        "train": (min(first, train_end), train_end),
        "validation": (validation_begin, validation_end),
        "test": (test_begin, end),
    }


def _window_of(times: "pd.Series[pd.Timestamp]", bounds: Mapping[str, tuple[date, date]]) -> "pd.Series[str]":
    """Return the name of each claim's window, or GAP where it lies between two, or outside."""
    import pandas as pd

    window = pd.Series(GAP, index=times.index, dtype="str")
    for name, (begin, until) in bounds.items():
        window[(times >= pd.Timestamp(begin)) & (times < pd.Timestamp(until))] = name
    return window


def _shares_with_later(claims: "pd.DataFrame", window: "pd.Series[str]", groups: Sequence[str]) -> "pd.Series[bool]":
    """Say of each claim whether a later window has a claim of one of its groups; unused claims have no window."""
    import pandas as pd

    order = window.map({"train": 0, "validation": 1, "test": 2})  # NaN elsewhere
    shared = pd.Series(False, index=claims.index)
    for name in groups:
        latest = order.groupby(claims[name]).transform("max")  # missing where the group is
        shared |= latest > order
    return shared


def feature_columns(claims: "pd.DataFrame", contract: Contract) -> "pd.DataFrame":
    """Return what a model may see of each claim, on its index: the contract's features, in their order.

    Where `claims` hold network columns beside those of the fold, these come last.
    """
    network = [column.name for column in contract.network_features if column.name in claims.columns]
    return claims[[*(column.name for column in contract.features), *network]]


def _connected(claims: "pd.DataFrame", workspace: Workspace, contract: Contract) -> "pd.DataFrame":
    """Return the claims of the workspace's fold with their network columns. Raises Tampered for changed log rows."""
    from fraud_ml.data.fold import verify_fold
    from fraud_ml.data.snapshots import open_snapshot
    from fraud_ml.features.network import read_network, write_network

    snapshot, fold = open_snapshot(workspace.snapshot, contract), verify_fold(workspace.claims)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-network-") as scratch:
        into = Path(scratch)
        write_network(snapshot.folder, snapshot.manifest, workspace.claims, fold, contract, snapshot.keys, into)
        return claims.join(read_network(into, fold, contract), on=contract.key)


def _silent(claims: "pd.DataFrame", contract: Contract) -> list[str]:
    """Return the network columns that say the same of all these claims."""
    held = [column.name for column in contract.network_features if column.name in claims.columns]
    return [name for name in held if claims[name].nunique(dropna=False) < 2]


def months_before(day: date, months: int) -> date:
    """Return the same day `months` calendar months earlier, or that month's last day where it has no such day.

    >>> months_before(date(1997, 1, 1), 12), months_before(date(2024, 3, 31), 1)
    (datetime.date(1996, 1, 1), datetime.date(2024, 2, 29))
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _require_set_aside(arrived: int, verdict: Verdict, path: Path) -> None:
    if arrived < verdict.quarantined_rows:
        raise Tampered(
            f"{path}: names fewer claims than the verdict set aside",
            expected=f"{verdict.quarantined_rows}",
            arrived=f"{arrived}",
            next_step="run the validate stage again",
            path=str(path),
        )


def _require_free_names(features: list[str]) -> None:
    taken = sorted(set(_NO_FEATURES) & set(features))
    if taken:
        raise BadInput(
            f"a feature may not be named `{taken[0]}`: windows hold something else under that name",
            next_step="rename the column at its source, or give it another role in contract.yaml",
            column=taken[0],
        )


def _require_both_classes(name: str, window: Window, min_positives: int) -> None:
    span = f"the {name} window [{window.begin}, {window.end})"
    if window.positives < min_positives:
        raise Undefined(
            f"{span} holds too few confirmed frauds",
            expected=f"at least {min_positives}",
            arrived=f"{window.positives} in {window.rows} mature, labelled claims",
            next_step="take a later as-of date, other window lengths, or lower features.min_positives in params.yaml",
            window=name,
        )
    if window.positives == window.rows:
        raise Undefined(
            f"{span} holds confirmed frauds only",
            expected="claims of both classes",
            arrived=f"{window.positives} frauds in {window.rows} claims",
            next_step="see whether cleared claims are recorded (contract: label.negative)",
            window=name,
        )
