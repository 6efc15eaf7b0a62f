"""What a backfill may do: freeze the past, retrain on it and register what was learned. It never asks for approval.

The snapshot run knows that a backfill created it; its asset event says so; the retraining run reads its events. All
three are kept by Airflow, so a cleared or retried task gets the same answer.
"""

from typing import Any

from airflow.sdk import Context

BACKFILL = "backfill"  # Airflow's type of such a run, and the word for it in an asset event


def is_backfill(context: Context) -> bool:
    """Say whether `airflow backfill` created this run."""
    return getattr(context.get("dag_run"), "run_type", None) == BACKFILL


def was_asked_for(context: Context) -> bool:
    """Say whether a person or a program asked for this very run; a calendar's and a backfill's runs nobody did."""
    return getattr(context.get("dag_run"), "run_type", None) not in ("scheduled", BACKFILL)


def was_started_by_backfill(context: Context) -> bool:
    """Say whether a backfill, and nothing else, started this run: every asset event that woke it tells so.

    A run that a person or a scheduled snapshot started is none, even when a backfill announced the same date besides.
    """
    by_asset = context.get("triggering_asset_events") or {}
    events = [event for events in by_asset.values() for event in events]
    return bool(events) and all(event.extra.get(BACKFILL) is True for event in events)


def why_no_approval(facts: dict[str, Any], dag_id: str) -> str:
    """Return the sentence that a backfilled run says instead of asking for approval."""
    return (
        f"A backfill started this run, so it ends here: candidate {facts['candidate_digest'][:12]} is registered and "
        "can be compared, but no approval is asked for, nothing is promoted and the scorers serve what they served. "
        f"To promote a model of this date, trigger {dag_id} over the API with `partition_key: {facts.get('as_of')}`."
    )
