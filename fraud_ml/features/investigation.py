"""Who is looked at: labels exist only for claims that somebody chose, and the choice is not by chance.

The propensity is the probability that a claim is investigated, given its features: a logistic regression, estimated
without the claims that chance chose. It says how far the labelled claims differ from all claims, and gives the share
of fraud among all of them by inverse weighting (Hájek); the randomly investigated claims check it.
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Contract, Kind
from fraud_ml.features.labels import (
    LEARNABLE,
    LabelState,
    is_investigated,
    is_mature,
    is_randomly_investigated,
    label_states,
)

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 50  # claims looked at, and as many not: below that nothing is estimated
MOST = 200_000  # claims estimated from, drawn at random: more would not move a figure that anybody reads
MOST_LEVELS = 30  # of a category; rarer ones share a column
TRIMMED = 0.02  # propensities below it weigh as much as it does
_RIDGE = 1.0  # penalty on standardised coefficients, so that separable levels stay finite
_FOLDS = 5
_Z95 = 1.959964


@dataclass(frozen=True)
class Share:
    """A share of confirmed fraud with its 95 % limits."""

    value: float
    low: float
    high: float
    claims: int


@dataclass(frozen=True)
class InvestigationBias:
    """How the claims that were looked at differ from all mature claims. Names of columns only, never their values."""

    claims: int  # mature ones, MOST of them at most
    investigated: int
    random: int
    auc: float  # of the cross-fitted propensity: 0.5 where chance chooses, 1.0 where the features decide
    propensity_quantiles: tuple[float, ...]  # 5 %, 25 %, 50 %, 75 %, 95 % over all mature claims
    hardly_ever_share: float  # of claims with a propensity below TRIMMED: no label speaks for them
    effective_share: float  # Kish: what the labelled claims are worth once weighted, as a share of their number
    columns: tuple[tuple[str, float], ...]  # column -> spread (standard deviation) of its part of the log-odds
    fraud_share_seen: Share  # among all decided claims
    fraud_share_weighted: Share | None  # the same claims, inversely weighted
    fraud_share_random: Share | None  # among decided claims that chance chose


def propensities(fold: "pd.DataFrame", contract: Contract, as_of: date, *, most: int = MOST) -> "pd.Series[float]":
    """Return each claim's cross-fitted probability of being investigated other than by chance; NaN without answer.

    Only mature claims have one (a young claim may yet be looked at), and `most` of them, drawn at random. Every fifth
    (by order of key) is estimated from the other four fifths, so that no claim's own investigation speaks for it. All
    are NaN where the source does not say who was looked at, or where too few were or were not.
    """
    import pandas as pd

    nothing = pd.Series(np.nan, index=fold.index)
    claims = fold[is_mature(fold, contract, as_of)]
    if len(claims) > most:
        claims = claims.sample(most, random_state=0).sort_index()
    looked, by_chance = is_investigated(claims, contract), is_randomly_investigated(claims, contract)
    learned = ~by_chance.to_numpy()
    target = looked.to_numpy().astype(np.float64)
    if min(target[learned].sum(), (1 - target[learned]).sum()) < FEWEST:
        return nothing
    design, _ = _design(claims, contract)
    fifth = claims[contract.key].rank(method="first").to_numpy().astype(np.int64) % _FOLDS
    found = np.full(len(claims), np.nan)
    for part in range(_FOLDS):
        inside = fifth == part
        weights = fit_logistic(design[learned & ~inside], target[learned & ~inside])
        found[inside] = _logistic(design[inside] @ weights)
    return pd.Series(found, index=claims.index).reindex(fold.index)


def investigation_bias(
    claims: "pd.DataFrame", propensity: "pd.Series[float]", contract: Contract, as_of: date
) -> InvestigationBias | None:
    """Return what the propensities say about the mature claims of the fold; None where they say nothing."""
    states = label_states(claims, contract, as_of)
    mature = propensity.notna()
    decided = states.isin(LEARNABLE) & mature
    if not decided.any():
        return None
    claims, states, p = claims[mature], states[mature], np.asarray(propensity[mature], dtype=np.float64)
    is_decided = decided[mature].to_numpy()
    looked = is_investigated(claims, contract).to_numpy()
    by_chance = is_randomly_investigated(claims, contract).to_numpy()
    fraud = (states == LabelState.CONFIRMED).to_numpy().astype(np.float64)
    design, blocks = _design(claims, contract)
    weights = fit_logistic(design[~by_chance], looked[~by_chance].astype(np.float64))
    spread = {name: float(np.std(design[:, block] @ weights[block])) for name, block in blocks.items()}
    chosen = is_decided & ~by_chance
    inverse = 1 / np.maximum(p[chosen], TRIMMED)
    return InvestigationBias(
        claims=len(claims),
        investigated=int(looked.sum()),
        random=int(by_chance.sum()),
        auc=_auc(looked[~by_chance], p[~by_chance]),
        propensity_quantiles=tuple(float(q) for q in np.quantile(p, [0.05, 0.25, 0.5, 0.75, 0.95])),
        hardly_ever_share=float(np.mean(p < TRIMMED)),
        effective_share=float(inverse.sum() ** 2 / (inverse**2).sum() / len(inverse)) if len(inverse) else 0.0,
        columns=tuple(sorted(spread.items(), key=lambda pair: -pair[1])),
        fraud_share_seen=wilson(fraud[is_decided].sum(), is_decided.sum()),
        fraud_share_weighted=_hajek(fraud[chosen], inverse) if len(inverse) else None,
        fraud_share_random=wilson(fraud[is_decided & by_chance].sum(), n)
        if (n := (is_decided & by_chance).sum())
        else None,
    )


def fit_logistic(design: NDArray[np.float64], target: NDArray[np.float64], *, rounds: int = 50) -> NDArray[np.float64]:
    """Return the (n_columns,) coefficients of a ridge logistic regression, by Newton's method.

    design: (n_claims, n_columns), its first column ones, which is not penalised; target: (n_claims,) of {0, 1}.
    """
    weights = np.zeros(design.shape[1])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[0] = 1e-9
    for _ in range(rounds):
        p = _logistic(design @ weights)
        gradient = design.T @ (target - p) - penalty * weights
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))  # far steps overshoot where p is near 0 or 1
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def wilson(positives: float, claims: float) -> Share:
    """Return a share with Wilson's 95 % limits (JASA 22, 1927); `claims` is at least 1."""
    n, share = float(claims), float(positives) / float(claims)
    middle = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 * float(np.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n**2))) / (1 + _Z95**2 / n)
    return Share(share, max(0.0, middle - half), min(1.0, middle + half), int(claims))


