"""Approving and promoting on a real ledger: every guard between a candidate and the scorers."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from fraud_ml.artifacts import Decision
from fraud_ml.errors import BadInput, NotAccepted, NotApproved, Tampered
from fraud_ml.governance.approvals import approve, make_key, recorded_approvals, verify_approvals
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.promotion.promote import promote
from fraud_ml.settings import Settings

Approve = Callable[..., Entry]
Register = Callable[..., str]
Registration = Callable[..., dict]


def refuse(kind: type[Exception], place: Settings, digest: str, *, match: str | None = None) -> None:
    """Promotion is refused, and left no trace: neither an entry nor an event."""
    ledger = Ledger(place.ledger_url)
    before = ledger.head()
    with pytest.raises(kind, match=match):
        promote(place, digest)
    assert ledger.head() == before
    assert ledger.pending() == ()


# --- promoting ------------------------------------------------------------------------------------------------------


def test_two_people_approving_let_a_candidate_be_promoted(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    approve_as(digest, "ana", "ben")
    entry = promote(place, digest)
    (event,) = ledger.pending()
    assert (entry.kind, entry.subject, entry.event_id) == (EntryKind.PROMOTED, digest, event.id)
    assert event.routing_key == "fraud.deployment.promoted.motor"
    registered = ledger.find(kind=EntryKind.REGISTERED)[0]
    approvals = [asdict(approval) for approval in recorded_approvals(ledger, digest)]
    assert event.data == {
        **registered.body,
        "dataset": "motor",
        "candidate_digest": digest,
        "approvals": approvals,
        "sequence": entry.seq,
    }
    assert ledger.verify() == ()


def test_promoting_twice_or_at_once_is_promoting_once(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    approve_as(digest, "ana", "ben")
    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(lambda _: promote(place, digest), range(8)))
    assert set(entry.seq for entry in entries) == {entries[0].seq}
    assert len(ledger.find(kind=EntryKind.PROMOTED)) == len(ledger.pending()) == 1


def test_one_approval_promotes_nothing(place: Settings, register: Register, approve_as: Approve) -> None:
    digest = register()
    approve_as(digest, "ana")
    refuse(NotApproved, place, digest, match="not approved")


def test_two_approvals_by_the_same_person_promote_nothing(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    first = approve_as(digest, "ana")
    assert approve_as(digest, "ana") == first
    ledger.append(EntryKind.APPROVED, dataset="motor", subject=digest, actor="ana", body={**first.body, "again": True})
    assert len(recorded_approvals(ledger, digest)) == 2
    refuse(NotApproved, place, digest)


def test_two_keys_of_the_same_person_promote_nothing(place: Settings, register: Register, approve_as: Approve) -> None:
    """The second key takes the first one's place in the approvers file, so what the first signed does not count."""
    digest = register()
    approve_as(digest, "ana")
    place.approvers.unlink()
    (place.home / "keys" / "ana.key").unlink()
    approve_as(digest, "ana")
    refuse(NotApproved, place, digest)


