"""How a claim is handled: who looks at it, what comes out and when, and the rows that are recorded about it.

A claim is investigated by a rule, or at random whatever the rule says; only then does it ever get an outcome. Frauds
are missed and honest people suspected; some outcomes come late, and some are corrected: a confirmed fraud is reversed
on appeal, a cleared claim confirmed when more is known. Each row carries the claim's whole state when it was recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fraud_ml.data.simulator.motor.dice import Dice
from fraud_ml.data.simulator.motor.notice import FIRE, THEFT, Columns, Notice

EVENTS = ("opened", "changed", "investigated", "confirmed", "cleared", "closed", "paid", "reversed")
INVESTIGATIONS = ("none", "rule", "random")
OUTCOMES = ("confirmed", "cleared")
RANDOM_SHARE = 0.05  # claims that are investigated whatever the rule says
RULE_THRESHOLD = 7.4  # so that the rule sends about a third of the claims
RULE_NOISE = 1.1  # scale of the logistic noise: investigators' time, mood and local custom
FOUND_SHARE = 0.92  # investigated frauds that are confirmed
WRONG_SHARE = 0.004  # investigated honest claims that are confirmed all the same
LATE_SHARE = 0.04  # investigations that take half a year to fourteen months
REVERSED_IF_HONEST, REVERSED_IF_FRAUD = 0.50, 0.012
REOPENED_SHARE = 0.25  # missed frauds that are confirmed later
_CONFIRMED, _CLEARED = 0, 1
_UNKNOWN = -1
_DAY = np.timedelta64(86_400, "s")
_NEVER = np.datetime64("9999-01-01T00:00:00")


@dataclass(frozen=True)
class Rows:
    """Recorded rows in order of time, arrays of (rows,); `claim` is the claim's index in its cell."""

    claim: np.ndarray
    event: np.ndarray
    recorded_at: np.ndarray
    investigation: np.ndarray
    outcome: np.ndarray  # index into OUTCOMES, -1 while nobody knows
    reserve_eur: np.ndarray
    paid_eur: np.ndarray


def investigated_chance(seen: Columns, price: np.ndarray) -> np.ndarray:
    """Return each claim's chance of being investigated, by rule or at random: its true propensity."""
    by_rule = 1 / (1 + np.exp(-(_suspicion(seen, price) - RULE_THRESHOLD) / RULE_NOISE))
    chance: np.ndarray = RANDOM_SHARE + (1 - RANDOM_SHARE) * by_rule
    return chance


def recorded(dice: Dice, notice: Notice, is_fraud: np.ndarray, until: np.datetime64) -> Rows:
    """Return what is recorded about the claims before `until`, sorted by time, at one time by number."""
    case = _handled(dice, notice, is_fraud)
    parts = [_state(case, event, at) for event, at in _steps(case)]
    claim, event, at, reserve, paid = (np.concatenate(column) for column in zip(*parts, strict=True))
    keep = at < until
    claim, event, at, reserve, paid = claim[keep], event[keep], at[keep], reserve[keep], paid[keep]
    sequence = np.lexsort((claim, at))
    claim, event, at = claim[sequence], event[sequence], at[sequence]
    reason = np.where(at >= case.looked_at[claim], case.reason[claim], 0)
    outcome = np.where(at >= case.decided_at[claim], case.first_outcome[claim], _UNKNOWN)
    outcome = np.where(at >= case.corrected_at[claim], 1 - case.first_outcome[claim], outcome)
    outcome[case.reason[claim] == 0] = _UNKNOWN
    return Rows(claim, event, at, reason, outcome, reserve[sequence], paid[sequence])


# --- inside ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    """The course of each claim; `_NEVER` where a step does not happen."""

    opened_at: np.ndarray
    changed_at: np.ndarray
    looked_at: np.ndarray
    decided_at: np.ndarray
    due_at: np.ndarray  # when the insurer owes the payment: the decision, or the appeal that the customer won
    paid_at: np.ndarray
    corrected_at: np.ndarray
    reason: np.ndarray
    first_outcome: np.ndarray
    first_reserve: np.ndarray
    later_reserve: np.ndarray
    payment: np.ndarray


