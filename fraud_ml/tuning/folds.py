"""Forward folds: each learns from a past and answers for the stretch after it, as the windows do.

The last fold is the windows themselves: it learns from train and answers for validation. Each fold before it ends where
the next one's past ends, and answers for as many days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from fraud_ml.artifacts import FeatureReport
from fraud_ml.contract import Column
from fraud_ml.errors import BadInput, Undefined
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import Inputs, describe_inputs
from fraud_ml.params import FeatureParams

if TYPE_CHECKING:
    import pandas as pd

_FEWER = "ask for fewer --folds, or take a later as-of date"


@dataclass(frozen=True)
class Span:
    """When a fold's past ends, and [begin, until) of the stretch that it answers for."""

    past_until: date
    begin: date
    until: date


@dataclass(frozen=True)
class Fold:
    """Claims to learn from, what they say about the columns, and the later claims to answer for."""

    inputs: Inputs
    past: Examples
    ahead: Examples


def fold_spans(windows: FeatureReport, gap_days: int, count: int) -> tuple[Span, ...]:
    """Return `count` folds, the oldest first; the last one's stretch is the validation window.

    Raises BadInput when the windows were split with another gap than `gap_days`.
    """
    gap = timedelta(days=gap_days)
    begin, until = date.fromisoformat(windows.validation.begin), date.fromisoformat(windows.validation.end)
    split_with = begin - date.fromisoformat(windows.train.end)
    if split_with != gap:
        raise BadInput(
            "the windows were split with another gap than params.yaml says",
            expected=f"features.gap_days of {gap_days}",
            arrived=f"{split_with.days} days between train and validation",
            next_step="run the features stage again (`dvc repro features`)",
        )
    length, spans = until - begin, []
    for _ in range(count):
        spans.append(Span(begin - gap, begin, until))
        until = begin - gap
        begin = until - length
    return tuple(reversed(spans))


def lay_folds(
    claims: "pd.DataFrame", features: Sequence[Column], windows: FeatureReport, params: FeatureParams, count: int
) -> tuple[Fold, ...]:
    """Return `count` folds of `claims`, the oldest first.

    claims: the rows of train and validation, with the features, `event_time` and `label` of {0, 1}. No claim is in both
    parts of a fold. A fold's vocabulary and spreads are those of its own past.
    Raises Undefined when a part holds fewer than `min_positives` frauds or no honest claim, BadInput when a past says
    nothing about a column.
    """
    import pandas as pd

    times, folds = claims["event_time"], []
    for number, span in enumerate(fold_spans(windows, params.gap_days, count), start=1):
        past = claims[times < pd.Timestamp(span.past_until)]
        ahead = claims[(times >= pd.Timestamp(span.begin)) & (times < pd.Timestamp(span.until))]
        _require_both_classes(f"fold {number} of {count}, before {span.past_until}", past, params.min_positives)
        _require_both_classes(f"fold {number} of {count}, [{span.begin}, {span.until})", ahead, params.min_positives)
        try:
            inputs = describe_inputs(past, features)
        except BadInput as error:
            raise BadInput(
                f"fold {number} of {count}, before {span.past_until}: {error.what}",
                expected=error.expected,
                arrived=error.arrived,
                next_step=_FEWER,
                **error.facts,
            ) from None
        folds.append(Fold(inputs, Examples.of(past, inputs), Examples.of(ahead, inputs)))
    return tuple(folds)


def _require_both_classes(part: str, frame: "pd.DataFrame", min_positives: int) -> None:
    positives = int(frame["label"].sum())
    if positives < min_positives or positives == len(frame):
        raise Undefined(
            f"{part}, holds too few claims of one class to tune by",
            expected=f"at least {min_positives} confirmed frauds (features.min_positives), and honest claims",
            arrived=f"{positives} frauds in {len(frame)} claims",
            next_step=_FEWER,
        )