def test_one_key_under_two_names_promotes_nothing(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    approve_as(digest, "ana")
    enrolled = json.loads(place.approvers.read_text())
    place.approvers.write_text(json.dumps({**enrolled, "anna": enrolled["ana"]}))
    shutil.copy2(place.home / "keys" / "ana.key", place.home / "keys" / "anna.key")
    approve_as(digest, "anna")
    assert {approval.person for approval in recorded_approvals(ledger, digest)} == {"ana", "anna"}
    refuse(NotApproved, place, digest)


def test_two_approvals_of_another_digest_promote_nothing(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    this, other = register("1"), register("2")
    approve_as(other, "ana", "ben")
    refuse(NotApproved, place, this)
    for entry in ledger.find(kind=EntryKind.APPROVED):  # moved over by somebody who may write to the ledger
        ledger.append(EntryKind.APPROVED, dataset="motor", subject=this, actor=entry.actor, body=entry.body)
        forged = {"approval": {**entry.body["approval"], "candidate_digest": this}}
        ledger.append(EntryKind.APPROVED, dataset="motor", subject=this, actor=entry.actor, body=forged)
    refuse(NotApproved, place, this)


def test_a_person_taken_off_the_approvers_file_counts_no_more(
    place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    approve_as(digest, "ana", "ben")
    enrolled = json.loads(place.approvers.read_text())
    place.approvers.write_text(json.dumps({"ana": enrolled["ana"]}))
    refuse(NotApproved, place, digest)


def test_a_candidate_that_is_not_registered_is_not_promoted(place: Settings) -> None:
    refuse(BadInput, place, "f" * 64, match="not registered")
    refuse(BadInput, place, "f" * 12, match="not a candidate's digest")


def test_a_candidate_that_requires_no_approval_is_not_promoted(
    place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register(required=0)
    approve_as(digest, "ana", "ben")
    refuse(NotApproved, place, digest)


def test_a_candidate_that_its_evaluation_rejected_is_not_promoted_nor_approved(
    ledger: Ledger, place: Settings, register: Register
) -> None:
    digest = register(decision=Decision.REJECTED)
    key = make_key("ana", place.home, approvers=place.approvers)
    with pytest.raises(NotAccepted):
        approve(ledger, digest, key, approvers=place.approvers)
    refuse(NotAccepted, place, digest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body, other: body["candidate"].update(snapshot_digest="0" * 64), "digest is not that of its fields"),
        (lambda body, other: body["candidate"].update(evaluation_digest="0" * 64), "digest is not that of its fields"),
        (lambda body, other: body["manifest"]["files"].update({"weights.bin": "0" * 64}), "files are not those"),
        (lambda body, other: body["manifest"]["files"].update({"more.bin": "0" * 64}), "files are not those"),
        (lambda body, other: body.update(manifest=other["manifest"]), "files are not those"),
        (lambda body, other: body["manifest"].update(model_digest="0" * 64), "not that of the candidate"),
        (lambda body, other: body["manifest"].update(family="random_forest"), "not that of the candidate"),
        (lambda body, other: body["evaluation"]["verdict"].update(decision="rejected"), "evaluation is not that"),
        (lambda body, other: body["evaluation"]["metrics"].update(average_precision=0.9), "evaluation is not that"),
        (lambda body, other: body.update(evaluation=other["evaluation"]), "evaluation is not that"),
        (lambda body, other: body.pop("manifest"), "not whole"),
        (lambda body, other: body["candidate"].pop("as_of"), "not whole"),
        (lambda body, other: body["candidate"].update(extra=1), "not whole"),
        (lambda body, other: body.update(required_approvals=None), "how many approvals"),
    ],
)
def test_what_was_approved_is_recomputed_before_it_is_promoted(
    ledger: Ledger,
    place: Settings,
    register: Register,
    approve_as: Approve,
    registration: Registration,
    change: Callable,
    said: str,
) -> None:
    """A second REGISTERED entry, with something exchanged behind the same digest, is what an intruder could append."""
    digest = register()
    approve_as(digest, "ana", "ben")
    body = registration()
    change(body, registration("2"))
    ledger.append(EntryKind.REGISTERED, dataset="motor", subject=digest, actor="intruder", body=body)
    refuse(Tampered, place, digest, match=said)


@pytest.mark.parametrize("evaluation", [None, {}, {"metrics": {}}, {"metrics": {}, "verdict": "accepted"}])
def test_a_candidate_that_carries_no_evaluation_is_not_promoted(
    ledger: Ledger, place: Settings, registration: Registration, evaluation: object
) -> None:
    body = {**registration(), "evaluation": evaluation}
    digest = body["candidate"]["digest"]
    ledger.append(EntryKind.REGISTERED, dataset="motor", subject=digest, actor="registry", body=body)
    refuse(NotAccepted, place, digest, match="no evaluation")


def test_a_candidate_of_another_dataset_is_not_promoted(
    ledger: Ledger, place: Settings, registration: Registration
) -> None:
    body = registration(dataset="home")
    digest = body["candidate"]["digest"]
    ledger.append(EntryKind.REGISTERED, dataset="motor", subject=digest, actor="registry", body=body)
    refuse(Tampered, place, digest)


# --- approving ------------------------------------------------------------------------------------------------------


def test_an_approval_is_recorded_and_holds(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register(required=1)
    entry = approve_as(digest, "ana")
    assert (entry.kind, entry.subject, entry.actor, entry.dataset) == (EntryKind.APPROVED, digest, "ana", "motor")
    counted = verify_approvals(digest, recorded_approvals(ledger, digest), json.loads(place.approvers.read_text()), 1)
    assert [approval.person for approval in counted] == ["ana"]


def test_a_key_of_somebody_else_approves_nothing(ledger: Ledger, place: Settings, register: Register) -> None:
    digest = register()
    make_key("ana", place.home / "keys", approvers=place.approvers)
    stranger = make_key("eve", place.home / "keys", approvers=place.home / "elsewhere.json")
    with pytest.raises(NotApproved, match="nobody who may approve"):
        approve(ledger, digest, stranger, approvers=place.approvers)
    assert ledger.find(kind=EntryKind.APPROVED) == ()


def test_a_candidate_that_is_not_registered_cannot_be_approved(ledger: Ledger, place: Settings) -> None:
    key = make_key("ana", place.home, approvers=place.approvers)
    with pytest.raises(BadInput, match="not registered"):
        approve(ledger, "f" * 64, key, approvers=place.approvers)


def test_an_approval_in_the_ledger_that_is_no_approval_is_passed_over(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    entry = approve_as(digest, "ana", "ben")
    whole = entry.body["approval"]
    for rubbish in (None, "yes", {}, {**whole, "more": 1}, {**whole, "at": 3}):
        ledger.append(EntryKind.APPROVED, dataset="motor", subject=digest, actor="eve", body={"approval": rubbish})
    assert promote(place, digest).seq == ledger.head().seq


def test_who_replaced_a_key_can_approve_again(
    ledger: Ledger, place: Settings, register: Register, approve_as: Approve
) -> None:
    digest = register()
    first = approve_as(digest, "ana")
    (place.home / "keys" / "ana.key").unlink()
    place.approvers.unlink()
    second = approve_as(digest, "ana", "ben")
    assert second.seq > first.seq
    assert len(promote(place, digest).body["approvals"]) == 2
