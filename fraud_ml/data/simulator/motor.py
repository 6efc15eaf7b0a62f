"""A small motor insurer: what its claims look like, which are fraudulent, who looks at them, and what is recorded when.

Fraud is drawn from a logistic model over what the insurer sees at first notice, with two interactions that no single
column shows: a fresh policy with a theft or a fire at a rural place without witnesses, and a recent change of address
with a third party at fault. About a third of the claims is investigated, by a rule or at random; only those ever get
an outcome. A claim is several rows, recorded on working days: opened, perhaps investigated, closed.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.artifacts import digest_of
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

FRAUD_SHARE = 0.058  # expected share of fraudulent claims
SIGNAL = 0.7  # so that the true probabilities reach an average precision of about 5 × the confirmed share
RULE_SHARE = 0.32  # claims that the rule sends to an investigator
RANDOM_SHARE = 0.05  # claims that are investigated whatever the rule says
CONFIRMED_SHARE = 0.92  # investigated frauds that are found out; the others are cleared

REGIONS = {"north": 0.22, "south": 0.24, "east": 0.16, "west": 0.28, "islands": 0.10}
MAKES = {
    "volta": 0.21,
    "corsaro": 0.17,
    "nordwagen": 0.16,
    "ibis": 0.14,
    "tamarin": 0.13,
    "aurum": 0.10,
    "regent": 0.09,
}
COVERS = {"liability": 0.42, "partial": 0.26, "comprehensive": 0.32}
CHANNELS = {"agent": 0.44, "broker": 0.21, "online": 0.27, "partner": 0.08}
KINDS = {"collision": 0.47, "parking": 0.20, "glass": 0.11, "theft": 0.08, "fire": 0.03, "weather": 0.11}
FAULTS = {"own": 0.52, "third_party": 0.36, "shared": 0.12}
ADDRESS_CHANGES = {"none": 0.80, "over_1_year": 0.12, "within_1_year": 0.08}

_DAY = np.timedelta64(86_400, "s")
_TO_RECORD = 3  # days at most between a report and its record: a Friday night is recorded on Monday
_Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Truth:
    """What only the simulator knows, one entry a claim."""

    claim_id: np.ndarray
    fraud_probability: np.ndarray
    is_fraud: np.ndarray


def simulate(claims: int, *, seed: int, begin: date, end: date) -> "pd.DataFrame":
    """Return the rows of the claim log as it stood at the end of the day `end`, in the order they were recorded.

    The first accident is on `begin` or later, and each of the `claims` is opened by `end`; what is recorded later is
    not known yet. Raises BadInput when the days between do not suffice.
    """
    rows, _ = simulate_with_truth(claims, seed=seed, begin=begin, end=end)
    return rows


def simulate_with_truth(claims: int, *, seed: int, begin: date, end: date) -> "tuple[pd.DataFrame, Truth]":
    """Return the rows of the claim log, and beside them which claims are truly fraudulent."""
    if end - begin < timedelta(days=_TO_RECORD):
        raise BadInput("too few days to simulate", expected=f"{_TO_RECORD} or more", arrived=f"{(end - begin).days}")
    dice = np.random.Generator(np.random.PCG64(seed))
    series = digest_of([claims, seed, begin.isoformat(), end.isoformat()])[:6]  # two simulations never share a claim
    seen = _first_notice(dice, claims, begin, end)
    probability = _fraud_probability(seen)
    is_fraud = dice.random(claims) < probability
    reason = _investigation(dice, seen)
    ids = {
        "claim_id": _named(f"M-{series}-", np.arange(claims)),
        "policy_id": _named(f"P-{series}-", dice.integers(0, max(1, int(claims * 0.8)), claims)),
        "claimant_id": _named(f"D-{series}-", dice.integers(0, max(1, int(claims * 0.75)), claims)),
        "garage_id": _named("G-", dice.integers(0, 240, claims)),
    }
    rows = _record(dice, {**ids, **seen}, is_fraud, reason)
    rows = rows[rows["recorded_at"] < np.datetime64(end) + 1].reset_index(drop=True)
    return rows, Truth(ids["claim_id"], probability, is_fraud)


def _first_notice(dice: np.random.Generator, claims: int, begin: date, end: date) -> _Columns:
    """Return what the insurer knows when a claim is reported; columns of (claims,)."""
    last = np.datetime64(end) - _TO_RECORD
    days = np.arange(np.datetime64(begin), last + 1)
    of_year = (days - days.astype("datetime64[Y]")).astype(int)
    season = 1 + 0.18 * np.cos(2 * np.pi * of_year / 365.25)  # more accidents in winter
    day = np.sort(dice.choice(days, claims, p=season / season.sum()))
    second = np.minimum(dice.normal(14.5, 4.5, claims) % 24 * 3600, 82_799).astype("timedelta64[s]")
    kind = _draw(dice, KINDS, claims)
    loss = np.isin(kind, ["theft", "fire"])
    vehicle_age = np.minimum(dice.gamma(2.0, 3.6, claims).astype(int), 30)
    make = _draw(dice, MAKES, claims)
    luxury = np.select([make == "aurum", make == "regent"], [2.1, 1.6], 1.0)
    value = np.round(luxury * dice.lognormal(10.1, 0.35, claims) * 0.88**vehicle_age + 600, -2)
    share = np.where(
        loss, dice.beta(6, 2, claims), np.where(kind == "glass", 0.03, 0.28) * dice.gamma(1.6, 0.6, claims)
    )
    usual, late = np.minimum(dice.geometric(0.28, claims) - 1, 14), dice.integers(15, 41, claims)
    days_to_report = np.minimum(np.where(dice.random(claims) < 0.06, late, usual), (last - day).astype(int))
    accident = day.astype("datetime64[s]") + second
    morning = (day + days_to_report).astype("datetime64[s]") + np.timedelta64(9, "h")
    return {
        "accident_date": accident,
        "reported_date": np.maximum(morning, accident + np.timedelta64(1, "h")),
        "region": _draw(dice, REGIONS, claims),
        "vehicle_make": make,
        "vehicle_age_years": vehicle_age,
        "vehicle_value_eur": value.astype(int),
        "driver_age_years": np.clip(18 + dice.gamma(3.2, 8.5, claims), 18, 92).astype(int),
        "sex": _draw(dice, {"female": 0.46, "male": 0.54}, claims),
        "policy_age_days": np.minimum(dice.exponential(900, claims), 7300).astype(int),
        "cover": np.where(
            loss, _draw(dice, {"partial": 0.4, "comprehensive": 0.6}, claims), _draw(dice, COVERS, claims)
        ),
        "sales_channel": _draw(dice, CHANNELS, claims),
        "accident_kind": kind,
        "fault": np.where(np.isin(kind, ["collision", "parking"]), _draw(dice, FAULTS, claims), "none"),
        "police_report": np.where(dice.random(claims) < np.where(loss, 0.85, 0.22), "yes", "no"),
        "witnesses": np.minimum(dice.poisson(np.where(loss, 0.25, 0.8), claims), 5),
        "past_claims": np.minimum(dice.poisson(0.7, claims), 9),
        "claim_amount_eur": np.round(np.clip(value * share, 120, 90_000), 2),
        "days_to_report": days_to_report,
        "address_change": _draw(dice, ADDRESS_CHANGES, claims),
    }


def _fraud_probability(seen: _Columns) -> np.ndarray:
    """Return each claim's probability of being fraudulent, with a mean of FRAUD_SHARE."""
    fresh = seen["policy_age_days"] < 120
    loss = np.isin(seen["accident_kind"], ["theft", "fire"])
    unseen = seen["witnesses"] == 0
    moved = seen["address_change"] == "within_1_year"
    third_party = seen["fault"] == "third_party"
    logit = (
        1.0 * fresh
        + 0.9 * loss
        + 0.5 * unseen
        + 2.6 * (fresh & loss & unseen)
        + 3.6 * (moved & third_party)
        - 1.3 * (third_party & ~moved)
        + 0.5 * (seen["fault"] == "own")
        + 0.8 * (seen["cover"] == "comprehensive")
        + 0.5 * (seen["sales_channel"] == "online")
        + 0.4 * np.isin(seen["region"], ["islands", "south"])
        + 0.7 * np.log(seen["claim_amount_eur"] / 3000.0)
        + 0.3 * np.minimum(seen["past_claims"], 4)
        - 0.7 * (seen["police_report"] == "yes")
        + 0.9 * (seen["days_to_report"] > 14)
        - 0.015 * (seen["driver_age_years"] - 45)
    )
    logit = SIGNAL * logit
    return 1 / (1 + np.exp(-(logit + _level(logit, FRAUD_SHARE))))


