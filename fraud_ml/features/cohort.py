"""A snapshot's labels with their age, by event month: what is known, what is not yet, and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.features.investigation import InvestigationBias, investigation_bias, propensities
from fraud_ml.features.labels import LabelState, is_investigated, is_mature, is_randomly_investigated, label_states
from fraud_ml.features.log_copy import log_rows
from fraud_ml.features.maturity import (
    METHOD,
    Curve,
    confirmations,
    count_reversed,
    curve_of,
    label_columns,
    last_mature_month,
)
from fraud_ml.features.recording import Recording, event_months, find_stopped
from fraud_ml.validation.quarantine import digest_key

if TYPE_CHECKING:
    import pandas as pd

KNOWN_AFTER_DAYS = (30, 60, 90, 120, 180, 365)


@dataclass(frozen=True)
class Month:
    """The claims of one event month; the states add up to `claims`."""

    month: str  # such as 1994-09
    claims: int
    states: Mapping[str, int]
    random_investigations: int
    recording_stopped: bool
    is_complete: bool  # every claim of it is mature, so its frauds are as final as the contract expects
    curve: Curve


@dataclass(frozen=True)
class Cohort:
    """What is known at `as_of` about the labels of all claims."""

    dataset: str
    as_of: str
    snapshot_digest: str
    claims: int
    maturity_days: int
    meaning_of_no: str
    states: Mapping[str, int]
    reversed_confirmations: int
    arrived_confirmed: int  # confirmed by the row that opened them: their curve tells nothing about maturing
    maturity: Curve
    maturity_method: str
    recording: Recording
    recording_policy: str
    investigation: InvestigationBias | None
    months: tuple[Month, ...]


def observe(snapshot: Snapshot, contract: Contract) -> "tuple[Cohort, pd.DataFrame]":
    """Return the cohort report of a snapshot, and beside it every claim with its state and marks.

    A claim is named by its key's SHA-256 and shows none of its values. Marks: `label_state`, `event_month`,
    `is_mature`, `is_investigated`, `is_randomly_investigated`, `recording_stopped`, and `propensity` (of being
    investigated; NaN where nothing can be said).
    """
    return observe_rows(
        snapshot.claims(),
        log_rows(snapshot, contract, columns=label_columns(contract)),
        contract,
        date.fromisoformat(snapshot.manifest.as_of),
        digest=snapshot.manifest.digest,
    )


def observe_rows(
    claims: "pd.DataFrame", rows: "pd.DataFrame", contract: Contract, as_of: date, *, digest: str
) -> "tuple[Cohort, pd.DataFrame]":
    """As `observe`, from the fold and the log's rows."""
    import pandas as pd

    states = label_states(claims, contract, as_of)
    months = event_months(claims)
    recording = find_stopped(claims, contract, as_of)
    propensity = propensities(claims, contract, as_of)
    confirmed = confirmations(rows, contract, as_of)
    marked = pd.DataFrame(
        {
            "key_sha256": claims[contract.key].map(digest_key),
            "event_month": months,
            "label_state": states,
            "is_mature": is_mature(claims, contract, as_of),
            "is_investigated": is_investigated(claims, contract),
            "is_randomly_investigated": is_randomly_investigated(claims, contract),
            "recording_stopped": months.isin(recording.stopped),
            "propensity": propensity,
        }
    )
    label = contract.label
    cohort = Cohort(
        dataset=contract.dataset,
        as_of=as_of.isoformat(),
        snapshot_digest=digest,
        claims=len(claims),
        maturity_days=label.maturity_days,
        meaning_of_no=label.meaning_of_no,
        states=_counted(states),
        reversed_confirmations=count_reversed(rows, contract),
        arrived_confirmed=int(confirmed["is_first_row"].sum()),
        maturity=curve_of(confirmed["delay_days"], confirmed["watched_days"]),
        maturity_method=METHOD,
        recording=recording,
        recording_policy=label.recording_stopped,
        investigation=investigation_bias(claims, propensity, contract, as_of),
        months=_months(marked, confirmed, recording, last_mature_month(as_of, label.maturity_days)),
    )
    return cohort, marked.sort_values("key_sha256", ignore_index=True)


def _months(
    marked: "pd.DataFrame", confirmed: "pd.DataFrame", recording: Recording, last_complete: str
) -> tuple[Month, ...]:
    delays = {str(month): part for month, part in confirmed.groupby(event_months(confirmed))}
    nobody = confirmed.iloc[:0]
    return tuple(
        Month(
            month=str(month),
            claims=len(part),
            states=_counted(part["label_state"]),
            random_investigations=int(part["is_randomly_investigated"].sum()),
            recording_stopped=month in recording.stopped,
            is_complete=str(month) <= last_complete,
            curve=curve_of(*(delays.get(str(month), nobody)[name] for name in ("delay_days", "watched_days"))),
        )
        for month, part in marked.groupby("event_month")
    )


def _counted(states: "pd.Series[str]") -> dict[str, int]:
    found = Counter(states)
    return {str(state): found[state] for state in LabelState if found[state]}
