"""Which claims to investigate, in money and people: the threshold, what it costs and saves, month by month.

An investigation costs `investigation_eur` and, where it confirms fraud, saves `recovered_share` of the claim's amount.
A flagged claim is expected to save amount x chance x share - cost. The threshold is the one with the highest expected
saving on the validation window, among those that flag no more claims than investigators can look at and bother no more
honest claimants than allowed; what it did on the test window is only measured, never chosen by.

A window holds claims whose label is known. Where investigators look at some claims only, the flags among the others are
not counted here, and the capacity to declare is the one that is left for claims like these.
"""

from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import Window
from fraud_ml.evaluation.bootstrap import Resampling, measure
from fraud_ml.evaluation.circumstances import Circumstances
from fraud_ml.evaluation.metrics import Draws, Figure, Metric, Scored, fpr_at_threshold, metrics_at, precision_at, share
from fraud_ml.params import MoneyParams

TRIED = 400  # thresholds compared
DRAWN = 40  # of them, on the cost curve
STEP = 1e-6  # thresholds are whole multiples of it, so that people can quote them


@dataclass(frozen=True)
class Accounts:
    """A window's claims in money: (n_claims,) each, in euro."""

    expected: NDArray[np.float64]  # net saving of investigating the claim, by the model's chance
    realised: NDArray[np.float64]  # net saving, by what was confirmed
    amounts: NDArray[np.float64]
    assumed: int  # claims whose amount nobody knows

    @classmethod
    def of(cls, scored: Scored, circumstances: Circumstances, money: MoneyParams) -> "Accounts":
        unknown = np.full(len(scored.labels), np.nan)
        given = unknown if circumstances.amounts is None else circumstances.amounts
        amounts = np.where(np.isnan(given), money.amount_where_unknown_eur, given)
        saved = amounts * money.recovered_share
        return cls(
            expected=saved * scored.probabilities - money.investigation_eur,
            realised=saved * scored.labels - money.investigation_eur,
            amounts=amounts,
            assumed=int(np.isnan(given).sum()),
        )


@dataclass(frozen=True)
class Point:
    """What flagging at one threshold does. Money in euro over the whole window; `low` and `high` bound `saving_eur`."""

    threshold: float
    flagged_per_day: float
    honest_bothered: float  # share of the honest claims
    expected_saving_eur: float
    saving_eur: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Month:
    """What the threshold would have done in one past month that no model had learned from."""

    month: str
    window: str  # `validation`, where the threshold was chosen, or `test`
    claims: int
    frauds: int
    flagged: int
    frauds_found: int
    honest_bothered: int
    over_capacity: bool
    saving_eur: float


@dataclass(frozen=True)
class Chosen:
    """The threshold; None where no claim is worth an investigation within the limits."""

    threshold: float | None
    why: str

    @property
    def at(self) -> float:
        """The threshold to compare probabilities with: beyond all of them where nobody is to be flagged."""
        return np.inf if self.threshold is None else self.threshold


def days_of(window: Window) -> int:
    """Return how many days a window spans."""
    return (date.fromisoformat(window.end) - date.fromisoformat(window.begin)).days


def choose(scored: Scored, accounts: Accounts, days: int, money: MoneyParams) -> Chosen:
    """Return the admissible threshold of the highest expected saving on these claims, the validation window's."""
    tried = [_point(scored, accounts, days, threshold) for threshold in _thresholds(scored.probabilities, TRIED)]
    admissible = [
        point
        for point in tried
        if point.flagged_per_day <= money.capacity_per_day and point.honest_bothered <= money.max_honest_bothered
    ]
    if not admissible:
        return Chosen(None, "the riskiest claims tie, and are more than may be flagged")
    best = max(admissible, key=lambda point: point.expected_saving_eur)
    if best.expected_saving_eur <= 0:
        return Chosen(None, "no claim is expected to save what its investigation costs")
    freer = max(tried, key=lambda point: point.expected_saving_eur)
    bound = "the limits on capacity and on honest claimants hold it there" if freer != best else "no limit binds"
    return Chosen(best.threshold, f"highest expected saving on the validation window; {bound}")