def _hajek(fraud: NDArray[np.float64], inverse: NDArray[np.float64]) -> Share:
    """Return the weighted share with linearised limits (Särndal, Swensson and Wretman 1992, 5.7); weights as known."""
    share = float(inverse @ fraud / inverse.sum())
    error = float(np.sqrt((inverse**2 * (fraud - share) ** 2).sum()) / inverse.sum())
    return Share(share, max(0.0, share - _Z95 * error), min(1.0, share + _Z95 * error), len(fraud))


def _design(claims: "pd.DataFrame", contract: Contract) -> tuple[NDArray[np.float64], dict[str, slice]]:
    """Return ones, then each feature's standardised columns, and where each feature stands.

    A number is its rank, in [0, 1] (amounts have long tails), and whether it is missing; a category is one column a
    level. Time stamps are left out.
    """
    parts, blocks, place = [np.ones((len(claims), 1))], {}, 1
    for column in contract.features:
        if column.kind is Kind.TIMESTAMP:
            continue
        values = claims[column.name]
        if column.kind is Kind.NUMBER:
            block = np.column_stack([values.rank(pct=True).fillna(0.5), values.isna()]).astype(np.float64)
        else:
            levels = values.fillna("").value_counts().sort_index().nlargest(MOST_LEVELS, keep="first").index
            block = np.column_stack([values.fillna("") == level for level in levels]).astype(np.float64)
        block = block[:, block.std(axis=0) > 0]
        parts.append((block - block.mean(axis=0)) / block.std(axis=0))
        blocks[column.name] = slice(place, place + block.shape[1])
        place += block.shape[1]
    return np.hstack(parts), blocks


def _logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    answer: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(log_odds, -35, 35)))
    return answer


def _auc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the probability that a positive outranks a negative; ties count half (Mann-Whitney)."""
    import pandas as pd

    ranks = pd.Series(score).rank().to_numpy()
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m)) if n and m else 0.5
