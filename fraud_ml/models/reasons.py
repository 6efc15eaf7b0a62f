"""Reasons as words that an analyst reads: which column speaks for fraud, and how strongly; never what it holds.

No number is told: the exact share of a personal column would point at its value.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.family import Explained

GRADES = ((np.log(3), "strongly"), (np.log(1.5), "clearly"), (0.0, "slightly"))  # odds × 3, × 1.5, more than × 1
FAINTEST = 0.02  # log-odds; below it a column says nothing


def readable(column: str) -> str:
    """Return a column's name as words, a unit at its end in brackets.

    >>> readable("claim_amount_eur"), readable("AddressChange-Claim"), readable("driver_age_years")
    ('claim amount (EUR)', 'address change claim', 'driver age (years)')
    """
    spaced = "".join(
        f" {sign.lower()}" if sign.isupper() and not prior.isupper() else sign.lower()
        for prior, sign in zip(" " + column, column, strict=False)
    )
    words = "".join(sign if sign.isalnum() else " " for sign in spaced).split()
    if len(words) > 1 and words[-1] in UNITS:
        return f"{' '.join(words[:-1])} ({UNITS[words[-1]]})"
    return " ".join(words)


UNITS = {"eur": "EUR", "usd": "USD", "years": "years", "months": "months", "days": "days", "km": "km"}


class Reasons:
    """The words for each of a model's columns: `said[column * len(GRADES) + grade]`."""

    def __init__(self, titles: Sequence[str]) -> None:
        self.said = [f"{title} speaks {how} for fraud" for title in titles for _, how in GRADES]

    def of(self, explained: Explained, most: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return places in `said`, each claim's heaviest first, one claim after the other; and (n_claims,) how many.

        A claim has as many as columns speak for fraud, at most `most`.
        """
        shares = explained.contributions
        order = np.argsort(-shares, axis=1, kind="stable")[:, :most]
        heavy = np.take_along_axis(shares, order, axis=1)
        limits = np.array([limit for limit, _ in GRADES])
        grade = (heavy[..., None] < limits).sum(axis=2)
        speaks = heavy > FAINTEST
        places = order * len(GRADES) + np.minimum(grade, len(GRADES) - 1)
        return places[speaks].astype(np.int32), speaks.sum(axis=1).astype(np.int32)

    def words(self, explained: Explained, most: int) -> list[list[str]]:
        """Return each claim's reasons, the heaviest first."""
        places, counts = self.of(explained, most)
        ends = np.cumsum(counts)
        return [
            [self.said[place] for place in places[end - count : end]] for end, count in zip(ends, counts, strict=True)
        ]
