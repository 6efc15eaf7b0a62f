"""Months in which fraud was hardly recorded: their claims look honest because nobody wrote down that they were not.

On the public car claims the rule names 12 of the 13 months that people read off, and no other; it misses December 1994,
which stopped half way. Tried beside it: a one-sided binomial test of each month against the share of all
(Benjamini-Hochberg, 5 %) names all 13, but also accuses 13 % of simulated insurers whose fraud merely moves by ±20 %
with the seasons, and 66 % at ±40 %; the rule accuses none of 300.
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Contract
from fraud_ml.features.labels import is_mature

if TYPE_CHECKING:
    import pandas as pd

RULE = (
    "two-component binomial mixture of the months' shares (confirmed of mature claims, by event month), fitted by EM;"
    " a month is named when it more likely belongs to the lower component, provided that the mixture's BIC is more"
    " than 10 below that of a single share, and its lower share is at most a third of its upper one"
)
FEWEST_MONTHS = 6  # below that no month is usual
AT_MOST = 1 / 3  # of the usual share: what an ordinary season, rule or economy does not do
VERY_STRONG = 10.0  # difference in BIC (Kass and Raftery, JASA 90, 1995): at 0, one insurer in a hundred is accused
_ROUNDS = 500


@dataclass(frozen=True)
class Recording:
    """What the rule found. Shares are of mature claims; `stopped` holds event months such as 1994-09, in order."""

    stopped: tuple[str, ...]
    usual_share: float | None  # of the months that are not named
    stopped_share: float | None  # of those that are; None where none is
    rule: str = RULE


def event_months(claims: "pd.DataFrame") -> "pd.Series[str]":
    """Return each claim's event month, such as 1994-09; missing where its event time is."""
    return claims["event_time"].dt.strftime("%Y-%m")


def find_stopped(claims: "pd.DataFrame", contract: Contract, as_of: date) -> Recording:
    """Return the months in which recording stopped, as far as the mature claims of the fold at `as_of` show.

    All mature claims are counted, labelled or not: where "no" is not recorded either, it is the share that falls.
    """
    mature = claims[is_mature(claims, contract, as_of)]
    frauds = mature[contract.label.column].isin(contract.label.positive)
    by_month = frauds.groupby(event_months(mature)).agg(["size", "sum"]).sort_index()
    sizes, counts = by_month["size"].to_numpy(np.float64), by_month["sum"].to_numpy(np.float64)
    low = stopped_months(counts, sizes)
    return Recording(
        stopped=tuple(by_month.index[low]),
        usual_share=_share(counts[~low], sizes[~low]),
        stopped_share=_share(counts[low], sizes[low]),
    )


def stopped_months(frauds: NDArray[np.float64], claims: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the (n_months,) counts belong to months of stopped recording, by RULE.

    Source: finite mixtures by EM and their choice by BIC (McLachlan and Peel, Finite Mixture Models, 2000).

    >>> stopped_months(np.array([40.0, 41, 1, 0, 39, 42, 38]), np.full(7, 500.0)).nonzero()[0].tolist()
    [2, 3]
    """
    nothing = np.zeros(len(claims), dtype=bool)
    if len(claims) < FEWEST_MONTHS or frauds.sum() == 0:
        return nothing
    one = _log_likelihood(frauds, claims, frauds.sum() / claims.sum())
    ranked = np.argsort(frauds / claims, kind="stable")
    member = np.zeros(len(claims))  # each month's probability of the lower component
    member[ranked[: len(claims) // 2]] = 1.0
    for _ in range(_ROUNDS):
        weight = member.mean()
        lower, upper = _rate(frauds, claims, member), _rate(frauds, claims, 1 - member)
        with np.errstate(divide="ignore"):
            low = np.log(weight) + _log_likelihood(frauds, claims, lower)
            high = np.log1p(-weight) + _log_likelihood(frauds, claims, upper)
        total = np.logaddexp(low, high)
        moved, member = np.abs(np.exp(low - total) - member).max(), np.exp(low - total)
        if moved < 1e-9:
            break
    months = np.log(len(claims))
    is_mixture = (months - 2 * one.sum()) - (3 * months - 2 * total.sum()) > VERY_STRONG
    return (member > 0.5) if is_mixture and lower <= AT_MOST * upper else nothing


def _rate(frauds: NDArray[np.float64], claims: NDArray[np.float64], member: NDArray[np.float64]) -> float:
    """Return the members' share, kept off 0 and 1 by half a fraud so that no month becomes impossible."""
    return float((member @ frauds + 0.5) / (member @ claims + 1.0))


def _log_likelihood(frauds: NDArray[np.float64], claims: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return each month's binomial log-likelihood, without the coefficient that no rate changes."""
    return frauds * np.log(rate) + (claims - frauds) * np.log1p(-rate)


def _share(frauds: NDArray[np.float64], claims: NDArray[np.float64]) -> float | None:
    return float(frauds.sum() / claims.sum()) if claims.sum() else None
