"""Commands called in this process, and motor's contract in plain."""

import sys

import pytest

from fraud_ml.contract import Contract, load_contract
from fraud_ml.settings import PROJECT
from tests.command_line import Run


@pytest.fixture
def fraud_ml(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `fraud-ml …`: exit code, standard output, standard error."""
    from fraud_ml.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fraud-ml", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment names a server."""
    for name in ("AWS_ENDPOINT_URL", "FRAUD_ML_CLAIMS_URL", "FRAUD_ML_SNAPSHOT_REMOTE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("motor", PROJECT / "expectations").model_copy(update={"erasure": None})
