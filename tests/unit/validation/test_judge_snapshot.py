"""One snapshot, three judges, one verdict."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date

import pandas as pd
import pytest

from fraud_ml.artifacts import Decision, Outcome, canonical_json
from fraud_ml.contract import Kind
from fraud_ml.settings import PROJECT
from fraud_ml.validation.report import sentence, write_report
from fraud_ml.validation.verdict import judge

DIGEST = "ab" * 32
AS_OF = date(2024, 12, 31)


@pytest.fixture
def silent_tfdv(tmp_path):
    """A program that fails at once in the place of TFDV's interpreter: for tests that look at other findings."""
    path = tmp_path / "no-tfdv"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def judged(motor, motor_rules, params):
    def give(claims, python, **options):
        options = {"rules": motor_rules, "as_of": AS_OF, "subject_digest": DIGEST, **options}
        return judge(claims, motor, params, tfdv_python=python, **options)

    return give


def stopping(judgement):
    return {finding.code: finding for finding in judgement.verdict.stopping}


def test_an_empty_snapshot_is_rejected_and_nobody_is_asked(judged, make_claims, tmp_path):
    judgement = judged(make_claims(0), tmp_path / "absent interpreter")
    assert judgement.verdict.decision is Decision.REJECTED
    assert stopping(judgement)["DATA001"].outcome is Outcome.FAILED
    assert stopping(judgement)["GX101"].arrived == "there is no row to judge"
    assert not any(
        finding.outcome is Outcome.PASSED and finding.code.startswith("GX") for finding in judgement.verdict.findings
    )


def test_a_crashed_tfdv_alone_rejects(judged, make_claims, silent_tfdv):
    judgement = judged(make_claims(), silent_tfdv)
    assert judgement.verdict.decision is Decision.REJECTED
    assert set(stopping(judgement)) == {"TFDV001"}


def test_accepted_and_quarantined_add_up_to_the_input(judged, make_claims, silent_tfdv):
    claims = make_claims()
    for amount in ("claim_amount", "claim_amount_eur", "paid_eur"):
        claims.loc[[3, 9], amount] = [0.0, -12.5]
    claims.loc[[9, 11], "driver_age_years"] = [3.0, 140.0]
    claims.loc[20, "event_time"] = pd.NaT
    judgement = judged(claims, silent_tfdv)
    verdict = judgement.verdict
    assert (verdict.rows, verdict.quarantined_rows) == (400, 4)
    keys = {entry.key_digest for entry in judgement.set_aside}
    assert keys == {hashlib.sha256(f"M-{n:06d}".encode()).hexdigest() for n in (3, 9, 11, 20)}
    accepted = [key for key in claims["claim_id"] if hashlib.sha256(key.encode()).hexdigest() not in keys]
    assert len(accepted) + verdict.quarantined_rows == verdict.rows
    assert sorted((entry.code) for entry in judgement.set_aside) == ["DATA007", "GX501", "GX501", "GX502", "GX502"]
    assert set(stopping(judgement)) == {"TFDV001"}


def test_too_many_rows_set_aside_reject(judged, make_claims, silent_tfdv):
    claims = make_claims()
    claims.loc[:8, "claim_amount_eur"] = 0.0
    judgement = judged(claims, silent_tfdv)
    assert judgement.verdict.quarantined_rows == 9
    assert stopping(judgement)["DATA008"].arrived == "9 of 400 rows (2.25%)"


def test_rows_are_set_aside_by_position_whatever_the_frames_index(judged, make_claims, silent_tfdv):
    claims = make_claims()
    claims.loc[3, ["claim_amount", "claim_amount_eur", "paid_eur"]] = 0.0
    (entry,) = judged(claims.set_index(claims.index + 1000), silent_tfdv).set_aside
    assert entry.key_digest == hashlib.sha256(b"M-000003").hexdigest()


