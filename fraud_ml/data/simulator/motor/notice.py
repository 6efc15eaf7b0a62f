"""What happened, and what the insurer writes down at first notice. Whether it is fraud is decided afterwards.

`Notice.seen` holds the columns of the form, categories as indices; `Notice.hidden` what was so and did not reach it.
"""

from dataclasses import dataclass

import numpy as np

from fraud_ml.data.simulator.motor import seasons
from fraud_ml.data.simulator.motor.dice import Dice, picked
from fraud_ml.data.simulator.motor.policies import BOOK, Policies, attributes, drawn_slots, drivers, policies_at

KINDS = ("collision", "parking", "glass", "theft", "fire", "weather")
_KIND_SHARES = (0.455, 0.195, 0.11, 0.095, 0.035, 0.11)
_UNCOVERED = np.array([1, 1, 1, 0, 0, 1])  # liability alone pays for no theft and no fire
FAULTS = ("none", "own", "third_party", "shared")
_FAULT_SHARES = (0.0, 0.52, 0.36, 0.12)
ANSWERS = ("no", "yes")
THEFT, FIRE, GLASS, WEATHER = (KINDS.index(name) for name in ("theft", "fire", "glass", "weather"))
ONLINE = 2  # of policies.CHANNELS

POLICE_IF_LOSS, POLICE = 0.85, 0.22  # theft and fire are mostly reported to the police, the rest is not
POLICE_FORGOTTEN = 0.30  # until form v3, an untouched box of the online form says "no"
WITNESS_LINES = 2  # on form v1
MOST_WITNESSES = 5
_LATE_SHARE, _BACKLOG_SHARE = 0.06, 0.04

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """A stretch of one month's claims: numbers [first, first + count) of that month."""

    month: seasons.Month
    first: int
    count: int

    @property
    def place(self) -> tuple[int, int]:
        return self.month.number, self.first

    @property
    def book(self) -> np.ndarray:
        return (self.first + np.arange(self.count)) // BOOK

    @property
    def row(self) -> np.ndarray:
        """Return each claim's book as an index into `books`."""
        return self.book - self.first // BOOK

    @property
    def books(self) -> np.ndarray:
        return np.unique(self.book)


@dataclass(frozen=True)
class Notice:
    """Claims at first notice; every array is (count,)."""

    cell: Cell
    policies: Policies
    driver: np.ndarray  # 0 the policyholder, 1 the second driver
    opened_day: np.ndarray  # datetime64[D]
    price: np.ndarray  # the day's level of costs
    seen: Columns
    hidden: Columns


def first_notice(dice: Dice, cell: Cell, begin: np.datetime64) -> Notice:
    """Return the cell's claims. No accident is before `begin`; each is opened on a working day of the cell's month."""
    place, count = cell.place, cell.count
    days = cell.month.days
    opened = days[picked(dice.stream("opened", *place).random(count), cell.month.weights)]
    reported = np.maximum(opened - _days_to_record(dice, place, opened), begin)
    days_to_report = np.minimum(_days_to_report(dice, place, count), (reported - begin).astype(int))
    accident_day = reported - days_to_report
    accident, reported_at = _clock(dice, place, accident_day, reported)

    policies = policies_at(dice, cell.book, drawn_slots(dice, place, count), accident_day)
    driver = drivers(dice, place, count)
    price = seasons.prices(accident_day)
    known = attributes(dice, policies, driver, price)
    kind = _kinds(dice, cell, known["cover"])
    loss = np.isin(kind, [THEFT, FIRE])
    form = seasons.forms(reported)
    currency = picked(dice.stream("currency", *place).random(count), seasons.CURRENCY_SHARES)
    fault = picked(dice.stream("fault", *place).random(count), _FAULT_SHARES)
    seen = {
        **known,
        "accident_date": accident,
        "reported_date": reported_at,
        "accident_kind": kind,
        "fault": np.where(kind <= KINDS.index("parking"), fault, 0),
        "days_to_report": days_to_report,
        "form_version": form,
        "currency": currency,
        **_amounts(dice, cell, kind, known["vehicle_value_eur"], price, currency, accident_day),
    }
    police = dice.stream("police", *place).random(count) < np.where(loss, POLICE_IF_LOSS, POLICE)
    forgotten = dice.stream("police box", *place).random(count) < POLICE_FORGOTTEN
    may_forget = (known["sales_channel"] == ONLINE) & (form < 2)
    seen["police_report"] = (police & ~(may_forget & forgotten)).astype(np.int16)
    witnesses = np.minimum(dice.stream("witnesses", *place).poisson(np.where(loss, 0.25, 0.8)), MOST_WITNESSES)
    seen["witnesses"] = np.where(form == 0, np.minimum(witnesses, WITNESS_LINES), witnesses)
    return Notice(cell, policies, driver, opened, price, seen, {"police_report": police})


