"""What the calendar does to the insurer: working days, seasons, prices, exchange rates, and the form of the day.

Everything here is a function of the date alone, so that a longer simulation changes nothing in a shorter one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

CURRENCIES = ("EUR", "CHF", "GBP", "PLN")
CURRENCY_SHARES = (0.952, 0.021, 0.014, 0.013)  # accidents abroad are billed there
FORMS = ("v1", "v2", "v3")
FORM_BEGINS = np.array(["2023-07-01", "2025-01-01"], dtype="datetime64[D]")  # v2 has more lines for witnesses, v3 …

_PRICE_DATES = np.array(["2000-01-01", "2021-07-01", "2023-07-01", "2060-01-01"], dtype="datetime64[D]")
_PRICE_YEARLY = (0.018, 0.068, 0.031)  # rise of repair costs and car prices a year, between those dates
_PRICE_BASE = np.datetime64("2023-01-01")
_MEAN_RATES = np.array([1.0, 0.96, 0.86, 4.4])  # units of the currency for one euro
_SWINGS = np.array([0.0, 0.02, 0.02, 0.05])
_YEAR = 365.25
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Month:
    """A month's working days within the simulated span; `number` counts months since January 1970."""

    number: int
    days: np.ndarray  # datetime64[D]
    weights: np.ndarray  # expected claims opened on each, up to one factor for all months

    @property
    def first_day(self) -> np.datetime64:
        return np.datetime64(self.number, "M").astype("datetime64[D]")

    @property
    def name(self) -> str:
        return str(np.datetime64(self.number, "M"))


def months_between(begin: date, end: date) -> list[Month]:
    """Return the months with a working day in [begin, end], in order."""
    days = np.arange(np.datetime64(begin), np.datetime64(end) + 1)
    days = days[np.is_busday(days)]
    numbers = days.astype("datetime64[M]").astype(int)
    return [Month(int(n), days[numbers == n], _season(days[numbers == n])) for n in np.unique(numbers)]


def dealt(claims: int, months: list[Month]) -> list[int]:
    """Return how many of `claims` are opened in each month: in proportion to its weights, and never fewer for more.

    Claim i falls on the fraction of i times the golden ratio, so that every count of claims is spread evenly and each
    month's share only grows when claims are added.
    """
    edges = np.cumsum([month.weights.sum() for month in months])
    found = np.zeros(len(months), dtype=np.int64)
    for start in range(0, claims, 1 << 20):
        order = np.arange(start, min(claims, start + (1 << 20)), dtype=np.uint64)
        at = (order * _GOLDEN >> np.uint64(11)) * 2.0**-53
        found += np.bincount(np.searchsorted(edges[:-1] / edges[-1], at, side="right"), minlength=len(months))
    return [int(count) for count in found]


def at_rate(per_month: int, months: list[Month]) -> Iterator[int]:
    """Yield how many claims are opened in each month when a working day of mean season brings `per_month` / 21."""
    for month in months:
        yield round(per_month / 21 * float(month.weights.sum()))


def kind_weights(month: int, shares: tuple[float, ...]) -> np.ndarray:
    """Return the shares of collision, parking, glass, theft, fire and weather in that month of the year (0 = January).

    Weather and glass are winter's, theft and fire summer's.
    """
    winter = np.cos(2 * np.pi * (month + 0.5) / 12)
    return np.array(shares) * (1 + winter * np.array([0.05, 0.0, 0.20, -0.15, -0.25, 0.50]))


def prices(days: np.ndarray) -> np.ndarray:
    """Return the level of repair costs and car prices on each day; 1 on 2023-01-01."""
    years = np.diff(_PRICE_DATES).astype(float) / _YEAR
    logs = np.concatenate([[0.0], np.cumsum(years * np.log1p(_PRICE_YEARLY))])
    dates = _PRICE_DATES.astype(float)
    level: np.ndarray = np.exp(
        np.interp(days.astype("datetime64[D]").astype(float), dates, logs)
        - np.interp(_PRICE_BASE.astype(float), dates, logs)
    )
    return level


def rates(days: np.ndarray, currency: np.ndarray) -> np.ndarray:
    """Return the units of each claim's currency for one euro on its day: a slow swing about a mean."""
    months = days.astype("datetime64[M]").astype(int)
    swing: np.ndarray = np.round(
        _MEAN_RATES[currency] * (1 + _SWINGS[currency] * np.sin(2 * np.pi * months / 37 + currency)), 4
    )
    return swing


def forms(days: np.ndarray) -> np.ndarray:
    """Return the index into FORMS of the form in use on each day."""
    return np.searchsorted(FORM_BEGINS, days.astype("datetime64[D]"), side="right").astype(np.int16)


def _season(days: np.ndarray) -> np.ndarray:
    of_year = (days - days.astype("datetime64[Y]")).astype(int)
    season: np.ndarray = 1 + 0.18 * np.cos(2 * np.pi * of_year / _YEAR)  # more accidents in winter
    return season