def _level(logit: np.ndarray, mean: float) -> float:
    """Return the intercept at which the mean probability is `mean`, by bisection."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-(logit + middle)))) < mean else (low, middle)
    return (low + high) / 2


def _investigation(dice: np.random.Generator, seen: _Columns) -> np.ndarray:
    """Return why each claim is looked at: rule, random or none. The rule knows amounts and habits, not the truth."""
    claims = len(seen["claim_amount_eur"])
    score = (
        0.8 * np.log(seen["claim_amount_eur"])
        + 0.8 * np.isin(seen["accident_kind"], ["theft", "fire"])
        + 0.4 * (seen["policy_age_days"] < 365)
        + 0.4 * (seen["days_to_report"] > 14)
        + dice.normal(0, 2.0, claims)  # investigators' time, mood and local custom
    )
    by_rule = score >= np.quantile(score, 1 - RULE_SHARE)
    at_random = dice.random(claims) < RANDOM_SHARE
    return np.select([at_random, by_rule], ["random", "rule"], "none")


def _record(dice: np.random.Generator, claim: _Columns, is_fraud: np.ndarray, reason: np.ndarray) -> "pd.DataFrame":
    """Return every claim's rows, each with the state that was known when it was recorded."""
    import pandas as pd

    claims = len(reason)
    investigated = reason != "none"
    first_day = claim["accident_date"].astype("datetime64[D]").astype("datetime64[s]")
    opened = _office_hours(dice, claim["reported_date"])
    looked_at = _office_hours(dice, opened + dice.integers(3, 13, claims) * _DAY)
    unhurried = opened + dice.integers(10, 61, claims) * _DAY
    decided = first_day + (21 + 147 * dice.beta(1.6, 2.4, claims)).astype(int) * _DAY
    closed = _office_hours(dice, np.where(investigated, np.maximum(decided, looked_at + 5 * _DAY), unhurried))
    outcome = np.where(is_fraud & (dice.random(claims) < CONFIRMED_SHARE), "confirmed", "cleared").astype(object)
    outcome[~investigated] = None
    nothing = np.full(claims, None, dtype=object)
    everyone = np.ones(claims, dtype=bool)
    steps = (
        ("opened", opened, everyone, np.full(claims, "none"), nothing),
        ("investigated", looked_at, investigated, reason, nothing),
        ("closed", closed, everyone, reason, outcome),
    )
    parts = [
        pd.DataFrame(
            {**claim, "recorded_at": at, "event": event, "investigation": why, "outcome": known}, columns=_ORDER
        ).loc[which]
        for event, at, which, why, known in steps
    ]
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["recorded_at", "claim_id"], kind="stable", ignore_index=True)


