"""Tasks that land a source: what was landed is announced, and what was refused fails a task of its own."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from fraud_airflow.commands import FraudMLOperator
from fraud_airflow.sources import Source
from fraud_ml.errors import BadInput, Rejected


class LandClaims(FraudMLOperator):
    """Lands all that the source holds, and announces what became of it; landing it again adds nothing.

    Succeeds where deliveries were refused, since the others stand in the log: `NothingRefused` tells them. Is skipped,
    and announces nothing, where there was nothing new. `listing` is what the source held when it was found changed.
    """

    template_fields: Sequence[str] = ("listing",)
    ui_color = "#e3f0e6"

    def __init__(self, *, source: Source, announces: Asset, listing: Any = "", **kwargs: Any) -> None:
        super().__init__(arguments=("land", source.dataset, source.address), announces=announces, **kwargs)
        self.source = source
        self.listing = listing

    def execute(self, context: Context) -> dict[str, Any]:
        if not self.source.address:
            raise BadInput(
                f"this place names no source of `{self.source.dataset}`",
                expected=f"an address in {self.source.variable}, such as s3://deliveries/{self.source.dataset}/",
                next_step="set it where Airflow runs, or land by hand: fraud-ml land DATASET SOURCE",
            )
        landed = super().execute(context)
        self.log.info("%s", {name: told for name, told in landed.items() if told})
        if not (self.listing or landed["rows"] or landed["set_aside"] or landed["refused"] or landed["dead_letters"]):
            raise AirflowSkipException("nothing new: all that the source holds was landed before")
        return landed

    def answered(self, context: Context) -> dict[str, Any]:
        """Return the command's answer in numbers; some deliveries may have been refused."""
        try:
            return what_was_landed(super().answered(context))
        except Rejected as refused:
            if not (answer := refused.facts.get("answer")):
                raise
            return what_was_landed(answer)

    def announcement(self, answer: dict[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG002 - as the others
        """Return the numbers, and which state of which source they belong to."""
        return {"source": self.source.address, "listing": self.listing, **answer}


class NothingRefused(BaseOperator):
    """Fails, without retry, when deliveries were refused; `landed` is what LandClaims returned."""

    template_fields: Sequence[str] = ("landed",)
    ui_color = "#e3f0e6"

    def __init__(self, *, landed: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.landed = landed

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's name
        refused = self.landed["refused"]
        if refused:
            raise BadInput(
                f"{sum(refused.values()):,} of {self.landed['deliveries']:,} deliveries were refused",
                arrived=", ".join(f"{code} {count:,}" for code, count in refused.items()),
                next_step="the log of `land` names them and says what is wrong; the others were landed",
                codes=tuple(refused),
            )


def what_was_landed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `fraud-ml land SOURCE --json` told, in numbers: deliveries, rows, and rows and deliveries by code."""
    batches = [landed["batch"] for landed in answer["landed"] if landed["batch"]]
    aside: Counter[str] = Counter()
    for batch in batches:
        aside.update(batch["set_aside"])
    return {
        "deliveries": len(answer["landed"]) + len(answer["refused"]),
        "rows": answer["rows"],
        "batches": [batch["id"] for batch in batches if batch["created"]],
        "set_aside": dict(sorted(aside.items())),
        "dead_letters": sum(landed["dead_letters"] for landed in answer["landed"]),
        "refused": dict(sorted(Counter(refused["code"] for refused in answer["refused"]).items())),
    }
