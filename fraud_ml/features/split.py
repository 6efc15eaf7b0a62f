"""Which claims train, validate and test: windows by event time, the test window being the last mature months.

There is no random split here: claims of one month share a labelling practice, and a random split lets a model learn it.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Mapping
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
    set_aside = quarantined_keys(workspace.quarantine)
    split = split_claims(claims, contract, date.fromisoformat(manifest.as_of), set_aside, params)
    _require_set_aside(split.left_out.get(QUARANTINED, 0), verdict, workspace.quarantine)
    report = FeatureReport(
        dataset=manifest.dataset,
        as_of=manifest.as_of,
        snapshot_digest=manifest.digest,
        features=tuple(column.name for column in contract.features),
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
    everything earlier. Each claim is in exactly one window or counted in `left_out`. Where the contract says so, the
    labelled claims of months in which recording stopped are left out, frauds and others alike.
    Raises Undefined naming the window that holds fewer than `min_positives` confirmed frauds, or nothing else.
    """
    import pandas as pd

    keys = claims[contract.key].map(digest_key)
    states = label_states(claims, contract, as_of)
    if contract.label.recording_stopped is RecordingStopped.LEAVE_OUT:
        stopped = event_months(claims).isin(find_stopped(claims, contract, as_of).stopped)
        states = states.mask(stopped & states.isin(LEARNABLE), RECORDING_STOPPED)
    states = states.mask(keys.isin(list(quarantined)), QUARANTINED)
    usable = states.isin(LEARNABLE)
    left_out = dict(sorted(Counter(states[~usable]).items()))

    end = mature_until(as_of, contract.label.maturity_days) + timedelta(days=1)
    test_begin = months_before(end, params.test_months)
    validation_begin = months_before(test_begin, params.validation_months)
    _require_free_names([column.name for column in contract.features])
    learned = feature_columns(claims[usable], contract).assign(
        key_sha256=keys[usable],
        event_time=claims.loc[usable, "event_time"],
        label=(states[usable] == LabelState.CONFIRMED).astype("int8"),
    )
    learned = learned.sort_values(["event_time", "key_sha256"], ignore_index=True)
    first = learned["event_time"].min() if len(learned) else pd.Timestamp(validation_begin)
    bounds = {
        "train": (min(first.date(), validation_begin), validation_begin),
        "validation": (validation_begin, test_begin),
        "test": (test_begin, end),
    }
    frames, windows = {}, {}
    for name, (begin, until) in bounds.items():
        inside = (learned["event_time"] >= pd.Timestamp(begin)) & (learned["event_time"] < pd.Timestamp(until))
        frames[name] = learned[inside].reset_index(drop=True)
        positives = int(frames[name]["label"].sum())
        windows[name] = Window(begin.isoformat(), until.isoformat(), len(frames[name]), positives)
        _require_both_classes(name, windows[name], params.min_positives)
    return Split(frames, windows, left_out)


def feature_columns(claims: "pd.DataFrame", contract: Contract) -> "pd.DataFrame":
    """Return what a model may see of each claim of the fold, on its index: the contract's features, in their order."""
    return claims[[column.name for column in contract.features]]


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
    taken = sorted({"key_sha256", "event_time", "label"} & set(features))
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
