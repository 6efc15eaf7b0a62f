"""TFDV's worker answers, or its silence stops the snapshot."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from pyarrow import parquet

from fraud_ml.artifacts import Outcome
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import PROJECT
from fraud_ml.validation.describing import add_descriptions, as_arrived, as_told, describe_chunk
from fraud_ml.validation.partition import columns_with_domain
from fraud_ml.validation.profiling import chunk_of, profile_chunk
from fraud_ml.validation.statistics import Worker


def described(claims, contract, schema):
    """Return the figures of all claims, counted month by month."""
    chunk = chunk_of(claims, contract)
    profiles = profile_chunk(chunk, contract, ()).months
    return add_descriptions(describe_chunk(chunk, contract, profiles, columns_with_domain(schema)).values())


@pytest.fixture
def ask(motor, motor_rules):
    def describe(claims, python, *, timeout_s=120.0, schema=motor_rules / "schema.pbtxt"):
        with Worker(schema=schema, python=python, timeout_s=timeout_s) as worker:
            worker.ask(described(claims, motor, schema))
            return worker.result()

    return describe


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 1", "it ended with exit code 1"),
        ("kill -9 $$", "killed by signal 9"),
        ("cat > /dev/null; echo Segmentation fault", "its answer is not readable"),
        ("cat > /dev/null", "its answer is not readable"),
        ('cat > /dev/null; echo \'{"rows": 0, "anomalies": [], "columns": [], "statistics": ""}\'', "0 of 400 rows"),
        ("exec sleep 60", "no answer within 0.5 s"),
        ("cat > /dev/null; sleep 60 & wait", "no answer within 0.5 s"),
    ],
)
def test_a_worker_that_gives_no_answer_is_undecided_and_stops(ask, make_claims, tfdv_stand_in, script, told):
    started = time.monotonic()
    described = ask(make_claims(), tfdv_stand_in(script), timeout_s=0.5 if "sleep" in script else 30)
    (finding,) = described.findings
    assert (finding.code, finding.outcome, finding.stops) == ("TFDV001", Outcome.UNDECIDED, True)
    assert told in finding.arrived
    assert described.columns == ()
    assert time.monotonic() - started < 20


def test_an_interpreter_that_does_not_start_is_undecided(ask, make_claims, tmp_path):
    (tmp_path / "python").write_text("not a program")
    (finding,) = ask(make_claims(), tmp_path / "python").findings
    assert (finding.outcome, finding.stops) == (Outcome.UNDECIDED, True)


def test_an_environment_without_tfdv_is_undecided_and_named_without_values(ask, make_claims):
    (finding,) = ask(make_claims(), Path(sys.executable)).findings
    assert finding.outcome is Outcome.UNDECIDED
    assert "ModuleNotFoundError at tfdv_worker.py:" in finding.arrived


def test_an_absent_interpreter_is_unavailable_and_says_how_to_get_it(ask, make_claims, tmp_path):
    with pytest.raises(Unavailable) as error:
        ask(make_claims(), tmp_path / "nothing" / "python")
    assert error.value.next_step == "make tfdv"


def test_an_absent_schema_is_refused(ask, make_claims, tmp_path):
    with pytest.raises(BadInput, match=r"schema\.pbtxt"):
        ask(make_claims(), Path(sys.executable), schema=tmp_path / "schema.pbtxt")


def test_leaving_the_context_ends_the_worker(motor_rules, tfdv_stand_in):
    schema, python = motor_rules / "schema.pbtxt", tfdv_stand_in("exec sleep 60")
    before = set(psutil.Process().children())
    worker = Worker(schema=schema, python=python, timeout_s=60)
    with worker:
        (started,) = set(psutil.Process().children()) - before
        assert started.is_running()
    assert not started.is_running()


def test_the_worker_does_not_outlive_a_killed_run(motor_rules):
    """The real worker waits for claims on its pipe, here forever; its parent is killed without a chance to clean up."""
    program = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-I', {str(PROJECT / 'fraud_ml/validation/tfdv_worker.py')!r}, 'schema']\n"
        "worker = subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "keeper = subprocess.Popen(['sleep', '30'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
        "print(worker.pid, flush=True)\ntime.sleep(30)\n"
    )
    # A second holder of the pipe's writing end, so that the worker does not simply see its input end.
    read, write = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", program.replace("stdin=subprocess.PIPE", f"stdin={read}")],
        stdout=subprocess.PIPE,
        pass_fds=(read,),
    )
    try:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1)  # it has started and asked for the signal
        assert worker.is_running()
        for child in psutil.Process(parent.pid).children():
            if child.pid != worker.pid:
                child.kill()
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        _, alive = psutil.wait_procs([worker], timeout=5)
        assert alive == []
    finally:
        parent.kill()
        os.close(read)
        os.close(write)


def test_claims_of_a_wrong_type_are_described_as_they_arrived(make_claims, motor, motor_rules):
    mixed = pd.Series(["north", 7, None, 1.5] * 100, dtype=object)
    claims = make_claims(region=mixed, claim_amount_eur="much").drop(columns="sex")
    columns = described(claims, motor, motor_rules / "schema.pbtxt").columns
    assert (columns["region"].counts, columns["region"].known) == ({"north": 100, "7": 100, "1.5": 100}, 300)
    assert columns["claim_amount_eur"].is_text
    assert "sex" not in columns


@pytest.mark.slow
def test_tfdv_passes_good_claims_and_names_what_is_wrong_with_bad_ones(ask, make_claims, motor, tfdv_python):
    good = ask(make_claims(), tfdv_python)
    assert {finding.outcome for finding in good.findings} == {Outcome.PASSED}
    assert [finding.code for finding in good.findings] == [*(f"TFDV00{n}" for n in range(1, 8)), "TFDV099"]
    assert [column["column"] for column in good.columns] == [column.name for column in motor.columns]
    bad = make_claims(
        region=["moon"] * 20 + ["north"] * 380,
        cover=pd.Series(["partial"] * 280 + [None] * 120),
        witnesses="two",
        claim_amount_eur=np.nan,
    ).drop(columns="sex")
    failed = {f.column: f for f in ask(bad, tfdv_python).findings if f.outcome is Outcome.FAILED}
    assert {column: finding.code for column, finding in failed.items()} == {
        "sex": "TFDV002",
        "cover": "TFDV003",
        "claim_amount_eur": "TFDV002",  # not a single value
        "witnesses": "TFDV004",
        "region": "TFDV005",
    }
    assert (failed["cover"].count, failed["cover"].share) == (120, 0.3)
    assert (failed["region"].count, failed["region"].share) == (20, 0.05)
    assert all(finding.stops for finding in failed.values())


@pytest.mark.slow
def test_a_schema_that_is_none_is_refused_by_line(ask, make_claims, tfdv_python, tmp_path):
    (tmp_path / "schema.pbtxt").write_text('feature {\n  name: "region"\n  typo: BYTES\n}\n')
    with pytest.raises(BadInput, match=r"schema\.pbtxt:3: not a TFDV schema"):
        ask(make_claims(), tfdv_python, schema=tmp_path / "schema.pbtxt")


@pytest.mark.slow
def test_tfdv_finds_the_same_in_our_figures_as_in_statistics_of_its_own(make_claims, motor, tfdv_python, tmp_path):
    """On clean and on broken claims, under the real schema with further domains, and for each kind of anomaly."""
    schema = tmp_path / "schema.pbtxt"
    bounds = "".join(
        f'feature {{ name: "{name}" type: FLOAT float_domain {{ min: {least} max: {most} }} }}\n'
        for name, least, most in (("witnesses", 0, 2), ("past_claims", 0, 1))
    )
    content = (PROJECT / "expectations" / "motor" / "schema.pbtxt").read_text(encoding="utf-8")
    kept = [part for part in content.split("\nfeature {") if '"witnesses"' not in part and '"past_claims"' not in part]
    schema.write_text("\nfeature {".join(kept) + "\n" + bounds, encoding="utf-8")
    number = np.arange(400)
    broken = [
        {},
        {"region": ["moon"] * 3 + ["north"] * 397},  # within the tolerated mass
        {"region": ["moon"] * 5 + ["north"] * 395},
        {"cover": [f"cover {n % 650}" for n in number] * 2 + ["partial"] * 400, "rows": 1_200},
        {"sex": pd.Series(["male"] * 395 + [None] * 5), "currency": None},
        {"witnesses": "two", "claim_amount_eur": np.nan, "event": 3.0, "accident_date": "soon"},
        {"witnesses": [3.0] + [1.0] * 399, "past_claims": [-1.0] + [0.0] * 399, "paid_eur": np.inf},
        {"fault": "", "sales_channel": "\u00fc\u2028\x00"},
    ]
    figures, files = [], []
    for place, columns in enumerate(broken):
        claims = make_claims(columns.pop("rows", 400), **columns)
        if place == 7:
            claims = claims.drop(columns="address_change")
        figures.append(as_told(described(claims, motor, schema)))
        files.append(tmp_path / f"{place}.parquet")
        parquet.write_table(as_arrived(claims, motor), files[-1])
    (tmp_path / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    program = PROJECT / "tests" / "unit" / "validation" / "anomalies_by_tfdv.py"
    worker = PROJECT / "fraud_ml" / "validation" / "tfdv_worker.py"
    command = [tfdv_python, program, worker, schema, ",".join(map(str, files)), tmp_path / "figures.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    pairs = json.loads(done.stdout)
    assert [ours for _, ours in pairs] == [theirs for theirs, _ in pairs]
    assert pairs[0] == pairs[1] == [[], []]
    assert all(theirs for theirs, _ in pairs[2:])
    kinds = {one["kind"] for theirs, _ in pairs for one in theirs}
    assert kinds >= {"ENUM_TYPE_UNEXPECTED_STRING_VALUES", "FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT"}
