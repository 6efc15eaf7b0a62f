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
    UNDER_INVESTIGATION = "under_investigation"  # mature; somebody looks, and has not said
    NEVER_LOOKED_AT = "never_looked_at"  # mature; the source says that nobody looked
    UNLABELLED = "unlabelled"  # mature and silent, where the source does not say who was looked at
    IMMATURE = "immature"  # younger than the contract's maturity, whatever its label says so far


LEARNABLE = (LabelState.CONFIRMED, LabelState.CLEARED)


def mature_until(as_of: date, maturity_days: int) -> date:
    """Return the last day whose claims are mature at `as_of`."""
    return as_of - timedelta(days=maturity_days)


def label_states(claims: "pd.DataFrame", contract: Contract, as_of: date) -> "pd.Series[str]":
    """Return each claim's LabelState, on the index of `claims`.

    claims: the fold as known at `as_of`, with `event_time`, the label column and, where the contract names one, the
    investigation column. A word that the contract does not call positive or negative is silence. A claim without an
    event time, or with one after `as_of`, is immature: nobody can say that it had its time.
    """
    import pandas as pd

    label = claims[contract.label.column]
    if contract.label.investigation is None:
        states = pd.Series(str(LabelState.UNLABELLED), index=claims.index, dtype="str", name="label_state")
    else:
        states = pd.Series(str(LabelState.NEVER_LOOKED_AT), index=claims.index, dtype="str", name="label_state")
        states[is_investigated(claims, contract)] = str(LabelState.UNDER_INVESTIGATION)
    states[label.isin(contract.label.positive)] = str(LabelState.CONFIRMED)
    states[label.isin(contract.label.negative)] = str(LabelState.CLEARED)
    states[~is_mature(claims, contract, as_of)] = str(LabelState.IMMATURE)
    return states


def is_mature(claims: "pd.DataFrame", contract: Contract, as_of: date) -> "pd.Series[bool]":
    """Say of each claim whether it happened `maturity_days` or more before the end of `as_of`."""
    import pandas as pd

    first_immature = pd.Timestamp(mature_until(as_of, contract.label.maturity_days) + timedelta(days=1))
    return claims["event_time"] < first_immature


def is_investigated(claims: "pd.DataFrame", contract: Contract) -> "pd.Series[bool]":
    """Say of each claim whether anybody has looked; nobody has where the contract names no investigation column."""
    import pandas as pd

    seen = contract.label.investigation
    if seen is None:
        return pd.Series(False, index=claims.index)
    return claims[seen.column].notna() & ~claims[seen.column].isin(seen.none)


def is_randomly_investigated(claims: "pd.DataFrame", contract: Contract) -> "pd.Series[bool]":
    """Say of each claim whether chance chose it: only these show the fraud that no rule asks for."""
    import pandas as pd

    seen = contract.label.investigation
    if seen is None:
        return pd.Series(False, index=claims.index)
    return claims[seen.column].isin(seen.random)
