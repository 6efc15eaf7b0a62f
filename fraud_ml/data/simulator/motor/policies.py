"""Who is insured: books of customers, found by number and never kept.

A book has SLOTS places; in each, one policy follows another, so that customers come and go. Everything about a policy
is a number asked of the dice: the same customer comes back with the same sex, car, region and telephone. BUSY of the
slots bring BUSY_SHARE of the claims.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from fraud_ml.data.simulator.motor.dice import Dice, picked

BOOK = 1024  # claims of one month that go to one book
SLOTS = 40_000
BUSY = 1_200
BUSY_SHARE = 0.20

REGIONS = ("north", "south", "east", "west", "islands")
REGION_SHARES = (0.22, 0.24, 0.16, 0.28, 0.10)
MAKES = ("volta", "corsaro", "nordwagen", "ibis", "tamarin", "aurum", "regent")
MAKE_SHARES = (0.21, 0.17, 0.16, 0.14, 0.13, 0.10, 0.09)
_LUXURY = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.1, 1.6])
COVERS = ("liability", "partial", "comprehensive")
COVER_SHARES = (0.38, 0.28, 0.34)
CHANNELS = ("agent", "broker", "online", "partner")
CHANNEL_SHARES = (0.44, 0.21, 0.27, 0.08)
SEXES = ("female", "male")
SEX_SHARES = (0.46, 0.54)
ADDRESS_CHANGES = ("none", "over_1_year", "within_1_year")
ADDRESS_CHANGE_SHARES = (0.80, 0.12, 0.08)
_POISSON_07 = (0.4966, 0.3476, 0.1217, 0.0284, 0.0050, 0.0007)  # past claims declared at signing

_EPOCH = np.datetime64("1900-01-01")
_TENURE_DAYS = (300.0, 6000.0)  # a policy lasts between, log-uniformly
_SECOND_DRIVER = 0.15


@dataclass(frozen=True)
class Policies:
    """Policies as they are on some day; every array is (n,)."""

    book: np.ndarray
    slot: np.ndarray
    tenure: np.ndarray  # which policy of its slot
    age_days: np.ndarray

    @property
    def key(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.book, self.slot, self.tenure

    def packed(self, role: np.ndarray | int = 0) -> np.ndarray:
        """Return a 48-bit number for each policy and a role (0-3) in it: 18 + 16 + 12 + 2 bits."""
        whole = (self.book.astype(np.uint64) << np.uint64(30)) | (self.slot.astype(np.uint64) << np.uint64(14))
        return whole | (self.tenure.astype(np.uint64) << np.uint64(2)) | np.asarray(role).astype(np.uint64)


def policies_at(dice: Dice, book: np.ndarray, slot: np.ndarray, day: np.ndarray) -> Policies:
    """Return who holds each slot on each day."""
    shortest, longest = _TENURE_DAYS
    length = shortest * (longest / shortest) ** dice.of("tenure", book, slot)
    at = (day.astype("datetime64[D]") - _EPOCH).astype(float) + length * dice.of("phase", book, slot)
    tenure = np.floor(at / length)
    return Policies(book, slot, tenure.astype(np.int64), (at - tenure * length).astype(np.int64))


def drawn_slots(dice: Dice, place: tuple[int, int], count: int) -> np.ndarray:
    """Return the slots that bring a cell's claims."""
    busy = dice.stream("busy", *place).random(count) < BUSY_SHARE
    at = dice.stream("slot", *place).random(count)
    return np.where(busy, at * BUSY, BUSY + at * (SLOTS - BUSY)).astype(np.int64)


def regions(dice: Dice, policies: Policies) -> np.ndarray:
    return picked(dice.of("region", *policies.key), REGION_SHARES)


def attributes(dice: Dice, policies: Policies, driver: np.ndarray, price: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the insurer knows of each policy and driver on its day; categories as indices, columns of (n,)."""
    key, years = policies.key, policies.age_days / 365.25
    make = picked(dice.of("make", *key), MAKE_SHARES)
    replaced_after = 8 + 12 * dice.of("replaced", *key)
    vehicle_age = np.minimum((_gamma(2.0, 3.6, dice.of("vehicle", *key)) + years) % replaced_after, 30).astype(int)
    value = _LUXURY[make] * np.exp(10.1 + 0.35 * _normal(dice.of("value", *key))) * 0.88**vehicle_age + 600
    age = 18 + _gamma(3.2, 8.5, dice.of("age", *key, driver)) + 0.3 * years
    return {
        "region": regions(dice, policies),
        "vehicle_make": make,
        "vehicle_age_years": vehicle_age,
        "vehicle_value_eur": np.round(value * price, -2).astype(int),
        "driver_age_years": np.clip(age, 18, 92).astype(int),
        "sex": picked(dice.of("sex", *key, driver), SEX_SHARES),
        "policy_age_days": policies.age_days,
        "cover": picked(dice.of("cover", *key), COVER_SHARES),
        "sales_channel": picked(dice.of("channel", *key), CHANNEL_SHARES),
        "past_claims": picked(dice.of("past", *key), _POISSON_07).astype(int),
        "address_change": picked(dice.of("moved", *key, policies.age_days // 365), ADDRESS_CHANGE_SHARES),
    }


def drivers(dice: Dice, place: tuple[int, int], count: int) -> np.ndarray:
    """Return who drove: 0 the policyholder, 1 the second driver of the household."""
    return (dice.stream("driver", *place).random(count) < _SECOND_DRIVER).astype(np.int64)


@cache
def _quantiles(shape: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (cumulative share, value) of the standard gamma of that shape, or of the standard normal."""
    if shape is None:
        value = np.linspace(-5, 5, 20_001)
        density = np.exp(-(value**2) / 2)
    else:
        value = np.linspace(0, 30, 30_001)
        density = value ** (shape - 1) * np.exp(-value)
    mass = np.cumsum(density)
    return mass / mass[-1], value


def _gamma(shape: float, scale: float, shares: np.ndarray) -> np.ndarray:
    return scale * np.interp(shares, *_quantiles(shape))


def _normal(shares: np.ndarray) -> np.ndarray:
    return np.interp(shares, *_quantiles(None))
