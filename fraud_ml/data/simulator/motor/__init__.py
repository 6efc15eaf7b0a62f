"""A motor insurer that does not exist, over as many years and claims as you like, with everything known about it.

The way of a claim, one module each: `seasons` (the calendar), `policies` (who is insured), `rings` (who conspires),
`notice` (what happened and what the form says), `fraud` (what is true, and how well it can be known), `parties` (who is
named), `handling` (who looks, what comes out, which rows are recorded). `docs/simulator.md` is its datasheet.

What is promised, for equal seed and begin: a month's n claims are the first n of that month's sequence, which nothing
else shapes. So more claims over the same days hold every row of fewer; and with `per_month` instead of `claims`, a log
that ends later begins with the log that ended with any earlier month.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.artifacts import digest_of
from fraud_ml.data.simulator.motor import policies, seasons
from fraud_ml.data.simulator.motor.dice import Dice, numbered, spelled
from fraud_ml.data.simulator.motor.fraud import CAUSES, FRAUDS, Fraud, decided
from fraud_ml.data.simulator.motor.handling import (
    EVENTS,
    INVESTIGATIONS,
    OUTCOMES,
    Rows,
    investigated_chance,
    recorded,
)
from fraud_ml.data.simulator.motor.notice import ANSWERS, FAULTS, KINDS, Cell, Notice, first_notice
from fraud_ml.data.simulator.motor.parties import Parties, parties
from fraud_ml.data.simulator.motor.rings import membership, rings_in
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

CELL = 64 * policies.BOOK  # claims simulated at once
_CLAIM_DIGITS = 8
_EARLIEST, _LATEST = date(1990, 1, 1), date(2099, 12, 31)
_FEWEST_DAYS = 3  # so that one of them is a working day

COLUMNS = (
    *("claim_id", "policy_id", "claimant_id", "garage_id", "witness_ids", "phone_id", "address_id"),
    *("accident_date", "reported_date", "recorded_at", "event", "investigation", "outcome", "form_version"),
    *("currency", "claim_amount", "reserve_eur", "paid_eur"),
    *("region", "vehicle_make", "vehicle_age_years", "vehicle_value_eur"),
    *("driver_age_years", "sex", "policy_age_days", "cover", "sales_channel", "accident_kind", "fault"),
    *("police_report", "witnesses", "past_claims", "claim_amount_eur", "days_to_report", "address_change"),
)
CATEGORIES = {
    "form_version": seasons.FORMS,
    "currency": seasons.CURRENCIES,
    "region": policies.REGIONS,
    "vehicle_make": policies.MAKES,
    "sex": policies.SEXES,
    "cover": policies.COVERS,
    "sales_channel": policies.CHANNELS,
    "accident_kind": KINDS,
    "fault": FAULTS,
    "police_report": ANSWERS,
    "address_change": policies.ADDRESS_CHANGES,
}


@dataclass(frozen=True)
class Part:
    """Some of one month's claims: their rows in the log, and what is true of each, as Arrow tables.

    `rows` has COLUMNS, sorted by recorded_at, then claim_id. `truth` has one row a claim: claim_id, is_fraud,
    fraud_kind, true_cause, ring_id (of the ring that made the claim), claimant_ring_id (of the claimant's ring), p_all,
    p_observable, p_investigated.
    """

    month: str  # of opening, YYYY-MM
    first: int  # number of its first claim within the month
    rows: "pa.Table"
    truth: "pa.Table"


def stream(
    claims: int | None = None, *, per_month: int | None = None, seed: int, begin: date, end: date
) -> Iterator[Part]:
    """Yield the claim log part by part, at most CELL claims each, in order of the month of opening.

    `claims` is the number opened in all, `per_month` (instead) that of a month of 21 working days and mean season. No
    accident is before `begin`; what is recorded after the day `end` is not known yet. Raises BadInput when the days
    between do not suffice.
    """
    if begin < _EARLIEST or end > _LATEST:
        raise BadInput(
            "days that the simulated insurer did not live through",
            expected=f"{_EARLIEST} to {_LATEST}",
            arrived=f"{begin} to {end}",
        )
    if end - begin < timedelta(days=_FEWEST_DAYS):
        raise BadInput("too few days to simulate", expected=f"{_FEWEST_DAYS} or more", arrived=f"{(end - begin).days}")
    if seed < 0:
        raise BadInput("no such seed", expected="0 or more", arrived=str(seed))
    dice = Dice(seed, digest_of([seed, begin.isoformat()])[:6])
    months = seasons.months_between(begin, end)
    counts = seasons.dealt(claims, months) if claims is not None else seasons.at_rate(per_month or 0, months)
    for month, count in zip(months, counts, strict=True):
        for first in range(0, count, CELL):
            yield _part(dice, Cell(month, first, min(CELL, count - first)), begin, end)


def _part(dice: Dice, cell: Cell, begin: date, end: date) -> Part:
    notice = first_notice(dice, cell, np.datetime64(begin))
    rings = rings_in(dice, cell.month.number, cell.books)
    member = membership(dice, rings, cell.row, notice.policies.slot, notice.seen["region"])
    fraud = decided(dice, notice, member)
    is_staged = fraud.kind == FRAUDS.index("ring")
    names = parties(dice, notice, rings, member, is_staged)
    prefix = f"M-{dice.series}-{cell.month.name.replace('-', '')}"  # as insurers do: the number tells when, not how
    claim_id = numbered(prefix, np.arange(cell.first, cell.first + cell.count), _CLAIM_DIGITS)
    rows = recorded(dice, notice, fraud.is_fraud, np.datetime64(end) + 1)
    ring_id = spelled(f"R-{dice.series}-", dice.opaque("ring", rings.number(member.row, member.lane, member.which)))
    rings_of = {"ring_id": is_staged, "claimant_ring_id": member.belongs}
    return Part(
        month=cell.month.name,
        first=cell.first,
        rows=_rows(notice, names, claim_id, rows),
        truth=_truth(notice, fraud, claim_id, {name: _where(ring_id, which) for name, which in rings_of.items()}),
    )


def _rows(notice: Notice, names: Parties, claim_id: "pa.StringArray", rows: Rows) -> "pa.Table":
    """Return the log's rows with all columns: what the form says is repeated, what is handled changes."""
    import pyarrow as pa

    claim = pa.array(rows.claim)
    columns = {
        "claim_id": claim_id.take(claim),
        **{name: value.take(claim) for name, value in vars(names).items()},
        "recorded_at": _moments(rows.recorded_at),
        "event": _category(rows.event, EVENTS),
        "investigation": _category(rows.investigation, INVESTIGATIONS),
        "outcome": _category(rows.outcome, OUTCOMES),
        "reserve_eur": pa.array(rows.reserve_eur),
        "paid_eur": pa.array(rows.paid_eur),
    }
    for name, values in notice.seen.items():
        of_row = values[rows.claim]
        if name in CATEGORIES:
            columns[name] = _category(of_row, CATEGORIES[name])
        else:
            columns[name] = _moments(of_row) if of_row.dtype.kind == "M" else pa.array(of_row)
    return pa.table({name: columns[name] for name in COLUMNS})


def _truth(
    notice: Notice, fraud: Fraud, claim_id: "pa.StringArray", rings_of: "dict[str, pa.StringArray]"
) -> "pa.Table":
    import pyarrow as pa

    return pa.table(
        {
            "claim_id": claim_id,
            "is_fraud": pa.array(fraud.is_fraud),
            "fraud_kind": _category(fraud.kind, FRAUDS),
            "true_cause": _category(fraud.cause, CAUSES),
            **rings_of,
            "p_all": pa.array(fraud.p_all),
            "p_observable": pa.array(fraud.p_observable),
            "p_investigated": pa.array(investigated_chance(notice.seen, notice.price)),
        }
    )


def _category(codes: np.ndarray, words: tuple[str, ...]) -> "pa.StringArray":
    """Return the word of each index, null for a negative one."""
    import pyarrow as pa

    index = pa.array(codes.astype(np.int8), mask=codes < 0)
    return pa.array(words, pa.string()).take(index)


def _moments(times: np.ndarray) -> "pa.TimestampArray":
    import pyarrow as pa

    return pa.array(times.astype("datetime64[s]"))


def _where(values: "pa.StringArray", keep: np.ndarray) -> "pa.StringArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pa.array(keep), values, pa.scalar(None, pa.string()))
