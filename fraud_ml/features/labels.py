"""What is known about a claim's label at the as-of date."""

from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract

if TYPE_CHECKING:
    import pandas as pd


class LabelState(StrEnum):
    """Only the first two may be learned from. Silence is never a "no"."""

    CONFIRMED = "confirmed"  # mature, and known to be fraud
    CLEARED = "cleared"  # mature, and known not to be
    UNLABELLED = "unlabelled"  # mature, but nobody said either; other words than the contract's count as silence
    IMMATURE = "immature"  # younger than the contract's maturity, whatever its label says so far


def mature_until(as_of: date, maturity_days: int) -> date:
    """Return the last day whose claims are mature at `as_of`."""
    return as_of - timedelta(days=maturity_days)


def label_states(claims: "pd.DataFrame", contract: Contract, as_of: date) -> "pd.Series[str]":
    """Return each claim's LabelState, on the index of `claims`.

    claims: the fold as known at `as_of`, with `event_time` and the label column. A claim without an event time, or
    with one after `as_of`, is immature: nobody can say that it had its time.
    """
    import pandas as pd

    label = claims[contract.label.column]
    states = pd.Series(str(LabelState.UNLABELLED), index=claims.index, dtype="str", name="label_state")
    states[label.isin(contract.label.positive)] = str(LabelState.CONFIRMED)
    states[label.isin(contract.label.negative)] = str(LabelState.CLEARED)
    first_immature = pd.Timestamp(mature_until(as_of, contract.label.maturity_days) + timedelta(days=1))
    states[~(claims["event_time"] < first_immature)] = str(LabelState.IMMATURE)
    return states
