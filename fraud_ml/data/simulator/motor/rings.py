"""Rings of fraudsters: they are founded, recruit among busy customers, move to another region, and dissolve.

Each quarter a book founds up to two rings. A busy customer belongs to one of twelve lanes; in any month each lane has
the rings founded in one quarter of the last three years, so nobody is courted by rings of two quarters at once. Who
lives where a lane's ring works may have joined it, the likelier the longer it exists. A ring's front garages, its
telephones and its members, who testify for each other, show in the claims; which claims were its own, in the truth.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from fraud_ml.data.simulator.motor.dice import Dice, picked
from fraud_ml.data.simulator.motor.policies import BUSY, BUSY_SHARE, Policies, policies_at, regions

LANES = 12  # quarters that a ring can live, at most
FOUNDED = 2  # rings that a book may found in a quarter
FOUNDED_SHARE = 0.60  # … and the share of them that it does found
LIFE_MONTHS = (10, 33)  # both included, all as likely
RING_REGION_SHARES = (0.18, 0.30, 0.10, 0.26, 0.16)
FULL_SHARE = 1.0  # of the busy customers in its region and lane, a grown ring has recruited
GROWN_AFTER = 12  # months


@dataclass(frozen=True)
class Rings:
    """The rings of some books in one month; every array is (books, LANES, FOUNDED) but `books` and `quarter`."""

    month: int
    books: np.ndarray  # (books,)
    quarter: np.ndarray  # (LANES,): when each lane's rings were founded, in quarters since 1970
    works: np.ndarray  # bool
    age_months: np.ndarray
    region: np.ndarray
    has_moved: np.ndarray  # bool

    def number(self, row: np.ndarray, lane: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return a number below 2**48 that is this ring's alone."""
        quarter = self.quarter[lane].astype(np.uint64)
        return (
            (self.books[row].astype(np.uint64) << np.uint64(18)) | (quarter << np.uint64(4)) | which.astype(np.uint64)
        )


@dataclass(frozen=True)
class Membership:
    """To which ring customers belong in a month; arrays of (n,), the last three only where `belongs`."""

    belongs: np.ndarray  # bool
    row: np.ndarray  # of the ring's book in `Rings.books`
    lane: np.ndarray
    which: np.ndarray


def rings_in(dice: Dice, month: int, books: np.ndarray) -> Rings:
    """Return the rings of `books` in a month (counted since January 1970)."""
    now = month // 3
    quarter = now - (now - np.arange(LANES)) % LANES
    thing = np.broadcast_arrays(books[:, None, None], quarter[None, :, None], np.arange(FOUNDED)[None, None, :])
    founded = dice.of("founded", *thing) < FOUNDED_SHARE
    age = month - (thing[1] * 3 + (dice.of("birth", *thing) * 3).astype(int))
    shortest, longest = LIFE_MONTHS
    life = shortest + (dice.of("life", *thing) * (longest - shortest + 1)).astype(int)
    has_moved = age >= life * (0.3 + 0.9 * dice.of("move", *thing))  # two in three live to move
    first, second = (picked(dice.of(name, *thing), RING_REGION_SHARES) for name in ("region", "next region"))
    works = founded & (age >= 0) & (age < life)
    return Rings(month, books, quarter, works, age, np.where(has_moved, second, first), has_moved)


def membership(dice: Dice, rings: Rings, row: np.ndarray, slot: np.ndarray, region: np.ndarray) -> Membership:
    """Return who of these customers (a slot of the book in `row` of rings.books) belongs to which ring."""
    book = rings.books[row]
    lane = (dice.of("lane", book, slot) * LANES).astype(int)
    here = rings.works[row, lane] & (rings.region[row, lane] == region[:, None])  # (n, FOUNDED)
    which = np.argmax(here, axis=1)
    grown = recruited(rings.age_months[row, lane, which])
    joins = dice.of("joins", book, slot, rings.quarter[lane]) < grown
    return Membership((slot < BUSY) & here.any(axis=1) & joins, row, lane, which)


def recruited(age_months: np.ndarray) -> np.ndarray:
    """Return the share of its possible members that a ring of that age has recruited."""
    return FULL_SHARE * np.minimum(1.0, (age_months + 3) / (GROWN_AFTER + 3))


@cache
def member_share(region: int, month_of_quarter: int) -> float:
    """Return the chance that a claim of this region comes from a ring's member, over all that chance may make of rings.

    Exact: the sum over the lanes' ages, the month of founding and the length of life. Region and age are independent,
    because a ring that moves draws its region again from the same shares.
    """
    shortest, longest = LIFE_MONTHS
    lives = np.arange(shortest, longest + 1)
    total = 0.0
    for quarters_ago in range(LANES):
        ages = 3 * quarters_ago + month_of_quarter - np.arange(3)
        works = np.array([np.mean(lives > age) if age >= 0 else 0.0 for age in ages]) * FOUNDED_SHARE
        here = RING_REGION_SHARES[region] / sum(RING_REGION_SHARES) * works.mean()
        joined = RING_REGION_SHARES[region] / sum(RING_REGION_SHARES) * (works * recruited(ages)).mean()
        total += sum((1 - here) ** before * joined for before in range(FOUNDED))
    return BUSY_SHARE * total / LANES


def members(dice: Dice, rings: Rings) -> tuple[np.ndarray, Policies]:
    """Return (the ring's number, the customer) for every member of every ring, sorted by ring."""
    row = np.repeat(np.arange(len(rings.books)), BUSY)
    slot = np.tile(np.arange(BUSY), len(rings.books))
    day = np.full(len(slot), np.datetime64(rings.month, "M").astype("datetime64[D]"))
    customers = policies_at(dice, rings.books[row], slot, day)
    found = membership(dice, rings, row, slot, regions(dice, customers))
    ring = rings.number(row, found.lane, found.which)
    order = np.flatnonzero(found.belongs)
    order = order[np.argsort(ring[order], kind="stable")]
    chosen = Policies(rings.books[row[order]], slot[order], customers.tenure[order], customers.age_days[order])
    return ring[order], chosen
