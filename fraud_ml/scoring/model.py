"""Which registered model scores a batch, proven to be the one that was judged, with the threshold it was judged at."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Candidate
from fraud_ml.errors import BadInput
from fraud_ml.governance.candidates import registered_candidate
from fraud_ml.governance.registered_model import fetch_model
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from fraud_ml.models import Predictor


@dataclass(frozen=True)
class BatchModel:
    """A loaded model. threshold: at or above it a claim is to be investigated; None where none is worth it."""

    version: str
    candidate: Candidate
    threshold: float | None
    predictor: "Predictor" = field(repr=False)


def candidate_of(ledger: Ledger, dataset: str, wanted: str) -> str:
    """Return the digest of the dataset's candidate that `wanted` names: a version, or the digest itself (12 digits do).

    Raises BadInput naming the versions that are registered.
    """
    registered = ledger.find(kind=EntryKind.REGISTERED, dataset=dataset)
    found = {
        entry.subject
        for entry in registered
        if str(entry.body.get("version")) == wanted or (len(wanted) >= 12 and entry.subject.startswith(wanted))
    }
    if len(found) != 1:
        known = sorted({str(entry.body.get("version")) for entry in registered}, key=lambda told: (len(told), told))
        raise BadInput(
            f"no model of `{dataset}` is registered as that" if not found else "more than one candidate begins so",
            expected=f"version {', '.join(known[-10:])}, or a candidate's digest" if known else "a registered model",
            arrived=wanted[:64],
            next_step="`fraud-ml ledger show --kind registered` lists them",
        )
    return found.pop()


def fetch_registered(settings: Settings, dataset: str, candidate_digest: str, folder: Path) -> BatchModel:
    """Return the candidate's model, brought into `folder`, every byte and its golden claims compared.

    Raises BadInput where it is another dataset's, Tampered naming what differs, Unavailable when a server is away.
    """
    from fraud_ml.models import verify_model  # heavy: the model's own library

    entry, candidate = registered_candidate(Ledger(settings.ledger_url), candidate_digest)
    if candidate.dataset != dataset:
        raise BadInput("the model was trained for another dataset", expected=dataset, arrived=candidate.dataset)
    manifest = fetch_model(ObjectStore(settings), entry, folder)
    threshold = entry.body["evaluation"]["metrics"].get("threshold")
    return BatchModel(str(entry.body["version"]), candidate, threshold, verify_model(folder, manifest))
