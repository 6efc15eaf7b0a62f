"""Who stands in a claim beside the policy: claimant, witnesses, garage, telephone, address, under opaque names.

Honest people come back because they are few: customers of one book, garages of one region; and they share what rings
share: a household its telephone, a garage's customers the garage's. A ring's own claims name its front garage and,
often, its telephone; its members testify for each other. A ring that moves keeps its telephones.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.data.simulator.motor.dice import Dice, joined, spelled
from fraud_ml.data.simulator.motor.notice import MOST_WITNESSES, Notice
from fraud_ml.data.simulator.motor.policies import SLOTS, policies_at
from fraud_ml.data.simulator.motor.rings import Membership, Rings, members

if TYPE_CHECKING:
    import pyarrow as pa

GARAGES = 40  # in one region, for the customers of four books
KNOWN_WITNESS_SHARE = 0.10  # honest witnesses who are customers themselves
RING_PHONE_SHARE = 0.55  # of a ring's claims leave one of its telephones
RING_GARAGE_SHARE = 0.85
SHARED_PHONE_SHARE = 0.50  # second drivers who use the policyholder's telephone
GARAGE_PHONE_SHARE = 0.04  # claims that leave the garage's telephone
NO_WITNESS = "none"
_STRANGER = 3  # the role of people who are nobody's policy


@dataclass(frozen=True)
class Parties:
    """Names in a claim, each (n,) of text."""

    policy_id: "pa.StringArray"
    claimant_id: "pa.StringArray"
    garage_id: "pa.StringArray"
    witness_ids: "pa.StringArray"
    phone_id: "pa.StringArray"
    address_id: "pa.StringArray"


def parties(dice: Dice, notice: Notice, rings: Rings, member: Membership, is_staged: np.ndarray) -> Parties:
    """Return who is named; `is_staged` marks the claims that a ring made."""
    ring = rings.number(member.row, member.lane, member.which)
    person = notice.policies.packed(notice.driver)
    garage = _garages(dice, notice, rings, member, ring, is_staged)
    moved = notice.seen["address_change"] == 2
    series = dice.series
    return Parties(
        policy_id=spelled(f"P-{series}-", dice.opaque("policy", notice.policies.packed())),
        claimant_id=spelled(f"D-{series}-", dice.opaque("person", person)),
        garage_id=spelled(f"G-{series}-", dice.opaque("garage", garage)),
        witness_ids=joined(
            f"D-{series}-",
            dice.opaque("person", _witnesses(dice, notice, rings, ring, is_staged)),
            notice.seen["witnesses"],
            nobody=NO_WITNESS,
        ),
        phone_id=spelled(
            f"T-{series}-", dice.opaque("phone", _phones(dice, notice, rings, member, ring, garage, is_staged))
        ),
        address_id=spelled(f"A-{series}-", dice.opaque("address", notice.policies.packed(moved))),
    )


def _garages(
    dice: Dice, notice: Notice, rings: Rings, member: Membership, ring: np.ndarray, is_staged: np.ndarray
) -> np.ndarray:
    """Return garage numbers: a few large ones and many small in each region; a ring's front is one of them."""
    place, region = notice.cell.place, notice.seen["region"].astype(np.int64)
    at = dice.stream("garage", *place).random(notice.cell.count)
    front = dice.of("front", ring, region)
    uses_front = is_staged & (dice.stream("front", *place).random(notice.cell.count) < RING_GARAGE_SHARE)
    which = np.where(uses_front, front * GARAGES, at**2 * GARAGES).astype(np.int64)
    return ((rings.books[member.row] // 4 * 5 + region) * GARAGES + which).astype(np.uint64)


def _phones(
    dice: Dice,
    notice: Notice,
    rings: Rings,
    member: Membership,
    ring: np.ndarray,
    garage: np.ndarray,
    is_staged: np.ndarray,
) -> np.ndarray:
    """Return telephone numbers: the person's or household's, the garage's, or the ring's, which gets a second one."""
    at = dice.stream("phone", *notice.cell.place).random(notice.cell.count)
    shares = dice.of("household phone", *notice.policies.key) < SHARED_PHONE_SHARE
    own = notice.policies.packed(np.where(shares, 0, notice.driver))
    lines = np.where(rings.age_months[member.row, member.lane, member.which] >= 6, 2, 1)
    of_ring = (np.uint64(2) << np.uint64(46)) | (ring << np.uint64(1)) | (at * 997 % 1 * lines).astype(np.uint64)
    of_garage = (np.uint64(1) << np.uint64(46)) | garage
    at_garage = dice.stream("garage phone", *notice.cell.place).random(notice.cell.count) < GARAGE_PHONE_SHARE
    return np.where(is_staged & (at < RING_PHONE_SHARE), of_ring, np.where(at_garage, of_garage, own))


def _witnesses(dice: Dice, notice: Notice, rings: Rings, ring: np.ndarray, is_staged: np.ndarray) -> np.ndarray:
    """Return the people who may testify, (n, MOST_WITNESSES): strangers, some customers; for a ring, its members."""
    place, shape = notice.cell.place, (notice.cell.count, MOST_WITNESSES)
    at = dice.stream("witness", *place).random(shape)
    slot = (at * SLOTS).astype(np.int64)
    book = np.broadcast_to(notice.policies.book[:, None], shape)
    stranger = (at * 2.0**46).astype(np.uint64) << np.uint64(2) | np.uint64(_STRANGER)
    people = stranger
    known = np.nonzero(dice.stream("known witness", *place).random(shape) < KNOWN_WITNESS_SHARE)
    day = notice.seen["accident_date"][known[0]]
    people[known] = policies_at(dice, book[known], slot[known], day).packed()
    staged = np.flatnonzero(is_staged)
    if len(staged):
        whose, customers = members(dice, rings)
        names = customers.packed()
        first = np.searchsorted(whose, ring[staged], side="left")
        size = np.maximum(np.searchsorted(whose, ring[staged], side="right") - first, 1)
        start = np.minimum(at[staged, 0] * size, size - 1).astype(np.int64)
        for number in range(MOST_WITNESSES):  # one after the other, so that nobody testifies twice in a large ring
            chosen = names[np.minimum(first + (start + number) % size, len(names) - 1)]
            is_claimant = chosen == notice.policies.packed()[staged]
            people[staged, number] = np.where(is_claimant | (number >= size), people[staged, number], chosen)
    return people
