"""The network columns by their definitions, in loops over lists: slow, and for a handful of claims."""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import floor, sqrt
from typing import Any

import pandas as pd

from fraud_ml.contract import Contract

Row = dict[str, Any]
MOST_WALKED, UNIT = 20, 10**9


def before(moment: datetime, now: datetime) -> bool:
    return moment < now


def network_by_hand(
    rows: list[Row], contract: Contract, knows: Callable[[datetime, datetime], bool] = before
) -> pd.DataFrame:
    """Return the columns by key. rows: with the key, `recorded_at`, parties and label, opened; knows: what is seen."""
    return pd.DataFrame(
        [_columns(key, rows, contract, knows) for key in sorted({row[contract.key] for row in rows})]
    ).set_index(contract.key)


def _columns(key: str, rows: list[Row], contract: Contract, knows: Callable[[datetime, datetime], bool]) -> Row:
    network = contract.network
    assert network is not None
    own_rows = [row for row in rows if row[contract.key] == key]
    now = min(row["recorded_at"] for row in own_rows)
    first = next(row for row in own_rows if row["recorded_at"] == now)
    past = [row for row in rows if row[contract.key] != key and knows(row["recorded_at"], now)]
    links = _links(past, contract, now)
    outcomes = _outcomes(past, contract)
    found: Row = {contract.key: key}
    own = set()
    for column in network.parties:
        parties = _parties(first, column, contract)
        own |= parties
        claims = [claim for party in parties for claim, other in links if other == party]
        decided = [claim for claim in claims if outcomes[claim] is not None]
        confirmed = [claim for claim in decided if outcomes[claim]]
        share = len(confirmed) / len(decided) if decided else None
        told = (len(claims), len(confirmed), share) if parties else (None, None, None)
        for what, value in zip(("claims", "confirmed", "fraud_share"), told, strict=True):
            found[f"network_{column}_{what}"] = value
    walked = {party for party in own if sum(other == party for _, other in links) <= MOST_WALKED}
    met = {claim for claim, party in links if party in walked}
    reached = {party for claim, party in links if claim in met} - own
    for kind in network.kinds:
        found[f"network_{kind}_reached"] = sum(party[0] == kind for party in reached) if own else None
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found["network_ring_score"] = _score(own, rows, contract, month) / UNIT if own else None
    return {name: float("nan") if value is None else value for name, value in found.items()}


def _score(own: set[tuple[str, str]], rows: list[Row], contract: Contract, month: datetime) -> int:
    past = [row for row in rows if row["recorded_at"] < month]
    links, outcomes = _links(past, contract, month), _outcomes(past, contract)
    parties = {claim: {other for one, other in links if one == claim} for claim, _ in links}
    claims = {party: {one for one, other in links if other == party} for _, party in links}

    def step(score: int, here: int, there: int) -> int:
        return floor(score / sqrt(here * there))

    frauds = {claim for claim, outcome in outcomes.items() if outcome}
    first = {
        party: sum(step(UNIT, len(parties[claim]), len(named)) for claim in named & frauds)
        for party, named in claims.items()
    }
    second = {
        claim: sum(step(first[party], len(named), len(claims[party])) for party in named) * 85 // 100
        + (UNIT * 15 // 100 if claim in frauds else 0)
        for claim, named in parties.items()
    }
    third = {
        party: sum(step(second[claim], len(parties[claim]), len(named)) for claim in named)
        for party, named in claims.items()
    }
    return sum(step(third[party], len(own), len(claims[party])) for party in own if party in third)


def _links(rows: list[Row], contract: Contract, now: datetime) -> set[tuple[str, tuple[str, str]]]:
    """Return (claim, party) of the rows, without links that are too old."""
    assert contract.network is not None
    since: dict[tuple[str, tuple[str, str]], datetime] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        for column in contract.network.parties:
            for party in _parties(row, column, contract):
                since.setdefault((row[contract.key], party), row["recorded_at"])
    oldest = now - timedelta(days=contract.network.window_days)
    return {link for link, moment in since.items() if moment >= oldest}


def _outcomes(rows: list[Row], contract: Contract) -> dict[str, bool | None]:
    """Return of each claim whether its last row says fraud; None where it says nothing."""
    told: dict[str, bool | None] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        word = row[contract.label.column]
        said = True if word in contract.label.positive else False if word in contract.label.negative else None
        told[row[contract.key]] = said
    return told


def _parties(row: Row, column: str, contract: Contract) -> set[tuple[str, str]]:
    assert contract.network is not None
    cell = row[column]
    if not isinstance(cell, str):
        return set()
    separator = contract.separator(column)
    names = cell.split(separator) if separator else [cell]
    return {(contract.network.parties[column], name) for name in names if name and name not in contract.nobody(column)}
