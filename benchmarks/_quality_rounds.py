"""The claims that models are compared on: what is learned from, in which order, and what is answered for."""

# ruff: noqa: S608 - expressions and paths of our own
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Column, Contract, Kind, Role, load_contract
from fraud_ml.data.duck import connect, text
from fraud_ml.errors import Unavailable
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    import pandas as pd

SHARED = Path(os.environ.get("FRAUD_ML_SHARED", PROJECT.parent / "shared"))
TERMINAL_DELAY_DAYS = 7


@dataclass(frozen=True)
class Round:
    """Frames of features and `label`. `first` and `validation` choose and calibrate, then `whole` is learned from."""

    first: "pd.DataFrame"
    validation: "pd.DataFrame"
    whole: "pd.DataFrame"
    test: "pd.DataFrame"
    best: NDArray[np.float64] | None = None  # the best possible scores on `test`, where they are known


@dataclass(frozen=True)
class Task:
    """Rounds, and whether their tests are one sample (out-of-fold) or several, whose figures are averaged."""

    features: tuple[Column, ...]
    rounds: tuple[Round, ...]
    is_pooled: bool = False
    uneven: tuple[int, ...] = field(default=())  # rounds whose label was hardly recorded


def carclaims() -> Task:
    """Learn from 1994 and 1995, answer for 1996. No ids and no calendar are features (see the contract)."""
    contract, claims = _carclaims()
    past = claims[claims["event_time"] < "1996"]
    return Task(contract.features, (_round(past, claims[claims["event_time"] >= "1996"]),))


def carclaims_forward() -> Task:
    """Answer for each quarter of 1995 from all before it. In the second fraud was hardly recorded."""
    contract, claims = _carclaims()
    rounds = []
    for month in (1, 4, 7, 10):
        begin, end = f"1995-{month:02d}", f"1995-{month + 3:02d}" if month < 10 else "1996"
        test = claims[(claims["event_time"] >= begin) & (claims["event_time"] < end)]
        rounds.append(_round(claims[claims["event_time"] < begin], test))
    return Task(contract.features, tuple(rounds), uneven=(1,))


def carclaims_cv(seed: int) -> Task:
    """Answer for each fifth of 1994 and 1995, dealt by month and label, from the other four."""
    contract, claims = _carclaims()
    past = claims[claims["event_time"] < "1996"]
    fold = _dealt(past, np.random.default_rng(seed))
    return Task(
        contract.features, tuple(_round(past[fold != part], past[fold == part]) for part in range(5)), is_pooled=True
    )


def carclaims_leak(*, random: bool) -> Task:
    """Give the calendar and the ids away: in a random split of all years, or out of time."""
    contract, claims = _carclaims()
    shown = (Role.FEATURE, Role.TIME, Role.KEY, Role.CONTEXT)
    features = tuple(
        column.model_copy(update={"kind": Kind.NUMBER} if column.name == contract.key else {})
        for column in contract.columns
        if column.role in shown
    )
    claims = claims.assign(**{contract.key: claims[contract.key].astype(float)})
    if not random:
        past = claims["event_time"] < "1996"
        return Task(features, (_round(claims[past], claims[~past]),))
    fold = _dealt(claims, np.random.default_rng(0))
    return Task(features, tuple(_round(claims[fold != p], claims[fold == p]) for p in range(5)), is_pooled=True)


def motor(seed: int, claims: int = 120_000) -> Task:
    """Learn from a simulated insurer's investigated, mature claims; answer for its last mature year."""
    import pandas as pd

    from fraud_ml.data.simulator import simulate_with_truth
    from fraud_ml.features.split import split_claims
    from fraud_ml.params import load_params
    from fraud_ml.validation.quarantine import digest_key

    contract, as_of = load_contract("motor", PROJECT / "expectations"), date(2025, 12, 31)
    rows, truth = simulate_with_truth("motor", claims=claims, seed=seed, begin=date(2020, 1, 1), end=as_of)
    fold = rows.groupby(contract.key, sort=False).tail(1).assign(event_time=lambda frame: frame["accident_date"])
    fold = fold.reset_index(drop=True)
    for column in contract.columns:
        if column.kind is Kind.CATEGORY:
            fold[column.name] = fold[column.name].astype(object).where(fold[column.name].notna(), None)
    frames = split_claims(fold, contract, as_of, set(), load_params(PROJECT / "params.yaml").features).frames
    whole = pd.concat([frames["train"], frames["validation"]], ignore_index=True)
    truth = truth.set_index(truth[contract.key].map(digest_key))
    best = truth.loc[frames["test"]["key_sha256"], "p_observable"].to_numpy()
    return Task(contract.features, (Round(frames["train"], frames["validation"], whole, frames["test"], best),))


def handbook() -> Task:
    """Card payments: a week to learn from, a week's delay, a week to answer for; the handbook's own features.

    First and validation are an earlier pair of the same kind (five days, three days; a week between). Customers known
    to be defrauded are left out of what is answered for, as in the handbook.
    """
    frame = _payments()
    features = tuple(
        Column(name=name, kind=Kind.NUMBER, role=Role.FEATURE)
        for name in frame.columns
        if name not in ("day", "customer", "label")
    )
    days = (date(2018, 7, 25) - date(2018, 4, 1)).days
    whole, test = _pair(frame, days, 7, 7)
    first, validation = _pair(frame, days - 7, 5, 3)
    return Task(features, (Round(first, validation, whole, test),))


