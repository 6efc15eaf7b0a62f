"""Changes to some rows of a frame of motor claims, in place: what a source may send anew, right or wrong."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

Change = Callable[[pd.DataFrame, Sequence[int]], None]


def lose_regions(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "region"] = None


def new_category(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "cover"] = "moon"


def wrong_amounts(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "claim_amount_eur"] = -3.0


def no_age(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "driver_age_years"] = 7.0


def blanks(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "garage_id"] = " G-000001"


def many_values(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "region"] = [f"region {row}" for row in rows]


def other_unit(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "claim_amount"] *= 100


def recorded_late(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "recorded_at"] = pd.Timestamp("2025-02-01")


def one_key(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "claim_id"] = "M-shared"


def closed(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, ["outcome", "investigation"]] = ["confirmed", "rule"]


def told_again(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    """The rows tell what the first of them tells, under their own keys."""
    claims.loc[rows, claims.columns.drop("claim_id")] = claims.loc[rows[0], claims.columns.drop("claim_id")].to_list()


def no_numbers(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, ["vehicle_value_eur", "witnesses"]] = [np.nan, np.inf]


def other_hours(claims: pd.DataFrame, rows: Sequence[int]) -> None:
    claims.loc[rows, "reported_date"] += pd.Timedelta(hours=7, minutes=1)


CHANGES: tuple[Change, ...] = (
    lose_regions,
    new_category,
    wrong_amounts,
    no_age,
    blanks,
    many_values,
    other_unit,
    recorded_late,
    one_key,
    closed,
    told_again,
    no_numbers,
    other_hours,
)