@pytest.mark.slow
def test_thirty_percent_nulls_are_rejected_by_column_expectation_and_counts(judged, make_claims, tfdv_python, tmp_path):
    column = "claim_amount_eur"
    claims = make_claims()
    claims.loc[claims.index[:120], column] = None
    judgement = judged(claims, tfdv_python)
    assert judgement.verdict.decision is Decision.REJECTED
    by_gx = next(f for code, f in stopping(judgement).items() if code.startswith("GX1"))
    assert by_gx.column == column
    assert "expect_column_values_to_not_be_null in at least 99 %" in by_gx.expected
    assert by_gx.arrived == "120 of 400 missing (30.00%)"
    by_tfdv = stopping(judgement)["TFDV003"]
    assert (by_tfdv.column, by_tfdv.count, by_tfdv.share) == (column, 120, 0.3)
    write_report(tmp_path, judgement, title="Motor", dataset="motor", as_of="2024-12-31")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for told in (column, "expect_column_values_to_not_be_null", "120 of 400 missing (30.00%)", by_gx.code):
        assert told in page[: page.index('<td class="passed">')]  # before anything that passed


_JUDGE_IN_A_PROCESS = """
import sys
from datetime import date
from pathlib import Path
import pandas as pd
from fraud_ml.artifacts import save
from fraud_ml.contract import load_contract
from fraud_ml.params import ValidationParams
from fraud_ml.validation.quarantine import write_quarantine
from fraud_ml.validation.report import write_report
from fraud_ml.validation.verdict import judge

project, claims, out, python = map(Path, sys.argv[1:])
judgement = judge(
    pd.read_pickle(claims), load_contract("motor", project / "expectations"),
    ValidationParams(max_quarantined_share=0.02), rules=project / "expectations" / "motor",
    as_of=date(2024, 12, 31), subject_digest="ab" * 32, tfdv_python=python, data_docs=out / "report" / "data_docs",
)
save(judgement.verdict, out / "verdict.json")
write_quarantine(judgement.set_aside, out / "quarantine.parquet")
write_report(out / "report", judgement, title="Motor", dataset="motor", as_of="2024-12-31")
"""


@pytest.mark.slow
def test_equal_claims_give_equal_bytes_in_any_process_and_folder(make_claims, tfdv_python, tmp_path):
    claims = make_claims()
    claims.loc[3, "claim_amount_eur"] = 0.0
    claims.loc[:40, "region"] = None
    claims.to_pickle(tmp_path / "claims.pkl")
    written = []
    for seed in ("1", "2"):
        out = tmp_path / f"run-{seed}"
        command = [sys.executable, "-c", _JUDGE_IN_A_PROCESS, PROJECT, tmp_path / "claims.pkl", out, tfdv_python]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout + done.stderr == ""  # no noise of Great Expectations
        written.append({path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()})
    assert {str(path) for path in written[0] if written[0][path] != written[1].get(path)} == set()
    assert written[0].keys() == written[1].keys()
    assert str(tmp_path).encode() not in b"".join(written[0].values())


