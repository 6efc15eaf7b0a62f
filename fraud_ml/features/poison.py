"""Rows that a log could hold after the as-of date: whoever lets one of them through reads another past."""

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.contract import SEALED, Contract, Kind

if TYPE_CHECKING:
    import pandas as pd

DAYS = 60  # the poison is recorded within so many days after the as-of date; a third of it in that date's midnight
MOST = 20_000  # claims that are poisoned


def poison(
    known: "pd.DataFrame", later: "pd.DataFrame | None", contract: Contract, as_of: date, seed: int
) -> "pd.DataFrame":
    """Return rows like those of the log, every one recorded after the end of `as_of`, and none of them true.

    known: the rows recorded by then; later: those really recorded since, where there are any. Each known claim (at
    most MOST) gets a row with other claims' values and the opposite label; half as many claims appear that nobody had
    heard of, with events before `as_of`; the later rows come with their columns shuffled apart.
    """
    import pandas as pd

    dice = np.random.default_rng(seed)
    last = known.drop_duplicates(contract.key, keep="last")
    last = last.iloc[dice.permutation(len(last))[:MOST]]
    changed = _shuffled(last, contract, dice).assign(**{contract.label.column: _opposed(last, contract)})
    unheard = changed.iloc[: (len(changed) + 1) // 2].copy()
    unheard[contract.key] = [f"{key}-unheard" for key in unheard[contract.key]]
    midnight = np.datetime64(datetime.combine(as_of + timedelta(days=1), time()), "us")
    made = []
    for part in (changed, unheard):
        wait = dice.integers(0, DAYS * 86_400, len(part)).astype("timedelta64[s]")
        wait[::3] = np.timedelta64(0, "s")
        made.append(part.assign(recorded_at=(midnight + wait).astype("datetime64[us]")))
    if later is not None and len(later):
        made.append(_shuffled(later, contract, dice))
    return pd.concat(made, ignore_index=True)


def _shuffled(rows: "pd.DataFrame", contract: Contract, dice: np.random.Generator) -> "pd.DataFrame":
    """Return the rows with each column but key and recorded time in an order of its own; numbers are doubled too."""
    fixed = {contract.key, "recorded_at", "event_time"}
    numbers = {column.name for column in contract.columns if column.kind is Kind.NUMBER}
    people = {SEALED, *(column.name for column in contract.personal)} if contract.erasure else set()
    shuffled = rows.reset_index(drop=True).copy()
    together = dice.permutation(len(rows)) if people else np.arange(0)  # sealed values open for their own person only
    for name in rows.columns:
        if name not in fixed:
            places = dice.permutation(len(rows)) if name not in people else together
            values = shuffled[name].iloc[places].reset_index(drop=True)
            shuffled[name] = values * 2 + 1 if name in numbers else values
    return shuffled


def _opposed(rows: "pd.DataFrame", contract: Contract) -> "pd.Series[str]":
    """Return a label for each row that says the opposite of its own, or fraud where it says nothing."""
    import pandas as pd

    label = contract.label
    honest = label.negative[0] if label.negative else None  # a source may confirm only
    is_fraud = rows[label.column].isin(label.positive)
    return pd.Series([honest if fraud else label.positive[0] for fraud in is_fraud], dtype="str")