def _office_hours(dice: np.random.Generator, at: np.ndarray) -> np.ndarray:
    """Return a moment between 18:00 and 20:00 of that day, or of the next working day when it is past."""
    day = np.busday_offset((at + np.timedelta64(6, "h")).astype("datetime64[D]"), 0, roll="forward")
    evening = dice.integers(18 * 3600, 20 * 3600, len(at)).astype("timedelta64[s]")
    moved: np.ndarray = day.astype("datetime64[s]") + evening
    return moved


def _draw(dice: np.random.Generator, shares: dict[str, float], count: int) -> np.ndarray:
    weights = np.array(list(shares.values()))
    return dice.choice(np.array(list(shares)), count, p=weights / weights.sum())


def _named(prefix: str, numbers: np.ndarray) -> np.ndarray:
    return np.char.add(prefix, np.char.zfill(numbers.astype(str), 6))


_ORDER = [
    *("claim_id", "policy_id", "claimant_id", "garage_id", "accident_date", "reported_date", "recorded_at"),
    *("event", "investigation", "outcome", "region", "vehicle_make", "vehicle_age_years", "vehicle_value_eur"),
    *("driver_age_years", "sex", "policy_age_days", "cover", "sales_channel", "accident_kind", "fault"),
    *("police_report", "witnesses", "past_claims", "claim_amount_eur", "days_to_report", "address_change"),
]
