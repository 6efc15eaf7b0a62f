"""The slow way to a claim's features and label: plain pandas over the log's rows, cut at the claim's own time.

It shares nothing with the DuckDB fold but the contract, so that the two can disagree.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud_ml.contract import Contract
from fraud_ml.features.labels import LabelState
from fraud_ml.features.network_replay import NetworkReplay

if TYPE_CHECKING:
    import pandas as pd

Featurise = Callable[["pd.DataFrame", Contract], "pd.DataFrame"]  # the fold's claims -> what a model may see of them


def first_recorded(rows: "pd.DataFrame", contract: Contract) -> "pd.Series[Any]":
    """Return when each claim came into the log, by key: the moment at which it is scored."""
    return rows.groupby(contract.key)["recorded_at"].min()


def differing_features(
    fast: "pd.DataFrame", rows: "pd.DataFrame", contract: Contract, featurise: Featurise
) -> dict[str, int]:
    """Return, for each feature, how many claims have another value in the log cut at their own scoring time.

    fast: features by key, as they are learned from; rows: every row known of any claim. A column of the log is looked
    up in the claim's own rows first; what does not agree there, and what is computed, is computed again from
    everything recorded by then. What the contract's `network` adds is computed again from everything before.
    """
    scored_at = first_recorded(rows, contract)
    ordered = rows.sort_values("recorded_at", kind="stable")
    moments = ordered["recorded_at"].to_numpy()
    own = dict(list(ordered[ordered[contract.key].isin(fast.index)].groupby(contract.key)))
    differing = dict.fromkeys(fast.columns, 0)
    network = [column.name for column in contract.network_features if column.name in fast.columns]
    if network and contract.network:
        replay = NetworkReplay(ordered, contract, contract.network)
        for key in fast.index:
            slow = replay.of(key)
            for name in network:
                differing[name] += not _equal(fast.at[key, name], slow[name])
        fast = fast.drop(columns=network)
    for key in fast.index:
        then = own[key][own[key]["recorded_at"] <= scored_at[key]].iloc[-1]
        doubtful = [
            name for name in fast.columns if name not in then.index or not _equal(fast.at[key, name], then[name])
        ]
        if not doubtful:
            continue
        known = ordered.iloc[: int(np.searchsorted(moments, np.datetime64(scored_at[key]), side="right"))]
        fold = known.drop_duplicates(contract.key, keep="last")
        slow = featurise(fold, contract).set_axis(fold[contract.key], axis=0).loc[key]
        for name in doubtful:
            differing[name] += not _equal(fast.at[key, name], slow[name])
    return differing


def differing_labels(states: "pd.Series[str]", rows: "pd.DataFrame", contract: Contract, as_of: date) -> int:
    """Return how many claims have another label state when their rows up to the end of `as_of` are read one by one.

    states: LabelState by key, as it is learned from; rows: every row known of any claim.
    """
    own = {str(key): part for key, part in rows[rows[contract.key].isin(states.index)].groupby(contract.key)}
    return sum(state != _slow_state(own[str(key)].to_dict("records"), contract, as_of) for key, state in states.items())


def recorded_too_late(rows: "pd.DataFrame", as_of: date) -> int:
    """Return how many rows were recorded after the end of the day `as_of` (UTC)."""
    return int((rows["recorded_at"] >= datetime.combine(as_of + timedelta(days=1), time())).sum())


def _slow_state(rows: list[dict[Any, Any]], contract: Contract, as_of: date) -> str:
    end = datetime.combine(as_of + timedelta(days=1), time())
    known = sorted((row for row in rows if row["recorded_at"] < end), key=lambda row: row["recorded_at"])
    if not known:
        return "not recorded yet"
    last, label = known[-1], contract.label
    if last["event_time"].date() + timedelta(days=label.maturity_days) > as_of:
        return LabelState.IMMATURE
    if last[label.column] in label.positive:
        return LabelState.CONFIRMED
    if last[label.column] in label.negative:
        return LabelState.CLEARED
    if label.investigation is None:
        return LabelState.UNLABELLED
    why = last[label.investigation.column]
    nobody = not isinstance(why, str) or why in label.investigation.none
    return LabelState.NEVER_LOOKED_AT if nobody else LabelState.UNDER_INVESTIGATION


def _equal(one: Any, other: Any) -> bool:
    import pandas as pd

    return bool((pd.isna(one) and pd.isna(other)) or one == other)
