"""What people type: keys, approvals, promotion and the ledger, with the exit codes that programs rely on."""

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from fraud_ml.ledger import Ledger
from fraud_ml.settings import Settings
from tests.command_line import run_command

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fraud_ml(place: Settings) -> Run:
    """Run a command in this test's place."""
    environment = {**os.environ, **place.values, "FRAUD_ML_HOME": str(place.home)}

    def act(*arguments: str, rc: int = 0) -> "subprocess.CompletedProcess[str]":
        done = run_command(*arguments, environment=environment)
        assert done.returncode == rc, done.stderr
        return done

    return act


def test_from_keys_to_a_promotion(fraud_ml: Run, register: Callable[..., str], place: Settings, ledger: Ledger) -> None:
    digest = register()
    for person in ("ana", "ben"):
        assert f"{person} may approve now" in fraud_ml("keys", "make", person).stdout
    assert sorted(json.loads(fraud_ml("keys", "list", "--json").stdout)) == ["ana", "ben"]
    refused = fraud_ml("promote", digest, "--json", rc=2)
    assert (refused.stdout, "is not approved" in refused.stderr) == ("", True)
    for person in ("ana", "ben"):
        entry = json.loads(
            fraud_ml("approve", digest, "--key", str(place.home / "keys" / f"{person}.key"), "--json").stdout
        )
        assert (entry["kind"], entry["actor"], entry["subject"]) == ("approved", person, digest)
    promoted = json.loads(fraud_ml("promote", digest, "--json").stdout)
    assert (promoted["kind"], promoted["event_id"]) == ("promoted", f"promoted-{digest}")
    assert json.loads(fraud_ml("promote", digest, "--json").stdout) == promoted
    shown = fraud_ml("ledger", "show", "--subject", digest).stdout.splitlines()
    assert [line.split()[2] for line in shown] == ["registered", "approved", "approved", "promoted"]
    verified = json.loads(fraud_ml("ledger", "verify", "--json").stdout)
    assert verified == {"entries": 4, "head": f"4:{ledger.head().digest}", "problems": []}
    fraud_ml("ledger", "verify", "--head", verified["head"])


def test_a_tampered_ledger_ends_verification_with_exit_code_2(
    fraud_ml: Run, register: Callable[..., str], superuser: Callable[[str], None]
) -> None:
    register()
    noted = json.loads(fraud_ml("ledger", "verify", "--json").stdout)["head"]
    superuser("alter table entries disable trigger all; update entries set actor = 'other'")
    done = fraud_ml("ledger", "verify", "--head", noted, rc=2)
    assert "entry 1: its content is not what its digest was taken over" in done.stderr
    assert json.loads(fraud_ml("ledger", "verify", "--json", rc=2).stdout)["problems"]


def test_a_chain_written_anew_differs_from_a_head_that_was_noted(fraud_ml: Run, register: Callable[..., str]) -> None:
    register()
    done = fraud_ml("ledger", "verify", "--head", f"1:{'0' * 64}", rc=2)
    assert "entry 1: its digest is not the one that was noted" in done.stderr
    assert fraud_ml("ledger", "verify", "--head", "nonsense", rc=2).stdout == ""


def test_bad_input_is_one_sentence_and_exit_code_2(fraud_ml: Run) -> None:
    for arguments in (
        ("promote", "abc"),
        ("promote", "f" * 64),
        ("ledger", "show", "--kind", "nothing"),
        ("keys", "make", "../ana"),
        ("approve", "f" * 64, "--key", "absent.key"),
    ):
        done = fraud_ml(*arguments, rc=2)
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_an_away_ledger_is_exit_code_3(place: Settings) -> None:
    environment = {**os.environ, **place.values, "FRAUD_ML_LEDGER_URL": "postgresql+psycopg://u:s3cret@127.0.0.1:1/x"}
    done = run_command("ledger", "verify", environment=environment)
    assert done.returncode == 3
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    "command", ["keys", "keys make", "keys list", "approve", "ledger", "ledger show", "promote", "relay"]
)
def test_help_shows_an_example(fraud_ml: Run, command: str) -> None:
    assert f"Example: fraud-ml {command.split(maxsplit=1)[0]}" in fraud_ml(*command.split(), "--help").stdout
