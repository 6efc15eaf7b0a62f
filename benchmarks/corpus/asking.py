"""What callers ask a scorer about: claims like a scene's newest ones, counted as a scorer counts them."""

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from benchmarks.corpus.landing import history, known_claims, land
from benchmarks.corpus.scenes import as_csv, scene
from fraud_ml.contract import Contract
from fraud_ml.models.inputs import Inputs, describe_inputs
from fraud_ml.serving.counting import count_claims
from fraud_ml.validation.served import Served

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

QUARTER = timedelta(days=90)  # as far as a run looks back at requests


@cache
def claims_of(dataset: str, seed: int) -> "pd.DataFrame":
    """Return the scene's claims, its delivery among them."""
    place = scene(dataset, seed)
    return known_claims(place, [history(dataset, seed), land(place, as_csv(place.arriving))])


@cache
def inputs_of(dataset: str, seed: int) -> Inputs:
    """Return the columns of the model that answers in the scene."""
    return learned_inputs(claims_of(dataset, seed), scene(dataset, seed).contract)


def learned_inputs(claims: "pd.DataFrame", contract: Contract) -> Inputs:
    """Return the columns of a model that learned from the older claims, three in five."""
    older = claims[claims["event_time"] < claims["event_time"].quantile(0.6)]
    return describe_inputs(older, [column for column in contract.features if older[column.name].nunique() > 1])


def newest_claims(claims: "pd.DataFrame", as_of: date, rows: int, dice: "int | np.random.Generator") -> "pd.DataFrame":
    """Return so many claims of the last quarter, drawn one by one: what callers would ask about."""
    import pandas as pd

    recent = claims["event_time"] > pd.Timestamp(as_of - QUARTER)
    return claims[recent].sample(rows, replace=True, random_state=dice, ignore_index=True)


def record_of(dataset: str, frame: "pd.DataFrame", inputs: Inputs, last: date) -> Served:
    """Return the record of requests about these claims, spread over the quarter that ends on `last`."""
    days = tuple(f"{last - timedelta(days=back)}" for back in range(QUARTER.days - 1, -1, -1))
    return Served(dataset, days, len(frame), count_claims(frame, inputs)).sealed()
