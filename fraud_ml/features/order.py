"""Does a column tell when a claim was recorded, or what became of it? A model of that one column is asked."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

ENCODES_ORDER = 0.8  # share of the recorded order's variance: three years' calendar year alone reaches 0.89
TELLS_TIME = 0.25
TELLS_SOME = 0.05  # two columns that tell so much each, such as year and month, are asked together
FEW_LEVELS = 100
GIVES_LABEL_AWAY = 0.95  # area under the curve of one column
LOST_FORWARD = 0.1  # area that a calendar's lesson loses once it must be used on later claims
FEATURE = "feature"
_BINS = 50
_PRIOR = 20.0  # claims' worth of the overall fraud share that every level starts with
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Probe:
    """What one column alone tells. Areas are None where too few claims are labelled to say."""

    column: str
    role: str
    order_share: float  # of the variance of recorded order that the column explains, on claims it was not fitted to
    auc_random: float | None  # of a model of this column, on random other claims
    auc_forward: float | None  # the same model, learned from the earlier two thirds and asked about the last third
    auc_error: float | None  # standard error of their difference (Hanley and McNeil, Radiology 143, 1982)

    @property
    def encodes_order(self) -> bool:
        return self.order_share >= ENCODES_ORDER

    @property
    def learns_calendar(self) -> bool:
        """Say whether it ranks claims of known months much better than later ones, beyond three standard errors."""
        if self.auc_random is None or self.auc_forward is None or self.auc_error is None:
            return False
        return self.auc_random - self.auc_forward > max(LOST_FORWARD, 3 * self.auc_error)

    @property
    def gives_label_away(self) -> bool:
        return self.auc_random is not None and self.auc_random >= GIVES_LABEL_AWAY


def probe(
    values: "pd.Series[Any]",
    role: str,
    recorded: "pd.Series[Any]",
    label: NDArray[np.float64],
    *,
    seed: int,
    fewest: int = 20,
) -> Probe:
    """Return what `values` tell about the order of `recorded` and about `label`.

    values, recorded: (n_claims,) on one index; label: (n_claims,) of {0, 1}, NaN where nobody may learn from it.
    A category is a level each; a number, a moment and the last number in a text (an id) are _BINS bins each.
    `fewest` claims of each class are needed before the areas are estimated.
    """
    order = np.asarray(recorded.rank(pct=True), dtype=np.float64)
    half = np.random.default_rng(seed).permutation(len(order)) % 2 == 0
    views = _views(values)
    share = max(_explained(view, order, half) for view in views)
    known = ~np.isnan(label)
    auc_random, auc_forward, error = None, None, None
    if min((label[known] == 1).sum(), (label[known] == 0).sum()) >= fewest:
        early = order <= np.quantile(order[known], 2 / 3)
        views = [view[known] for view in views]
        target, early, half = label[known], early[known], half[known]
        auc_random = max(_mean_auc(view, target, [half, ~half]) for view in views)
        if len(np.unique(target[~early])) == len(np.unique(target[early])) == 2:
            auc_forward = max(_mean_auc(view, target, [early]) for view in views)
            error = float(np.hypot(_auc_error(auc_random, target), _auc_error(auc_forward, target[~early])))
    return Probe(str(values.name), role, share, auc_random, auc_forward, error)


def _views(values: "pd.Series[Any]") -> list[NDArray[np.float64]]:
    """Return the column as numbers, NaN where missing: as levels, and as a quantity where it has one."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        return [np.asarray(values.astype("int64").where(values.notna()), dtype=np.float64)]
    if pd.api.types.is_numeric_dtype(values):
        return [np.asarray(values, dtype=np.float64)]
    codes, levels = pd.factorize(values, sort=True)
    views = [-1.0 - np.where(codes < 0, np.nan, codes)]  # below nought: levels, which nothing lies between
    found = [_LAST_NUMBER.search(str(level)) for level in levels]
    if levels.size and sum(hit is not None for hit in found) > 0.99 * len(found):
        numbers = np.array([float(hit.group(1)) if hit else np.nan for hit in found])
        views.append(np.where(codes < 0, np.nan, numbers[np.maximum(codes, 0)]))
    return views


def _explained(view: NDArray[np.float64], order: NDArray[np.float64], half: NDArray[np.bool_]) -> float:
    """Return the share of the order's variance that the column's groups explain, each half told by the other."""
    told = np.empty(len(order))
    for learn in (half, ~half):
        told[~learn] = _predict(view, order, learn, prior=1.0)[~learn]
    spread = np.mean((order - order.mean()) ** 2)
    return float(max(0.0, 1 - np.mean((order - told) ** 2) / spread)) if spread else 0.0


def _mean_auc(view: NDArray[np.float64], target: NDArray[np.float64], learns: list[NDArray[np.bool_]]) -> float:
    return float(
        np.mean([_auc(_predict(view, target, learn, prior=_PRIOR)[~learn], target[~learn]) for learn in learns])
    )


def _predict(
    view: NDArray[np.float64], target: NDArray[np.float64], learn: NDArray[np.bool_], *, prior: float
) -> NDArray[np.float64]:
    """Return, for every claim, the mean target of its group among those learned from, drawn to the overall mean."""
    present = learn & ~np.isnan(view)
    if not present.any():
        return np.full(len(view), target[learn].mean())
    if np.nanmax(view) < 0:
        _, groups = np.unique(view, return_inverse=True)  # NaN is one group
    else:
        edges = np.unique(np.quantile(view[present], np.linspace(0, 1, _BINS + 1)[1:-1]))
        groups = np.where(np.isnan(view), len(edges) + 1, np.searchsorted(edges, view, side="left"))
    overall = target[learn].mean()
    size = np.bincount(groups[learn], minlength=groups.max() + 1)
    total = np.bincount(groups[learn], weights=target[learn], minlength=groups.max() + 1)
    answer: NDArray[np.float64] = ((total + prior * overall) / (size + prior))[groups]
    return answer


def _auc(score: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Return the probability that a fraud outranks an honest claim; ties count half."""
    import pandas as pd

    ranks = pd.Series(score).rank().to_numpy()
    n = float((target == 1).sum())
    m = len(target) - n
    return float((ranks[target == 1].sum() - n * (n + 1) / 2) / (n * m)) if n and m else 0.5


def _auc_error(auc: float, target: NDArray[np.float64]) -> float:
    n, m = float((target == 1).sum()), float((target == 0).sum())
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (m - 1) * (q2 - auc**2)) / (n * m)
    return float(np.sqrt(max(0.0, variance)))