_TALKATIVE = (  # rules whose results carry values, and whose exceptions do
    ("expect_column_max_to_be_between", {"column": "claim_amount_eur", "max_value": 1}),
    ("expect_column_min_to_be_between", {"column": "vehicle_value_eur", "min_value": 1e9}),
    ("expect_column_median_to_be_between", {"column": "past_claims", "min_value": 1e9}),
    ("expect_column_sum_to_be_between", {"column": "witnesses", "max_value": 0}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "region", "value_set": ["north"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "vehicle_make", "value_set": ["north"]}),
    ("expect_column_most_common_value_to_be_in_set", {"column": "sex", "value_set": ["north"]}),
    ("expect_column_values_to_match_regex", {"column": "garage_id", "regex": "^G"}),
    ("expect_column_values_to_match_strftime_format", {"column": "claimant_id", "strftime_format": "%Y"}),
    ("expect_column_values_to_be_between", {"column": "fault", "min_value": 3}),
    ("expect_column_value_lengths_to_be_between", {"column": "cover", "max_value": 3}),
    ("expect_column_values_to_be_json_parseable", {"column": "policy_id"}),
    ("expect_column_mean_to_be_between", {"column": "region", "max_value": 3}),
)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [400, 1])
def test_no_claims_value_leaves_in_anything_written_or_said(
    motor, motor_rules, make_claims, tfdv_python, tmp_path, params, rows, capfd, caplog
):
    """A canary stands in every column, of one claim among many and of the only claim there is."""
    claims = make_claims(rows).copy()
    texts, numbers, moments = [], [], []
    last = claims.index[-1]
    for position, column in enumerate(motor.columns):
        if column.kind is Kind.CATEGORY:
            texts.append(f"Canary{position:03d}")
            claims.loc[last, column.name] = texts[-1]
        elif column.kind is Kind.NUMBER:
            numbers.append(7391846.0 + 104729 * position)
            claims.loc[last, column.name] = numbers[-1] if column.name != "driver_age_years" else -numbers[-1]
        else:
            moments.append(pd.Timestamp("1903-02-17 04:05:06") + pd.Timedelta(days=position))
            claims.loc[last, column.name] = moments[-1]
    claims.loc[last, "event_time"] = pd.Timestamp("1903-02-17 04:05:06")
    rules = tmp_path / "rules"
    shutil.copytree(motor_rules, rules)
    suite = json.loads((rules / "suite.json").read_text(encoding="utf-8"))
    for number, (kind, kwargs) in enumerate(_TALKATIVE):
        meta = {"code": f"GX{900 + number}", "title": "a talkative rule", "severity": "stop"}
        suite["expectations"].append({"type": kind, "kwargs": kwargs, "meta": meta})
    (rules / "suite.json").write_text(json.dumps(suite), encoding="utf-8")

    out = tmp_path / "out"
    judgement = judge(
        claims,
        motor,
        params,
        rules=rules,
        as_of=AS_OF,
        subject_digest=DIGEST,
        tfdv_python=tfdv_python,
        data_docs=out / "data_docs",
    )
    write_report(out, judgement, title="Motor", dataset="motor", as_of="2024-12-31")
    said = capfd.readouterr()
    spread = [path.read_bytes() for path in out.rglob("*") if path.suffix in {".html", ".pbtxt", ".json"}]
    spread += [canonical_json(judgement.verdict), repr(judgement).encode()]
    spread += [said.out.encode(), said.err.encode(), caplog.text.encode(), sentence(judgement.verdict).encode()]
    haystack = b"\n".join(spread).decode().lower()
    assert judgement.described.columns
    assert judgement.verdict.quarantined_rows == 1
    assert "canary" not in haystack
    for number in numbers:
        whole = f"{number:.0f}"
        for spelling in (whole, f"{number:,.0f}", f"{whole[0]}.{whole[1:5]}", f"{number:.5g}"):
            assert spelling not in haystack
    for moment in moments:
        days = moment.timestamp() / 86_400
        for spelling in (f"{moment:%Y-%m-%d}", f"{days:.1f}", f"{days:.6g}", f"{int(moment.timestamp())}"):
            assert spelling not in haystack


def test_no_column_of_the_claims_may_lose_thirty_percent(make_claims, silent_tfdv, motor, motor_rules, params):
    """Own checks and the suite alone notice it in each column; an open claim's outcome is rightly missing.

    Where people can be erased, a row without its person is an erased one (landing refuses others): so here they cannot.
    """
    claims = make_claims()
    for number, name in enumerate(motor.names):
        claims.loc[[(number + row) % len(claims) for row in range(120)], name] = None
    plain = motor.model_copy(update={"erasure": None})
    asked = {"rules": motor_rules, "as_of": AS_OF, "subject_digest": DIGEST, "tfdv_python": silent_tfdv}
    named = {finding.column for finding in judge(claims, plain, params, **asked).verdict.stopping}
    assert set(motor.names) - named == {"outcome"}


def test_the_report_says_the_verdict_first_and_needs_nothing_from_outside(judged, make_claims, silent_tfdv, tmp_path):
    judgement = judged(make_claims(), silent_tfdv, data_docs=tmp_path / "data_docs")
    write_report(tmp_path, judgement, title='Motor <"&> claims', dataset="motor", as_of="2024-12-31")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.index("Rejected, nobody trains on it: TFDV001") < page.index("<table>")
    assert "Motor &lt;&quot;&amp;&gt; claims" in page
    assert page.index(">TFDV001<") < page.index(">DATA001<")
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert links
    assert all((tmp_path / link).is_file() for link in links)
    assert "//" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
