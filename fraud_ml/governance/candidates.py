"""A registered candidate, with everything that its digest covers recomputed before anybody relies on it."""

import re

from fraud_ml.artifacts import Candidate, Decision, ModelManifest, evaluation_digest
from fraud_ml.errors import BadInput, NotAccepted, Tampered
from fraud_ml.ledger import Entry, EntryKind, Ledger

_DIGEST = re.compile(r"[0-9a-f]{64}")


def registered_candidate(ledger: Ledger, candidate_digest: str) -> tuple[Entry, Candidate]:
    """Return a candidate's REGISTERED entry and its fields, once all digests in it recompute.

    Raises BadInput when it was never registered, Tampered naming what does not recompute, NotAccepted when its
    evaluation was not accepted.
    """
    if not _DIGEST.fullmatch(candidate_digest):
        raise BadInput("that is not a candidate's digest", expected="64 hex digits", next_step="`fraud-ml ledger show`")
    entry = ledger.latest(kind=EntryKind.REGISTERED, subject=candidate_digest)
    if entry is None:
        raise BadInput(
            f"candidate {candidate_digest[:12]} is not registered",
            next_step="`fraud-ml ledger show --kind registered` lists them",
        )
    try:
        candidate = Candidate(**entry.body["candidate"])
        manifest = ModelManifest(**entry.body["manifest"])
        files_digest = ModelManifest.digest_files(manifest.files)
    except (KeyError, TypeError, ValueError):
        raise Tampered(_where(entry, "the candidate or its manifest is not whole"), path=_name(entry)) from None
    if not (candidate.sealed().digest == candidate.digest == candidate_digest and candidate.dataset == entry.dataset):
        raise Tampered(_where(entry, "the candidate's digest is not that of its fields"), path=_name(entry))
    if not (files_digest == manifest.artifact_digest == candidate.artifact_digest):
        raise Tampered(_where(entry, "the model's files are not those of the candidate"), path=_name(entry))
    if (manifest.model_digest, manifest.family) != (candidate.model_digest, candidate.family):
        raise Tampered(_where(entry, "the model is not that of the candidate"), path=_name(entry))
    _require_accepted(entry, candidate)
    return entry, candidate


def _require_accepted(entry: Entry, candidate: Candidate) -> None:
    """Raise unless the entry carries the very evaluation that the candidate's digest covers, and it says yes."""
    try:
        metrics, verdict = entry.body["evaluation"]["metrics"], entry.body["evaluation"]["verdict"]
        digest, subject, decision = evaluation_digest(metrics, verdict), verdict["subject_digest"], verdict["decision"]
    except (KeyError, TypeError, ValueError):
        raise NotAccepted(
            _where(entry, "the candidate carries no evaluation"), expected="its metrics and its verdict", codes=()
        ) from None
    if (digest, subject) != (candidate.evaluation_digest, candidate.model_digest):
        raise Tampered(_where(entry, "the evaluation is not that of the candidate"), path=_name(entry))
    if decision != Decision.ACCEPTED:
        raise NotAccepted(
            f"candidate {candidate.digest[:12]} was not accepted by its evaluation", arrived=str(decision), codes=()
        )


def _name(entry: Entry) -> str:
    return f"ledger entry {entry.seq}"


def _where(entry: Entry, what: str) -> str:
    return f"ledger entry {entry.seq}: {what}"
