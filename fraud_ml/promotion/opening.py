"""What a run was opened with: its champion, and the requests that its snapshot is held against.

The ledger tells both for the run's key. Whoever opens the run again gets those of the first opening, whatever was
deployed or asked since, so that its stages' inputs, and with them the run cache's answers, stay the same.
"""

from dataclasses import dataclass
from datetime import date

from fraud_ml.artifacts import Champion
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.promotion.champion import current_champion
from fraud_ml.promotion.served_requests import keep_served
from fraud_ml.settings import Settings

ACTOR = "fraud-ml pin"


@dataclass(frozen=True)
class Opening:
    """served: digest of the record of requests; None where there were none, and in ledgers older than that record."""

    champion: Champion
    served: str | None


def open_run(settings: Settings, *, dataset: str, version: str, as_of: date, run_key: str) -> Opening:
    """Return what the run was opened with, now or before.

    version: the snapshot's, which is named after its as-of date, or `<date>.r2` where that was restated.
    Raises Tampered for a damaged day's record, Unavailable.
    """
    ledger = Ledger(settings.ledger_url)
    opened = ledger.latest(kind=EntryKind.RUN_OPENED, dataset=dataset, subject=run_key)
    if opened is None:
        body = {
            "as_of": version,
            "champion": vars(current_champion(ledger, dataset)),
            "served": keep_served(settings, dataset, as_of),
        }
        opened = ledger.append(
            EntryKind.RUN_OPENED, dataset=dataset, subject=run_key, actor=ACTOR, body=body, once=True
        )
    return Opening(Champion(**opened.body["champion"]), opened.body.get("served"))
