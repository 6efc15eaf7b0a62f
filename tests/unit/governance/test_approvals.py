"""Which approvals count: one for each person and key, of exactly this digest, from those who may."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.errors import BadInput, NotApproved, Unavailable
from fraud_ml.governance.approvals import Approval, make_key, read_approvers, verify_approvals
from fraud_ml.governance.keys import public_half, read_key

THIS, OTHER = "a" * 64, "b" * 64
KEYS = {
    person: Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number, person in enumerate(("ana", "ben"))
}
APPROVERS = {person: public_half(key) for person, key in KEYS.items()}


def approval(
    person: str, *, digest: str = THIS, key: Ed25519PrivateKey | None = None, at: str = "2026-01-31T09:00:00+00:00"
) -> Approval:
    unsigned = Approval(person, digest, "", at)
    signature = (key or KEYS[person]).sign(unsigned.statement())
    return replace(unsigned, signature=base64.b64encode(signature).decode())


def refusal(*approvals: Approval, approvers: dict[str, str] = APPROVERS, required: int = 2) -> str:
    with pytest.raises(NotApproved) as refused:
        verify_approvals(THIS, approvals, approvers, required)
    return str(refused.value)


def test_two_people_approving_this_digest_suffice() -> None:
    both = (approval("ana"), approval("ben"))
    assert verify_approvals(THIS, both, APPROVERS, 2) == both


def test_one_approval_is_not_two() -> None:
    assert "Arrived: 1" in refusal(approval("ana"))


def test_two_approvals_by_one_person_count_once() -> None:
    assert "ana: approved already" in refusal(approval("ana"), approval("ana", at="2026-02-01T09:00:00+00:00"))


def test_one_key_under_two_names_is_one_person() -> None:
    approvers = {"ana": APPROVERS["ana"], "anna": APPROVERS["ana"]}
    both = (approval("ana"), approval("anna", key=KEYS["ana"]))
    assert "the same key" in refusal(*both, approvers=approvers)


def test_a_second_key_of_the_same_person_does_not_count() -> None:
    second = Ed25519PrivateKey.generate()
    assert "the signature is not theirs" in refusal(approval("ana"), approval("ana", key=second))


def test_approvals_of_another_digest_do_not_count() -> None:
    said = refusal(approval("ana", digest=OTHER), approval("ben", digest=OTHER))
    assert "approved another digest" in said
    assert "Arrived: 0" in said


def test_an_approval_moved_to_this_digest_does_not_count() -> None:
    assert "the signature is not theirs" in refusal(
        approval("ana"), replace(approval("ben", digest=OTHER), candidate_digest=THIS)
    )


def test_an_approval_given_to_another_name_does_not_count() -> None:
    assert "the signature is not theirs" in refusal(approval("ana"), replace(approval("ana"), person="ben"))


def test_a_person_who_may_not_approve_does_not_count() -> None:
    assert "is not among those" in refusal(approval("ana"), approval("eve", key=Ed25519PrivateKey.generate()))


def test_nobody_stops_a_promotion_by_recording_rubbish() -> None:
    rubbish = Approval("eve", THIS, "AAAA", "now")
    assert len(verify_approvals(THIS, (rubbish, approval("ana"), approval("ben")), APPROVERS, 2)) == 2


@pytest.mark.parametrize("required", [0, -1])
def test_no_approval_at_all_is_never_enough(required: int) -> None:
    refusal(required=required)
    refusal(approval("ana"), approval("ben"), required=required)


def test_a_signature_over_the_bare_digest_is_no_approval() -> None:
    bare = base64.b64encode(KEYS["ben"].sign(THIS.encode())).decode()
    refusal(approval("ana"), Approval("ben", THIS, bare, "2026-01-31T09:00:00+00:00"))


@settings(max_examples=60)
@given(st.integers(0, 63), st.integers(1, 255))
def test_any_changed_byte_of_a_signature_is_refused(place: int, change: int) -> None:
    good = approval("ben")
    raw = bytearray(base64.b64decode(good.signature))
    raw[place] ^= change
    refusal(approval("ana"), replace(good, signature=base64.b64encode(raw).decode()))


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_made_key_is_private_and_enrolled(tmp_path: Path) -> None:
    approvers = tmp_path / "approvers.json"
    path = make_key("ana", tmp_path / "keys", approvers=approvers)
    assert path == tmp_path / "keys" / "ana.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_approvers(approvers) == {"ana": public_half(read_key(path))}


def test_nobodys_key_is_replaced_unnoticed(tmp_path: Path) -> None:
    approvers = tmp_path / "approvers.json"
    make_key("ana", tmp_path, approvers=approvers)
    before = approvers.read_bytes(), (tmp_path / "ana.key").read_bytes()
    with pytest.raises(BadInput, match="enrolled already"):
        make_key("ana", tmp_path / "elsewhere", approvers=approvers)
    with pytest.raises(BadInput, match="there already"):
        make_key("ana", tmp_path, approvers=tmp_path / "other.json")
    assert before == (approvers.read_bytes(), (tmp_path / "ana.key").read_bytes())


def test_people_enrolled_at_once_are_all_enrolled(tmp_path: Path) -> None:
    people = [f"person{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda person: make_key(person, tmp_path, approvers=tmp_path / "approvers.json"), people))
    assert sorted(read_approvers(tmp_path / "approvers.json")) == people


@pytest.mark.parametrize("person", ["", "../ana", "Ana", "a b", "a\nb", "a/b", "x" * 65])
def test_a_name_that_cannot_be_a_file_is_refused(person: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        make_key(person, tmp_path, approvers=tmp_path / "approvers.json")
    assert not list(tmp_path.iterdir())


def test_a_key_open_to_others_is_refused(tmp_path: Path) -> None:
    path = make_key("ana", tmp_path, approvers=tmp_path / "approvers.json")
    path.chmod(0o644)
    with pytest.raises(BadInput, match="open to others"):
        read_key(path)


def test_a_file_that_holds_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ana.key"
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(BadInput, match="no Ed25519 private key"):
        read_key(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_key(tmp_path / "absent.key")


@pytest.mark.parametrize("content", ["[]", "{", '{"ana": 3}', '{"ana": "AAAA"}', '{"ana": "ü"}'])
def test_a_broken_approvers_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "approvers.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput):
        read_approvers(path)


def test_no_approvers_file_means_nobody_yet(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nobody may approve"):
        read_approvers(tmp_path / "approvers.json")
