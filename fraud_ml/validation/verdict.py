"""From findings to a verdict: three judges look at one snapshot, and a rule that could not judge counts as a no."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict
from fraud_ml.contract import Contract
from fraud_ml.params import ValidationParams
from fraud_ml.validation.checks import NO_ROWS, check_claims, check_share_set_aside
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.quarantine import SetAside, digest_key
from fraud_ml.validation.rules import judge_rules
from fraud_ml.validation.rules.rows import row_findings, row_rules
from fraud_ml.validation.statistics import SCHEMA_FILE, TIMEOUT_S, Described, Worker
from fraud_ml.validation.suite import SUITE_FILE, Suite, read_suite

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Judgement:
    """A verdict, the rows it sets aside, and what the report shows beside the findings."""

    verdict: Verdict
    set_aside: tuple[SetAside, ...]
    described: Described
    data_docs_page: Path | None = None


def judge(
    claims: "pd.DataFrame",
    contract: Contract,
    params: ValidationParams,
    *,
    rules: Path,
    as_of: date,
    subject_digest: str,
    tfdv_python: Path | None,
    data_docs: Path | None = None,
    timeout_s: float = TIMEOUT_S,
    without: Collection[str] = (),
) -> Judgement:
    """Judge `claims` (as `Snapshot.claims()` gives them) by our own checks, the suite and the schema in `rules`.

    without: codes of rules that are not asked, beside those that the contract's `checks: {off: …}` names and the
    verdict then tells. tfdv_python: None leaves TFDV out, for trials of the other rules; the stage never does.
    Never raises on bad claims. Raises BadInput when suite or schema is wrong, Unavailable when TFDV is not there.
    """
    suite = read_suite(rules / SUITE_FILE, contract)
    claims = claims.reset_index(drop=True)
    own = check_claims(claims, contract, as_of)
    rows: dict[str, tuple[int, ...]] = {one.finding.code: one.rows for one in own if one.rows}
    page = None
    ruled: tuple[Finding, ...] = ()
    if claims.empty:
        described, expected = Described(()), _undecided(suite)
    else:
        unknown = _unknown(claims, contract)
        worker = tfdv_python and Worker(
            claims if unknown is None or unknown.all() else claims[~unknown].reset_index(drop=True),
            contract,
            schema=rules / SCHEMA_FILE,
            python=tfdv_python,
            sample_rows=params.statistics_sample_rows,
            timeout_s=timeout_s,
        )
        with worker or nullcontext():  # it computes while Great Expectations is imported
            from fraud_ml.validation.expectations import UnknownPeople, judge_expectations

            people = None
            if unknown is not None:
                people = UnknownPeople(frozenset(column.name for column in contract.personal), unknown)
            ruled = _judge_by_rules(claims, contract, suite, as_of, rows)
            judged = judge_expectations(claims, suite, as_of=as_of, data_docs=data_docs, unknown_people=people)
            described = worker.result() if worker else Described(())
        rows |= judged.rows
        expected, page = judged.findings, judged.data_docs_page
    off = {*without, *contract.checks.off}
    rows = {code: positions for code, positions in rows.items() if code not in off}
    set_aside = _set_aside(claims, contract, rows)
    quarantined = len({position for positions in rows.values() for position in positions})
    share = check_share_set_aside(quarantined, len(claims), params.max_quarantined_share)
    asked = (*(one.finding for one in own), share, *ruled, *expected, *described.findings)
    findings = (*(finding for finding in asked if finding.code not in off), *_switched_off(asked, contract))
    about = f"snapshot {contract.dataset} as of {as_of.isoformat()}"
    verdict = Verdict.of(about, subject_digest, findings, rows=len(claims), quarantined_rows=quarantined)
    return Judgement(verdict, set_aside, described, page)


def _unknown(claims: "pd.DataFrame", contract: Contract) -> "NDArray[np.bool_] | None":
    """Return which claims are of people who were erased, or None: every landed row has a subject, so the others do."""
    if contract.erasure is None or contract.erasure.subject not in claims.columns:
        return None
    unknown: NDArray[np.bool_] = claims[contract.erasure.subject].isna().to_numpy()
    return unknown if unknown.any() else None


def _judge_by_rules(
    claims: "pd.DataFrame", contract: Contract, suite: Suite, as_of: date, rows: dict[str, tuple[int, ...]]
) -> tuple[Finding, ...]:
    """Return what our own rules find; add to `rows` the positions that those of severity quarantine set aside."""
    from fraud_ml.validation.profiling import profile_months

    ours = row_rules(contract, suite.declared)
    found = profile_months(claims, contract, ours)
    for rule in ours:
        if rule.severity is Severity.QUARANTINE and found.rows.get(rule.name):
            rows[rule.code] = (*rows.get(rule.code, ()), *found.rows[rule.name])
    keys = claims[contract.key].tolist() if contract.key in claims.columns else [None] * len(claims)
    examples = {name: tuple(digest_key(keys[row]) for row in some[:3]) for name, some in found.rows.items()}
    evidence = Evidence(contract, as_of, found.months, suite.declared)
    return (*judge_rules(evidence), *row_findings(contract, ours, found, len(claims), examples))


def _switched_off(asked: Sequence[Finding], contract: Contract) -> Iterator[Finding]:
    """Yield a warning for each rule that the contract took out; a code that no rule bears stops."""
    titles = {finding.code: finding.title for finding in asked}
    for code, why in contract.checks.off.items():
        finding = Finding(
            code,
            titles.get(code, "no rule has this code"),
            Severity.WARN if code in titles else Severity.STOP,
            Outcome.FAILED,
            expected="a rule that judges",
            arrived=f"switched off by contract.yaml: {why}",
            next_step="remove it from `checks: {off: …}` when the reason is gone",
        )
        yield finding


def _undecided(suite: Suite) -> tuple[Finding, ...]:
    """Great Expectations passes most rules on an empty table; here nobody is asked."""
    return tuple(rule.found(Outcome.UNDECIDED, NO_ROWS) for rule in suite.rules)


def _set_aside(claims: "pd.DataFrame", contract: Contract, rows: dict[str, tuple[int, ...]]) -> tuple[SetAside, ...]:
    if not rows:
        return ()
    known = contract.key in claims.columns
    keys = claims[contract.key].tolist() if known else [None] * len(claims)
    return tuple(
        SetAside(digest_key(keys[position]), code) for code, positions in rows.items() for position in positions
    )
