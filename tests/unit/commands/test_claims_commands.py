"""A file that breaks its contract ends in one sentence on standard error and exit code 2; no server is asked."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fraud_ml.settings import PROJECT
from tests.command_line import Run


@pytest.fixture
def run(fraud_ml: Run, no_server: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Call `fraud-ml …` in the project's folder, where no server is."""
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(PROJECT)
    return fraud_ml


@pytest.fixture
def motor_csv(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "motor.csv"
    assert run("simulate", "motor", "--claims", 20, "--seed", 3, "--out", path)[0] == 0
    return path


def cut_gzip(text: bytes) -> bytes:
    return gzip.compress(text)[:-30]


BREAKS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "wrong delimiter": ("motor.csv", lambda text: text.replace(b",", b";"), ":1: cells are separated by semicolons"),
    "missing column": (
        "motor.csv",
        lambda text: text.replace(b"witnesses,", b"", 1),
        ":1: column `witnesses` is missing",
    ),
    "extra column": (
        "motor.csv",
        lambda text: text.replace(b"witnesses,", b"witnesses,note,", 1),
        ":1: unknown column `note`",
    ),
    "mixed types": (
        "motor.csv",
        lambda text: text.replace(b",2023-", b",soon-"),
        '"accident_date" is declared a timestamp',
    ),
    "empty file": ("motor.csv", lambda _: b"", ": the file is empty"),
    "header only": ("motor.csv", lambda text: text.split(b"\n")[0] + b"\n", ": a header but no claims"),
    "truncated gzip": ("motor.csv.gz", cut_gzip, ": the gzip file is cut off"),
    "not UTF-8": ("motor.csv", lambda text: text.replace(b"female", b"f\xe9male", 1), ": not readable as utf-8"),
    "UTF-16": ("motor.csv", lambda text: text.decode().encode("utf-16"), ":1: written in UTF-16"),
    "ragged row": ("motor.csv", lambda text: text.rstrip(b"\n") + b",,\n", "do not have as many cells as the header"),
    "two truths": (
        "motor.csv",
        lambda text: text + text.split(b"\n")[1].replace(b"none", b"rule", 1),
        "in different ways",
    ),
    "no key": (
        "motor.csv",
        lambda text: text.replace(b"\nM-", b"\n,M-", 1).replace(b",P-", b"", 1),
        "claim_id (the key)",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_broken_file_is_one_sentence_and_exit_2(run: Run, motor_csv: Path, tmp_path: Path, what: str) -> None:
    name, damage, expected = BREAKS[what]
    path = tmp_path / "broken" / name
    path.parent.mkdir()
    path.write_bytes(damage(motor_csv.read_bytes()))
    code, out, err = run("land", "motor", path)

    told = err.split("fraud-ml: ")[-1]
    assert code == 2
    assert expected in told
    assert str(path) in told
    assert told.count("\n") == 1
    assert "Traceback" not in err
    assert out == ""


def test_byte_order_mark_passes_the_reader_and_only_the_missing_store_stops_it(run: Run, motor_csv: Path) -> None:
    motor_csv.write_bytes(b"\xef\xbb\xbf" + motor_csv.read_bytes())
    code, _, err = run("land", "motor", motor_csv)

    assert code == 3
    assert "FRAUD_ML_CLAIMS_URL is not set" in err


def test_simulate_writes_a_folder_of_parts_with_the_truth_beside_it(run: Run, tmp_path: Path) -> None:
    folder, truth = tmp_path / "log", tmp_path / "truth.csv"
    simulated = ("simulate", "motor", "--per-month", 9, "--to", "2023-03-31", "--out", folder, "--truth", truth)
    code, out, err = run(*simulated, "--json")
    names = sorted(path.name for path in folder.iterdir())

    assert code == 0
    assert json.loads(out) == {"folder": str(folder), "files": 3, "claims": 31, "rows": json.loads(out)["rows"]}
    assert names == [f"part-2023-0{month}-000000000.parquet" for month in (1, 2, 3)]
    assert len(truth.read_text().splitlines()) == 32
    assert err.count("\n") == 3  # its progress
    code, _, err = run(*simulated)
    assert code == 2
    assert "holds something already" in err


@pytest.mark.parametrize("wrong", [("--claims", 5, "--per-month", 5), ("--format", "xlsx"), ("--claims", 0)])
def test_simulate_refuses_what_it_cannot_do(run: Run, tmp_path: Path, wrong: tuple[object, ...]) -> None:
    code, out, err = run("simulate", "motor", *wrong, "--out", tmp_path / "log")

    assert code == 2
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("many", [("--claims", 1_000_001), ("--per-month", 30_000)])
def test_more_claims_than_memory_holds_go_into_a_folder(run: Run, tmp_path: Path, many: tuple[object, ...]) -> None:
    code, _, err = run("simulate", "motor", *many, "--out", tmp_path / "motor.parquet")

    assert code == 2
    assert "name a folder" in err


def test_unknown_dataset_names_the_known_ones(run: Run, motor_csv: Path) -> None:
    code, _, err = run("land", "boats", motor_csv)

    assert code == 2
    assert "carclaims, handbook, motor" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate",),
        ("land",),
        ("snapshot", "freeze"),
        ("snapshot", "list"),
        ("snapshot", "show"),
        ("snapshot", "verify"),
        ("snapshot", "diff"),
        ("snapshot", "pull"),
        ("backfill", "plan"),
        ("backfill", "start"),
        ("stack", "airflow"),
    ],
)
def test_help_shows_an_example(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, _ = run(*arguments, "--help")

    assert code == 0
    assert "Example: fraud-ml " in out


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        ("ftp://claims/2025", 2, "no source of claims for ftp:// addresses"),
        ("kafka://me:secret@host/claims", 2, "not the address of a topic"),
        ("s3://claims/2025*", 3, "FRAUD_ML_CLAIMS_URL is not set"),
        ("simulator:?claims=20", 3, "FRAUD_ML_CLAIMS_URL is not set"),
        ("no/such/file.csv", 2, "no/such/file.csv: no such file"),
    ],
)
def test_source_that_cannot_be_landed_is_one_sentence(run: Run, source: str, code: int, told: str) -> None:
    ended, out, err = run("land", "motor", source)

    assert (ended, out) == (code, "")
    assert told in err
    assert "secret" not in err
