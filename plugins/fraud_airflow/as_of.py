"""The as-of date of a DAG run: its partition key, and nothing else."""

import re
from datetime import UTC, date, datetime, time, timedelta

from fraud_ml.errors import BadInput

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def require_as_of(partition_key: str | None, dag_id: str) -> date:
    """Return the as-of date that a run was started for. Raises BadInput when it has none, or none that is a date."""
    how = (
        f"give `partition_key` (YYYY-MM-DD) when triggering {dag_id} over the API, "
        "or run `airflow backfill create` on its snapshot DAG"
    )
    if not partition_key:
        raise BadInput(f"this run of {dag_id} has no as-of date", expected="a partition key", next_step=how)
    try:
        if not _DATE.fullmatch(partition_key):
            raise ValueError
        return date.fromisoformat(partition_key)
    except ValueError:
        raise BadInput(
            f"this run's partition key is no date: {partition_key[:40]}", expected="YYYY-MM-DD", next_step=how
        ) from None


def end_of(as_of: date) -> datetime:
    """Return the first moment (UTC) after the day: from then on nothing more is recorded on it.

    >>> end_of(date(2024, 2, 29)).isoformat()
    '2024-03-01T00:00:00+00:00'
    """
    return datetime.combine(as_of + timedelta(days=1), time(), UTC)
