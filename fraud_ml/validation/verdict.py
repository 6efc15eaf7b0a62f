"""From findings to a verdict: three judges look at one snapshot, and a rule that could not judge counts as a no."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Verdict
from fraud_ml.contract import Contract
from fraud_ml.params import ValidationParams
from fraud_ml.validation.checks import NO_ROWS, check_claims, check_share_set_aside
from fraud_ml.validation.quarantine import SetAside, digest_key
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
    tfdv_python: Path,
    data_docs: Path | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Judgement:
    """Judge `claims` (as `Snapshot.claims()` gives them) by our own checks, the suite and the schema in `rules`.

    Never raises on bad claims. Raises BadInput when suite or schema is wrong, Unavailable when TFDV is not there.
    """
    suite = read_suite(rules / SUITE_FILE, contract)
    claims = claims.reset_index(drop=True)
    own = check_claims(claims, contract, as_of)
    rows: dict[str, tuple[int, ...]] = {one.finding.code: one.rows for one in own if one.rows}
    page = None
    if claims.empty:
        described, expected = Described(()), _undecided(suite)
    else:
        unknown = _unknown(claims, contract)
        worker = Worker(
            claims if unknown is None or unknown.all() else claims[~unknown].reset_index(drop=True),
            contract,
            schema=rules / SCHEMA_FILE,
            python=tfdv_python,
            sample_rows=params.statistics_sample_rows,
            timeout_s=timeout_s,
        )
        with worker:  # it computes while Great Expectations is imported
            from fraud_ml.validation.expectations import UnknownPeople, judge_expectations

            people = None
            if unknown is not None:
                people = UnknownPeople(frozenset(column.name for column in contract.personal), unknown)
            judged = judge_expectations(claims, suite, as_of=as_of, data_docs=data_docs, unknown_people=people)
            described = worker.result()
        rows |= judged.rows
        expected, page = judged.findings, judged.data_docs_page
    set_aside = _set_aside(claims, contract, rows)
    quarantined = len({position for positions in rows.values() for position in positions})
    share = check_share_set_aside(quarantined, len(claims), params.max_quarantined_share)
    findings = (*(one.finding for one in own), share, *expected, *described.findings)
    about = f"snapshot {contract.dataset} as of {as_of.isoformat()}"
    verdict = Verdict.of(about, subject_digest, findings, rows=len(claims), quarantined_rows=quarantined)
    return Judgement(verdict, set_aside, described, page)


def _unknown(claims: "pd.DataFrame", contract: Contract) -> "NDArray[np.bool_] | None":
    """Return which claims are of people who were erased, or None: every landed row has a subject, so the others do."""
    if contract.erasure is None or contract.erasure.subject not in claims.columns:
        return None
    unknown: NDArray[np.bool_] = claims[contract.erasure.subject].isna().to_numpy()
    return unknown if unknown.any() else None


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