def cost_curve(scored: Scored, accounts: Accounts, days: int, resampling: Resampling) -> list[Point]:
    """Return what a range of thresholds does on these claims, with the interval of what was really saved."""
    thresholds = _thresholds(scored.probabilities, DRAWN)
    found = measure(
        scored, resampling, {str(t): partial(_saving, accounts=accounts, threshold=float(t)) for t in thresholds}
    )
    points = []
    for threshold in thresholds:
        interval, point = found[str(threshold)], _point(scored, accounts, days, float(threshold))
        bounds = {"low": _euro(interval.low), "high": _euro(interval.high)} if interval else {}
        points.append(Point(**{**asdict(point), **bounds}))
    return points


def metrics_in_practice(chosen: Chosen, accounts: Accounts, days: int, money: MoneyParams) -> dict[str, Metric]:
    """Return the figures of the threshold and of full capacity. Money in euro, over the whole window or a claim."""
    most = max(1.0, np.floor(money.capacity_per_day * days))
    return {
        **metrics_at(chosen.at),
        "precision_at_capacity": partial(precision_at, claims=most),
        "saving_eur": partial(_saving, accounts=accounts, threshold=chosen.at),
        "cost_per_claim_eur": partial(_cost, accounts=accounts, money=money, threshold=chosen.at),
    }


def by_month(
    name: str, scored: Scored, circumstances: Circumstances, accounts: Accounts, chosen: Chosen, money: MoneyParams
) -> list[Month]:
    """Return what the threshold would have done in each month of a window."""
    flagged = scored.probabilities >= chosen.at
    found = []
    for month in sorted(set(circumstances.months)):
        inside = circumstances.months == month
        hit, frauds = inside & flagged, scored.labels == 1
        days = (
            np.datetime64(month, "M").astype("datetime64[D]"),
            (np.datetime64(month, "M") + 1).astype("datetime64[D]"),
        )
        found.append(
            Month(
                month=month,
                window=name,
                claims=int(inside.sum()),
                frauds=int((inside & frauds).sum()),
                flagged=int(hit.sum()),
                frauds_found=int((hit & frauds).sum()),
                honest_bothered=int((hit & ~frauds).sum()),
                over_capacity=bool(hit.sum() > money.capacity_per_day * int((days[1] - days[0]).astype(int))),
                saving_eur=_euro(accounts.realised[hit].sum()),
            )
        )
    return found


def report(
    chosen: Chosen, curve: list[Point], months: list[Month], accounts: Accounts, money: MoneyParams
) -> dict[str, Any]:
    """Return threshold.json: the choice, its reason, the test window's cost curve and the past months."""
    return {
        "threshold": chosen.threshold,
        "why": chosen.why,
        "claims_with_an_assumed_amount": accounts.assumed,
        "money": money.model_dump(mode="json"),
        "cost_curve": [asdict(point) for point in curve],
        "months": [asdict(month) for month in months],
    }


def _saving(draws: Draws, *, accounts: Accounts, threshold: float) -> Figure:
    return draws.total(accounts.realised * (draws.scored.probabilities >= threshold))


def _cost(draws: Draws, *, accounts: Accounts, money: MoneyParams, threshold: float) -> Figure:
    """Return investigations and frauds that were paid, a claim."""
    lost = accounts.amounts * draws.scored.labels * money.recovered_share
    paid = np.where(draws.scored.probabilities >= threshold, money.investigation_eur, lost)
    return share(draws.total(paid), draws.weights.sum(axis=1))


def _point(scored: Scored, accounts: Accounts, days: int, threshold: float) -> Point:
    flagged = scored.probabilities >= threshold
    return Point(
        threshold=float(threshold),
        flagged_per_day=round(float(flagged.sum()) / days, 6),
        honest_bothered=round(float(fpr_at_threshold(Draws.once(scored), threshold=threshold)[0]), 6),
        expected_saving_eur=_euro(accounts.expected[flagged].sum()),
        saving_eur=_euro(accounts.realised[flagged].sum()),
    )


def _thresholds(probabilities: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return at most `count` falling thresholds that flag from one claim to all of them, close together at the top."""
    ranked = np.sort(probabilities)[::-1]
    places = np.unique(np.geomspace(1, len(ranked), count).round().astype(int)) - 1
    stepped = np.floor(ranked[places] / STEP) * STEP
    return np.unique(stepped.round(6))[::-1]


def _euro(amount: float) -> float:
    return round(float(amount), 2)
