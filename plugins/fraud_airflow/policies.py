"""Which failures are tried again, and what is said about those that are not."""

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from fraud_ml.errors import FraudMLError

_LOG = logging.getLogger("airflow.task")

# Rules match subclasses, in this order. A killed worker raises nothing, so it never gets here: Airflow tries it again.
RETRY_ONLY_WHAT_MAY_PASS = ExceptionRetryPolicy(
    rules=[
        RetryRule("fraud_ml.errors.Rejected", RetryAction.FAIL, reason="rejected: it would be rejected again"),
        RetryRule(
            "fraud_ml.errors.Unavailable",
            RetryAction.RETRY,
            retry_delay=timedelta(seconds=5),
            reason="something was not there: it may be, next time",
        ),
        RetryRule(
            ["builtins.ConnectionError", "builtins.TimeoutError", "airflow.sdk.exceptions.AirflowRuntimeError"],
            RetryAction.RETRY,
            retry_delay=timedelta(seconds=15),
            reason="a connection failed: it may hold, next time",
        ),
    ],
    default=RetryAction.FAIL,
)


def tell_failure(context: Any) -> None:
    """Say in one sentence which run failed where, why and where to look. Only our own errors' texts carry no claims."""
    ti = context["ti"]
    error = context.get("exception")
    why = str(error) if isinstance(error, FraudMLError) else type(error).__name__ if error else "it was stopped"
    page = getattr(context.get("task"), "report_page", "")
    _LOG.error(
        "%s as of %s failed at %s: %s%s Log: %s",
        ti.dag_id,
        context.get("partition_key") or "(no date)",
        ti.task_id,
        why if why.endswith(".") else f"{why}.",
        f" Report: {page}" if page else "",
        getattr(ti, "log_url", "") or "this one",
    )
