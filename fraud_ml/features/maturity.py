"""How long a fraud takes to be known: the share of the final confirmations that stood k days after the event.

Only frauds that have been confirmed can be counted, and a young claim is among them only if it was confirmed quickly:
the delays are truncated on the right. The curve is therefore the reverse-time product-limit estimator, which is the
empirical distribution where every claim is old enough and, where not, lets each claim speak only about the days that
it could have taken. Source: Lagakos, Barraj and De Gruttola (Biometrika 75, 1988); Kalbfleisch and Lawless (JASA 84,
1989), with Greenwood's variance and log-log limits.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud_ml.contract import Contract

if TYPE_CHECKING:
    import pandas as pd

METHOD = "reverse-time product-limit estimator of right-truncated delays; 95 % limits: Greenwood's variance, log-log"
_Z95 = 1.959964


@dataclass(frozen=True)
class Curve:
    """The share known within `days[i]` days of the event, with 95 % limits (None where they do not exist).

    Where no claim could be watched for longer than `watched_days`, shares are of what is confirmed within those.
    """

    frauds: int
    watched_days: int
    days: tuple[int, ...]
    share: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    def at(self, day: int) -> tuple[float, float | None, float | None]:
        """Return (share, low, high) `day` days after the event; the curve is a step function."""
        place = int(np.searchsorted(self.days, day, side="right")) - 1
        return (self.share[place], self.low[place], self.high[place]) if place >= 0 else (0.0, None, None)


def label_columns(contract: Contract) -> tuple[str, ...]:
    """Return the log's columns that the functions below read."""
    return (contract.key, "event_time", "recorded_at", contract.label.column)


def confirmations(rows: "pd.DataFrame", contract: Contract, as_of: date) -> "pd.DataFrame":
    """Return one row a claim that is confirmed at `as_of`, indexed by key, with whole days since the event.

    rows: the log recorded up to `as_of`. Columns: `event_time`; `delay_days`, after which the confirmation was
    recorded that stands since (one that was reversed in between does not count); `watched_days`, from event to as-of;
    `is_first_row`, that the claim came into the log confirmed. The delay never exceeds the days watched.
    """
    import pandas as pd

    order = rows[list(label_columns(contract))].sort_values(["recorded_at", contract.key], kind="stable")
    positive = order[contract.label.column].isin(contract.label.positive)
    last_other = order["recorded_at"].where(~positive).groupby(order[contract.key]).transform("max")
    stands = positive & (last_other.isna() | (order["recorded_at"] > last_other))
    first = order[stands].groupby(contract.key).first()
    opened = order.groupby(contract.key)["recorded_at"].min().reindex(first.index)
    event = first["event_time"].dt.normalize()
    known = order.groupby(contract.key)["event_time"].last().reindex(first.index)  # as the fold tells it
    delay = (first["recorded_at"].dt.normalize() - event).dt.days
    watched = (pd.Timestamp(as_of) - event).dt.days
    return pd.DataFrame(
        {
            "event_time": known,
            "delay_days": delay.astype("int64"),
            "watched_days": watched.astype("int64"),
            "is_first_row": first["recorded_at"] == opened,
        }
    )


def count_reversed(rows: "pd.DataFrame", contract: Contract) -> int:
    """Return how many claims were confirmed once and are not confirmed as known last."""
    order = rows.sort_values(["recorded_at", contract.key], kind="stable")
    positive = order[contract.label.column].isin(contract.label.positive)
    told = positive.groupby(order[contract.key]).agg(["any", "last"])
    return int((told["any"] & ~told["last"]).sum())


def curve_of(delay_days: ArrayLike, watched_days: ArrayLike) -> Curve:
    """Return the share of confirmations known after each number of days at which one was recorded.

    delay_days, watched_days: (n_frauds,) whole days, 0 ≤ delay ≤ watched. Empty input gives an empty curve.

    >>> curve_of([10, 20, 30, 40], [100] * 4).share
    (0.25, 0.5, 0.75, 1.0)
    """
    delay, watched = np.asarray(delay_days, dtype=np.int64), np.asarray(watched_days, dtype=np.int64)
    if np.any(delay < 0) or np.any(delay > watched):
        raise ValueError("a delay lies between 0 and the days that its claim was watched")
    if not len(delay):
        return Curve(0, 0, (), (), (), ())
    days, events = np.unique(delay, return_counts=True)
    # at risk of having taken exactly d: those confirmed within d that were watched for d or longer
    at_risk = np.array([np.count_nonzero((delay <= day) & (watched >= day)) for day in days])
    stay = 1 - events / at_risk
    # P(delay <= days[i]) is the product over the later days: nobody who reached back to them took that long
    share = np.append(np.cumprod(stay[::-1])[::-1][1:], 1.0)
    low, high = _limits(share, events, at_risk)
    return Curve(
        frauds=len(delay),
        watched_days=int(watched.max()),
        days=tuple(int(day) for day in days),
        share=tuple(float(part) for part in share),
        low=low,
        high=high,
    )


def _limits(
    share: NDArray[np.float64], events: NDArray[np.int64], at_risk: NDArray[np.int64]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Return log-log limits; they do not exist at 0 and at 1, the end of the curve."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = events / (at_risk * (at_risk - events).astype(np.float64))
        variance = np.append(np.cumsum(terms[::-1])[::-1][1:], 0.0)  # of log(share)
        spread = _Z95 * np.sqrt(variance) / np.abs(np.log(share))
        low, high = share ** np.exp(spread), share ** np.exp(-spread)
    exists = (share > 0) & (share < 1) & np.isfinite(spread)
    return (
        tuple(float(value) if ok else None for value, ok in zip(low, exists, strict=True)),
        tuple(float(value) if ok else None for value, ok in zip(high, exists, strict=True)),
    )


def last_mature_month(as_of: date, maturity_days: int) -> str:
    """Return the last event month of which every claim is mature, such as 2025-05."""
    first_immature = as_of - timedelta(days=maturity_days) + timedelta(days=1)
    return f"{first_immature.replace(day=1) - timedelta(days=1):%Y-%m}"
