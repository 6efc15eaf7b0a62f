"""A task that scores a snapshot's claims."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from fraud_airflow.as_of import require_as_of
from fraud_airflow.commands import FraudMLOperator


class ScoreClaims(FraudMLOperator):
    """Scores the snapshot of the run's as-of date by the model that its form names; done again, it changes nothing."""

    template_fields: Sequence[str] = ("run",)
    ui_color = "#efe6f7"

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(arguments=("score", dataset), **kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        as_of = require_as_of(context.get("partition_key"), context["dag"].dag_id)
        self.arguments = (*self.arguments[:2], as_of.isoformat(), "--model", context["params"]["model"])
        scored = super().execute(context)
        self.log.info("%s claims, %s to investigate: %s", scored["claims"], scored["flagged"], scored["folder"])
        return scored
