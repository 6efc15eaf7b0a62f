"""Reports survive JSON, digests cover every field, and verdicts reject what nobody judged."""

import dataclasses
from pathlib import Path

import pytest

from fraud_ml import artifacts
from fraud_ml.artifacts import Candidate, Decision, FeatureReport, Finding, Outcome, Severity, Verdict, Window
from fraud_ml.errors import BadInput, NotAccepted, Unavailable


def finding(**changed: object) -> Finding:
    plain = Finding("DATA001", "rows", Severity.STOP, Outcome.PASSED, expected="≥ 1", arrived="7")
    return dataclasses.replace(plain, **changed)


def verdict(*findings: Finding) -> Verdict:
    return Verdict.of("snapshot", "d" * 64, findings, rows=7)


def test_verdict_accepts_when_every_rule_passed() -> None:
    assert verdict(finding()).is_accepted


def test_verdict_rejects_on_a_failed_stopping_rule() -> None:
    assert not verdict(finding(), finding(outcome=Outcome.FAILED)).is_accepted


def test_verdict_rejects_when_a_rule_could_not_judge() -> None:
    assert not verdict(finding(), finding(outcome=Outcome.UNDECIDED, severity=Severity.WARN)).is_accepted


def test_verdict_without_any_finding_is_rejected() -> None:
    assert verdict().decision is Decision.REJECTED


def test_verdict_accepts_with_a_failed_warning() -> None:
    assert verdict(finding(outcome=Outcome.FAILED, severity=Severity.WARN)).is_accepted


@pytest.mark.parametrize("outcome", list(Outcome))
def test_advice_never_stops(outcome: Outcome) -> None:
    assert verdict(finding(), finding(outcome=outcome, severity=Severity.ADVICE)).is_accepted


def test_require_accepted_refuses_a_verdict_on_another_subject() -> None:
    with pytest.raises(NotAccepted, match="judged something else"):
        verdict(finding()).require_accepted(subject_digest="e" * 64)


def test_require_accepted_names_the_finding_that_stops() -> None:
    rejected = verdict(finding(code="GX007", column="Age", outcome=Outcome.FAILED))
    with pytest.raises(NotAccepted, match=r"GX007.*column Age") as caught:
        rejected.require_accepted(subject_digest="d" * 64)
    assert caught.value.facts["codes"] == ("GX007",)


def test_report_survives_json(tmp_path: Path) -> None:
    window = Window("1994-01-01", "1995-01-01", 10, 2)
    report = FeatureReport("motor", "2024-07-01", "d" * 64, ("a", "b"), 12, window, window, window, {"immature": 2})
    artifacts.save(report, tmp_path / "report.json")
    assert artifacts.load(FeatureReport, tmp_path / "report.json") == report


def test_nested_report_survives_json(tmp_path: Path) -> None:
    rejected = verdict(finding(outcome=Outcome.FAILED, count=3, share=0.25))
    artifacts.save(rejected, tmp_path / "verdict.json")
    assert artifacts.load(Verdict, tmp_path / "verdict.json") == rejected


def test_absent_report_is_unavailable_and_broken_report_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is not there"):
        artifacts.load(Verdict, tmp_path / "verdict.json")
    (tmp_path / "verdict.json").write_text("{}")
    with pytest.raises(BadInput, match="not a Verdict"):
        artifacts.load(Verdict, tmp_path / "verdict.json")


CANDIDATE = Candidate("motor", "2025-12-31", "keras_tabular", "s", "p", "m", "a", "e").sealed()


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Candidate) if f.name != "digest"])
def test_candidate_digest_covers_every_field(name: str) -> None:
    assert dataclasses.replace(CANDIDATE, **{name: "other"}).sealed().digest != CANDIDATE.digest


def test_sealing_twice_changes_nothing() -> None:
    assert CANDIDATE.sealed() == CANDIDATE
