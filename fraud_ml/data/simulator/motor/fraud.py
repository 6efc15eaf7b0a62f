"""Which claims are fraudulent, and how well that can be known: with all information, and from the form alone.

Two things are hidden from the form: whether the customer belongs to a ring, and the strain the customer is under that
year. Given both, fraud is a coin: first the ring may have staged the claim, else the customer may cheat alone. What is
hidden is independent of the form but for the region and month, and takes few values, so that the best score from the
form alone is a finite sum, not an estimate.
"""

from dataclasses import dataclass

import numpy as np

from fraud_ml.data.simulator.motor.dice import Dice, picked
from fraud_ml.data.simulator.motor.notice import (
    FIRE,
    GLASS,
    KINDS,
    ONLINE,
    POLICE,
    POLICE_FORGOTTEN,
    POLICE_IF_LOSS,
    THEFT,
    WEATHER,
    Columns,
    Notice,
)
from fraud_ml.data.simulator.motor.rings import Membership, member_share

SIGNAL = 0.85  # so that the form alone ranks investigated claims about four times better than chance
LEVEL = -4.58  # so that about six in a hundred claims are fraudulent
STRAIN_SHARES = (0.50, 0.35, 0.15)
STRAIN = np.array([-0.9, 0.2, 1.4])  # added to the log-odds of who cheats alone
STAGED_SHARE = 0.45  # of a member's claims, before what the form says about them

FRAUDS = ("none", "ring", "invented", "inflated", "backdated")
CAUSES = (*KINDS, "staged", "nothing happened", "before the policy began")
_RING, _INVENTED, _INFLATED, _BACKDATED = range(1, 5)


@dataclass(frozen=True)
class Fraud:
    """What is true of each claim, arrays of (n,); indices into FRAUDS and CAUSES."""

    kind: np.ndarray
    cause: np.ndarray
    p_all: np.ndarray  # the chance of fraud given everything decided before the fraud itself
    p_observable: np.ndarray  # the chance given the form: E[p_all | columns of first notice, month]

    @property
    def is_fraud(self) -> np.ndarray:
        return self.kind > 0


def decided(dice: Dice, notice: Notice, member: Membership) -> Fraud:
    """Return which claims are fraudulent, of what kind, and both chances of it."""
    place, seen = notice.cell.place, notice.seen
    year = seen["accident_date"].astype("datetime64[Y]").astype(int)
    strain = STRAIN[picked(dice.of("strain", *notice.policies.key, notice.driver, year), STRAIN_SHARES)]
    staged = np.where(member.belongs, staged_chance(seen), 0.0)
    alone = _chance(alone_logit(seen, notice.price, notice.hidden["police_report"]) + strain)
    p_all = staged + (1 - staged) * alone
    at = dice.stream("fraud", *place).random(notice.cell.count)
    how = _how(dice, notice)
    kind = np.select([at < staged, at < p_all], [_RING, how], 0).astype(np.int16)
    cause = np.select(
        [kind == _RING, kind == _INVENTED, kind == _BACKDATED],
        [len(KINDS), len(KINDS) + 1, len(KINDS) + 2],
        seen["accident_kind"],
    )
    return Fraud(kind, cause, p_all, observable(seen, notice.price, notice.cell.month.number))


def observable(seen: Columns, price: np.ndarray, month: int) -> np.ndarray:
    """Return P(fraud | the form's columns, the month), exactly: hidden values are summed over with their chances.

    The sum runs over ring membership (`member_share`), strain, and whether the police was told where the form may have
    forgotten it. Identifiers are not used: who was seen before, and with whom, is left to the reader of many claims.
    """
    regions = np.array([member_share(region, month % 3) for region in range(5)])
    staged = regions[seen["region"]] * staged_chance(seen)
    told = _police_chance(seen)
    alone = np.zeros(len(price))
    for police, weight in ((True, told), (False, 1 - told)):
        logit = alone_logit(seen, price, np.full(len(price), police))
        for shift, share in zip(STRAIN, STRAIN_SHARES, strict=True):
            alone += weight * share * _chance(logit + shift)
    return staged + (1 - staged) * alone


def staged_chance(seen: Columns) -> np.ndarray:
    """Return the chance that a ring's member's claim is the ring's: it likes collisions with others, and witnesses."""
    shape = (
        STAGED_SHARE
        * np.array([0.7, 0.5, 1.9, 1.5])[seen["fault"]]
        * np.where(np.isin(seen["accident_kind"], [GLASS, WEATHER]), 0.3, 1.0)
        * np.where(np.isin(seen["accident_kind"], [THEFT, FIRE]), 1.8, 1.0)
        * np.where(seen["policy_age_days"] < 365, 1.4, 1.0)
        * np.where(seen["witnesses"] > 0, 1.25, 0.75)
    )
    return np.minimum(shape, 0.97)


def alone_logit(seen: Columns, price: np.ndarray, police: np.ndarray) -> np.ndarray:
    """Return the log-odds that a customer under no strain cheats alone.

    Two interactions no single column shows: a fresh policy with a theft or a fire and no witness, and a recent change
    of address with a third party at fault. Money counts in prices of 2023.
    """
    fresh = seen["policy_age_days"] < 120
    loss = np.isin(seen["accident_kind"], [THEFT, FIRE])
    unseen = seen["witnesses"] == 0
    moved = seen["address_change"] == 2
    third_party = seen["fault"] == 2
    logit = (
        1.0 * fresh
        + 0.9 * loss
        + 0.5 * unseen
        + 2.6 * (fresh & loss & unseen)
        + 3.6 * (moved & third_party)
        - 1.3 * (third_party & ~moved)
        + 0.5 * (seen["fault"] == 1)
        + 0.8 * (seen["cover"] == 2)
        + 0.5 * (seen["sales_channel"] == ONLINE)
        + 0.4 * np.isin(seen["region"], [1, 4])
        + 0.7 * np.log(seen["claim_amount_eur"] / (3000.0 * price))
        + 0.3 * np.minimum(seen["past_claims"], 4)
        - 0.7 * police
        + 0.9 * (seen["days_to_report"] > 14)
        - 0.015 * (seen["driver_age_years"] - 45)
    )
    return SIGNAL * logit + LEVEL


def _police_chance(seen: Columns) -> np.ndarray:
    """Return P(the police was told | what the form says): a "no" may be an untouched box."""
    told = np.where(np.isin(seen["accident_kind"], [THEFT, FIRE]), POLICE_IF_LOSS, POLICE)
    may_forget = (seen["sales_channel"] == ONLINE) & (seen["form_version"] < 2)
    forgotten = told * POLICE_FORGOTTEN / (told * POLICE_FORGOTTEN + 1 - told)
    return np.where(seen["police_report"] == 1, 1.0, np.where(may_forget, forgotten, 0.0))


def _how(dice: Dice, notice: Notice) -> np.ndarray:
    """Return how each customer would cheat."""
    at = dice.stream("how", *notice.cell.place).random(notice.cell.count)
    invented = np.where(np.isin(notice.seen["accident_kind"], [THEFT, FIRE]), 0.55, 0.08)
    backdated = np.where(notice.seen["policy_age_days"] < 120, 0.35, 0.02)
    return np.select([at < invented, at < invented + backdated], [_INVENTED, _BACKDATED], _INFLATED)


def _chance(logit: np.ndarray) -> np.ndarray:
    chance: np.ndarray = 1 / (1 + np.exp(-logit))
    return chance