def _days_to_record(dice: Dice, place: tuple[int, int], opened: np.ndarray) -> np.ndarray:
    """Return the days from report to record: none on most days, a weekend on Mondays, a fortnight in a backlog."""
    at = dice.stream("weekend", *place).random(len(opened))
    backlog = dice.stream("backlog", *place)
    is_monday = (opened.astype("datetime64[D]").astype(int) + 3) % 7 == 0  # 1970-01-01 was a Thursday
    weekend = np.where(is_monday, np.select([at < 0.5, at < 0.7], [0, 1], 2), 0)
    delayed = backlog.random(len(opened)) < _BACKLOG_SHARE
    return np.where(
        delayed, weekend + 1 + picked(dice.stream("delay", *place).random(len(opened)), (1.0,) * 12), weekend
    )


def _days_to_report(dice: Dice, place: tuple[int, int], count: int) -> np.ndarray:
    usual = np.minimum(dice.stream("usual report", *place).geometric(0.28, count) - 1, 14)
    late = 15 + (dice.stream("late report", *place).random(count) * 26).astype(int)
    return np.where(dice.stream("report", *place).random(count) < _LATE_SHARE, late, usual)


def _clock(dice: Dice, place: tuple[int, int], day: np.ndarray, reported: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the moments of accident and report; a report is made by 17:30, after its accident."""
    count = len(day)
    second = np.minimum(dice.stream("second", *place).normal(14.5, 4.5, count) % 24 * 3600, 82_799)
    same_day = day == reported
    second = np.where(same_day & (second > 57_600), second * 0.6, second).astype(np.int64)
    at = dice.stream("report second", *place).random(count)
    report_second = np.where(same_day, second + 1800 + at * 3600, 32_400 + at * 30_600).astype(np.int64)
    return _at(day, second), _at(reported, report_second)


def _at(day: np.ndarray, second: np.ndarray) -> np.ndarray:
    moment: np.ndarray = day.astype("datetime64[s]") + second.astype("timedelta64[s]")
    return moment


def _kinds(dice: Dice, cell: Cell, cover: np.ndarray) -> np.ndarray:
    at = dice.stream("kind", *cell.place).random(cell.count)
    weights = seasons.kind_weights(cell.month.number % 12, _KIND_SHARES)
    return np.where(cover == 0, picked(at, weights * _UNCOVERED), picked(at, weights))


def _amounts(
    dice: Dice,
    cell: Cell,
    kind: np.ndarray,
    value: np.ndarray,
    price: np.ndarray,
    currency: np.ndarray,
    day: np.ndarray,
) -> Columns:
    """Return the amount as claimed, in its currency and in euro."""
    total = dice.stream("total loss", *cell.place).beta(6, 2, cell.count)
    part = np.where(kind == GLASS, 0.03, 0.28) * dice.stream("damage", *cell.place).gamma(1.6, 0.6, cell.count)
    share = np.where(np.isin(kind, [THEFT, FIRE]), total, part)
    rate = seasons.rates(day, currency)
    amount = np.round(np.clip(value * share, 120 * price, 90_000 * price) * rate, 2)
    return {"claim_amount": amount, "claim_amount_eur": np.round(amount / rate, 2)}
