"""A person asks to be forgotten: their key is destroyed, what lies in plain goes, and the ledger says that it was done.

The order that lets it be killed anywhere and repeated: look up where the person is (nothing is destroyed before that is
known), ask the ledger whether it answers, destroy the key, purge plain copies, append the entry. Each step looks for
its own result first. Nothing here prints, logs or records who it was, but by the digest of a pseudonym.
"""

from dataclasses import dataclass

from fraud_ml.contract import Contract
from fraud_ml.data.plain_copies import Purged, purge
from fraud_ml.data.subject_keys import KeyRing, SubjectKey, digest_of_pseudonym
from fraud_ml.data.whereabouts import Whereabouts, find_person
from fraud_ml.errors import BadInput
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.registry.trained import TrainedVersion, versions_trained_on
from fraud_ml.settings import Settings


@dataclass(frozen=True)
class Found:
    """Where a person is: by digest, in counts, and by the names of versions."""

    dataset: str
    subject_digest: str  # SHA-256 of the pseudonym
    erased: str  # ISO 8601, UTC; empty while the person can be read
    rows: int
    mentions: int  # rows of others that name the person
    claims: int
    snapshots: tuple[str, ...]
    models: tuple[TrainedVersion, ...]


@dataclass(frozen=True)
class Erased:
    """What an erasure left: `created` is False when the key had been destroyed before."""

    found: Found
    erased: str
    created: bool
    purged: Purged
    ledger_entry: int


def find(settings: Settings, contract: Contract, person: str) -> Found:
    """Say where the person is; nothing changes. Raises BadInput when the dataset never heard of them."""
    return _found(settings, contract, person)[0]


def erase(settings: Settings, contract: Contract, person: str, *, actor: str, reason: str) -> Erased:
    """Make the person's values unreadable, for good. Done again, it finishes what was begun and changes nothing else.

    Raises BadInput when the dataset never heard of the person, Unavailable when object store, MLflow or ledger do not
    answer; whatever was done by then stays done.
    """
    _require_reason(reason, person)
    found, place, known, pseudonym = _found(settings, contract, person)
    ledger = Ledger(settings.ledger_url)
    ledger.head()
    left = KeyRing(settings, contract.dataset).destroy(pseudonym)
    purged = purge(settings, contract, person=person, pseudonym=pseudonym, claims=place.claims, erased=left.erased)
    entry = _recorded(
        ledger,
        EntryKind.ERASED,
        contract,
        found.subject_digest,
        actor,
        {
            "erased": left.erased,
            "reason": reason,
            "rows": found.rows,
            "mentions": found.mentions,
            "snapshots": list(found.snapshots),
            "models": [f"{model.name}/{model.version}" for model in found.models],
        },
        at=("erased", left.erased),
    )
    return Erased(found, left.erased, not known.is_erased, purged, entry.seq)


def readmit(settings: Settings, contract: Contract, person: str, *, actor: str, reason: str) -> Entry:
    """Let rows of an erased person be landed again, under a new key; what was erased stays unreadable.

    Raises BadInput when the person is not erased.
    """
    _require_reason(reason, person)
    _require_erasable(contract)
    ring = KeyRing(settings, contract.dataset)
    pseudonym = ring.pseudonym(person)
    known = ring.find([pseudonym]).get(pseudonym)
    if known is None or not known.erased:
        raise BadInput(f"this person is not erased from `{contract.dataset}`", next_step="check the identifier")
    ledger = Ledger(settings.ledger_url)
    ledger.head()
    left = ring.readmit(pseudonym)
    return _recorded(
        ledger,
        EntryKind.READMITTED,
        contract,
        digest_of_pseudonym(pseudonym),
        actor,
        {"readmitted": left.readmitted, "reason": reason},
        at=("readmitted", left.readmitted),
    )


# --- inside ---------------------------------------------------------------------------------------------------------


def _found(settings: Settings, contract: Contract, person: str) -> tuple[Found, Whereabouts, SubjectKey, str]:
    _require_erasable(contract)
    ring = KeyRing(settings, contract.dataset)
    pseudonym = ring.pseudonym(person)
    known = ring.find([pseudonym]).get(pseudonym)
    if known is None:
        raise BadInput(
            f"nobody of that name is in `{contract.dataset}`",
            expected=f"a value of `{contract.erasure.subject if contract.erasure else ''}` as the source spells it",
            next_step="check the identifier; nothing was changed",
        )
    place = find_person(settings, contract, pseudonym)
    models = versions_trained_on(settings, contract.dataset, {version.digest for version in place.snapshots})
    found = Found(
        dataset=contract.dataset,
        subject_digest=digest_of_pseudonym(pseudonym),
        erased=known.erased if known.is_erased else "",
        rows=place.rows,
        mentions=place.mentions,
        claims=len(place.claims),
        snapshots=tuple(version.name for version in place.snapshots),
        models=models,
    )
    return found, place, known, pseudonym


def _recorded(
    ledger: Ledger,
    kind: EntryKind,
    contract: Contract,
    subject: str,
    actor: str,
    body: dict[str, object],
    *,
    at: tuple[str, str],
) -> Entry:
    """Append the entry unless this very erasure, or readmission, stands there."""
    name, moment = at
    for entry in ledger.find(kind=kind, dataset=contract.dataset, subject=subject):
        if entry.body.get(name) == moment:
            return entry
    return ledger.append(kind, dataset=contract.dataset, subject=subject, actor=actor, body=body)


def _require_erasable(contract: Contract) -> None:
    if contract.erasure is None:
        raise BadInput(
            f"the contract of `{contract.dataset}` identifies nobody who could be erased",
            expected="a section `erasure: {subject: <column>}`",
            next_step="declare it before claims are landed; what was landed without it is not sealed",
        )


def _require_reason(reason: str, person: str) -> None:
    if not reason.strip() or person in reason:
        raise BadInput(
            "the reason must say why, and not who",
            expected="for example: request of 2026-03-01, case 17",
            arrived="the person's identifier" if reason.strip() else "nothing",
        )