def _handled(dice: Dice, notice: Notice, is_fraud: np.ndarray) -> _Case:
    place, count, seen = notice.cell.place, notice.cell.count, notice.seen

    def chance(purpose: str) -> np.ndarray:
        return dice.stream(purpose, *place).random(count)

    def days(purpose: str, least: int, most: int) -> np.ndarray:
        return (least + (chance(purpose) * (most - least + 1)).astype(int)) * _DAY

    def evening(at: np.ndarray, step: int) -> np.ndarray:
        """Return an evening of that day or the next working day; no two steps share a second."""
        day = np.busday_offset(at.astype("datetime64[D]"), 0, roll="forward").astype("datetime64[s]")
        second = 64_800 + (chance(f"evening {step}") * 899).astype(int) * 8 + step
        moved: np.ndarray = day + second.astype("timedelta64[s]")
        return moved

    reason = _reasons(dice, notice)
    is_looked_at = reason > 0
    opened = evening(notice.opened_day, 0)
    changed = np.where(chance("changed") < 0.25, evening(opened + days("change", 2, 20), 1), _NEVER)
    looked_at = evening(opened + days("look", 3, 12), 2)
    first_day = seen["accident_date"].astype("datetime64[D]").astype("datetime64[s]")
    usual = 21 + (147 * dice.stream("decision", *place).beta(1.6, 2.4, count)).astype(int)
    late = 170 + (chance("late decision") * 250).astype(int)
    took = np.where(chance("is late") < LATE_SHARE, late, usual) * _DAY
    decided = np.maximum(first_day + took, looked_at + 5 * _DAY)
    closed = np.maximum(opened + days("close", 10, 60), np.where(changed < _NEVER, changed + 2 * _DAY, opened))
    ended = evening(np.where(is_looked_at, decided, closed), 3)
    ended = np.where(changed < _NEVER, np.maximum(ended, changed + np.timedelta64(7, "s")), ended)

    confirmed = is_looked_at & (chance("found") < np.where(is_fraud, FOUND_SHARE, WRONG_SHARE))
    turned = np.where(
        confirmed,
        chance("appeal") < np.where(is_fraud, REVERSED_IF_FRAUD, REVERSED_IF_HONEST),
        is_looked_at & is_fraud & (chance("reopened") < REOPENED_SHARE),
    )
    corrected = np.where(turned, evening(ended + days("correction", 60, 300), 4), _NEVER)
    amount = seen["claim_amount_eur"]
    payment = np.round(np.maximum(amount * (0.97 - 0.12 * chance("cut")) - 150, 0), 2)
    refused = (payment == 0) | (chance("refused") < 0.06) | (confirmed & ~turned)
    payable = np.where(confirmed, corrected, ended)
    paid = np.where(refused, _NEVER, evening(np.minimum(payable, np.datetime64("9000-01-01")) + days("pay", 3, 25), 5))
    return _Case(
        opened_at=opened,
        changed_at=changed,
        looked_at=np.where(is_looked_at, looked_at, _NEVER),
        decided_at=ended,
        due_at=np.where(refused, _NEVER, payable),
        paid_at=paid,
        corrected_at=corrected,
        reason=reason,
        first_outcome=np.where(confirmed, _CONFIRMED, _CLEARED),
        first_reserve=np.round(amount * np.exp(0.30 * dice.stream("reserve", *place).standard_normal(count)), -1),
        later_reserve=np.round(amount * np.exp(0.08 * dice.stream("survey", *place).standard_normal(count)), -1),
        payment=payment,
    )


def _steps(case: _Case) -> "Iterator[tuple[int, np.ndarray]]":
    """Yield each kind of row with the moments at which claims get one."""
    code = {name: number for number, name in enumerate(EVENTS)}
    looked_at, confirmed = case.reason > 0, case.first_outcome == _CONFIRMED
    corrected = case.corrected_at < _NEVER
    yield code["opened"], case.opened_at
    yield code["changed"], case.changed_at
    yield code["investigated"], case.looked_at
    yield code["closed"], np.where(looked_at, _NEVER, case.decided_at)
    yield code["confirmed"], np.where(looked_at & confirmed, case.decided_at, _NEVER)
    yield code["cleared"], np.where(looked_at & ~confirmed, case.decided_at, _NEVER)
    yield code["paid"], case.paid_at
    yield code["reversed"], np.where(confirmed & corrected, case.corrected_at, _NEVER)
    yield code["confirmed"], np.where(~confirmed & corrected, case.corrected_at, _NEVER)


def _state(case: _Case, event: int, at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (claim, event, moment, reserve, paid) of the claims that get such a row."""
    claim = np.flatnonzero(at < _NEVER)
    at = at[claim]
    steps = (case.changed_at, case.decided_at, case.due_at, case.paid_at)
    surveyed, decided, due, paid = (moment[claim] <= at for moment in steps)
    reserve = np.where(surveyed, case.later_reserve[claim], case.first_reserve[claim])
    reserve = np.where(decided, np.where(due, case.payment[claim], 0.0), reserve)
    given = np.where(paid, case.payment[claim], 0.0)
    return claim, np.full(len(claim), event, dtype=np.int16), at, np.where(paid, 0.0, reserve), given


def _reasons(dice: Dice, notice: Notice) -> np.ndarray:
    place, count = notice.cell.place, notice.cell.count
    at = np.clip(dice.stream("mood", *place).random(count), 1e-12, 1 - 1e-12)
    score = _suspicion(notice.seen, notice.price) + RULE_NOISE * np.log(at / (1 - at))
    at_random = dice.stream("random investigation", *place).random(count) < RANDOM_SHARE
    return np.select([at_random, score >= RULE_THRESHOLD], [2, 1], 0)


def _suspicion(seen: Columns, price: np.ndarray) -> np.ndarray:
    """Return the rule's score. It knows amounts and habits, not the truth."""
    score: np.ndarray = (
        0.8 * np.log(seen["claim_amount_eur"] / price)
        + 0.8 * np.isin(seen["accident_kind"], [THEFT, FIRE])
        + 0.4 * (seen["policy_age_days"] < 365)
        + 0.4 * (seen["days_to_report"] > 14)
    )
    return score