def _pair(frame: "pd.DataFrame", begin: int, learn: int, answer: int) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return payments of `learn` days, and a week later of `answer` days, without customers known by then."""
    import pandas as pd

    train = frame[frame["day"].between(begin, begin + learn - 1)]
    known = set(train.loc[train["label"] == 1, "customer"])
    tests = []
    for day in range(answer):
        late = frame[(frame["day"] == begin + learn + day - 1) & (frame["label"] == 1)]
        known |= set(late["customer"])
        today = frame[frame["day"] == begin + learn + TERMINAL_DELAY_DAYS + day]
        tests.append(today[~today["customer"].isin(known)])
    return train.reset_index(drop=True), pd.concat(tests, ignore_index=True)


def _payments() -> "pd.DataFrame":
    """Return payments with the handbook's features; a terminal's risk is known a week late."""
    path = _public("handbook_transactions.parquet")
    told = []
    for span in (1, 7, 30):
        own = f"(PARTITION BY CUSTOMER_ID ORDER BY TX_DATETIME RANGE INTERVAL {span} DAY PRECEDING)"
        late = (
            "(PARTITION BY TERMINAL_ID ORDER BY TX_DATETIME RANGE BETWEEN"
            f" INTERVAL {span + TERMINAL_DELAY_DAYS} DAY PRECEDING AND INTERVAL {TERMINAL_DELAY_DAYS} DAY PRECEDING)"
        )
        told += [
            f"CAST(count(*) OVER {own} AS DOUBLE) AS customer_count_{span}",
            f"avg(TX_AMOUNT) OVER {own} AS customer_mean_{span}",
            f"CAST(count(*) OVER {late} AS DOUBLE) AS terminal_count_{span}",
            f"coalesce(avg(TX_FRAUD) OVER {late}, 0) AS terminal_risk_{span}",
        ]
    with connect(files=True) as duck:
        frame: pd.DataFrame = duck.sql(
            f"SELECT date_diff('day', DATE '2018-04-01', TX_DATETIME) AS day, CUSTOMER_ID AS customer,"
            " CAST(TX_FRAUD AS TINYINT) AS label, TX_AMOUNT AS amount,"
            " CAST(isodow(TX_DATETIME) >= 6 AS DOUBLE) AS is_weekend,"
            f" CAST(hour(TX_DATETIME) <= 6 AS DOUBLE) AS is_night, {', '.join(told)}"
            f" FROM read_parquet({text(str(path))})"
            " WHERE TX_DATETIME >= TIMESTAMP '2018-06-01' AND TX_DATETIME < TIMESTAMP '2018-08-16'"
            " QUALIFY TX_DATETIME >= TIMESTAMP '2018-07-15' ORDER BY TX_DATETIME, TRANSACTION_ID"
        ).df()
    return frame


def _carclaims() -> "tuple[Contract, pd.DataFrame]":
    contract = load_contract("carclaims", PROJECT / "expectations")
    path = _public("carclaims.csv")
    with connect(files=True) as duck:
        claims: pd.DataFrame = duck.sql(
            f"SELECT *, {contract.times.event} AS event_time"
            f" FROM read_csv({text(str(path))}, all_varchar = true, header = true) ORDER BY event_time, {contract.key}"
        ).df()
    for column in contract.columns:
        if column.kind is Kind.NUMBER:
            claims[column.name] = claims[column.name].astype(float)
    label = claims[contract.label.column].isin(contract.label.positive)
    return contract, claims.assign(label=label.astype("int8"))


def _round(past: "pd.DataFrame", test: "pd.DataFrame") -> Round:
    """Return a round whose last three months of `past` choose and calibrate."""
    import pandas as pd

    past = past.reset_index(drop=True)
    last = past["event_time"].max().to_period("M")
    later = past["event_time"] >= pd.Timestamp((last - 2).start_time)
    return Round(past[~later], past[later], past, test.reset_index(drop=True))


def _dealt(claims: "pd.DataFrame", rng: np.random.Generator) -> NDArray[np.int64]:
    """Return each claim's fifth: claims of a month and a label are dealt out in turn, in a drawn order."""
    fold = np.zeros(len(claims), np.int64)
    begin = 0
    for part in _groups(claims):
        fold[rng.permutation(part)] = (np.arange(len(part)) + begin) % 5
        begin += len(part)
    return fold


def _groups(claims: "pd.DataFrame") -> Iterator[NDArray[np.intp]]:
    keys = claims["event_time"].dt.strftime("%Y-%m") + claims["label"].astype(str)
    for key in sorted(keys.unique()):
        yield np.flatnonzero(keys == key)


def _public(name: str) -> Path:
    if not (SHARED / name).exists() and not (SHARED / "data" / name).exists():
        raise Unavailable(f"{name} is not there", next_step="set FRAUD_ML_SHARED to the folder of the public data")
    return SHARED / name if (SHARED / name).exists() else SHARED / "data" / name
