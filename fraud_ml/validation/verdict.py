"""From findings to a verdict: three judges look at one snapshot, and a rule that could not judge counts as a no.

The snapshot is judged one event month at a time; what is kept of each month adds up to the verdict. Which months are
looked at together, and which were looked at before, changes nothing.
"""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict
from fraud_ml.contract import Contract
from fraud_ml.params import ValidationParams
from fraud_ml.validation.checks import NO_ROWS, check_claims, check_share_set_aside
from fraud_ml.validation.describing import add_descriptions
from fraud_ml.validation.drawings import Drawing, draw
from fraud_ml.validation.partial import Aside, Partial
from fraud_ml.validation.partition import Judges, judge_months, read_judges
from fraud_ml.validation.quarantine import SetAside
from fraud_ml.validation.served import Served
from fraud_ml.validation.statistics import SCHEMA_FILE, TIMEOUT_S, Described, Worker
from fraud_ml.validation.suite import Suite
from fraud_ml.validation.weighing import (
    Columns,
    Months,
    evidence_of,
    gather,
    weigh_own_checks,
    weigh_rules,
    weigh_suite,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Judgement:
    """A verdict, the rows it sets aside, and what the report shows beside the findings."""

    verdict: Verdict
    set_aside: tuple[SetAside, ...]
    described: Described
    data_docs_page: Path | None = None
    drawings: tuple[Drawing, ...] = ()


@dataclass(frozen=True)
class Table:
    """The claims to judge: how many, what is kept of each of their months, and some (or all) of their columns."""

    rows: int
    partials: Callable[[Judges, date], Iterable[Partial]]
    columns: Columns


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
    served: Served | None = None,
) -> Judgement:
    """Judge `claims` (as `Snapshot.claims()` gives them) by our own checks, the suite and the schema in `rules`.

    without: codes of rules that are not asked, beside those that the contract's `checks: {off: …}` names and the
    verdict then tells. served: the claims that scorers were asked about, if they were counted.
    tfdv_python: None leaves TFDV out, for trials of the other rules; the stage never does.
    Never raises on bad claims. Raises BadInput when suite or schema is wrong, Unavailable when TFDV is not there.
    """
    whole = claims.reset_index(drop=True)

    def columns(names: Sequence[str] | None) -> "pd.DataFrame":
        return whole if names is None else whole[[name for name in names if name in whole.columns]]

    return judge_table(
        Table(len(whole), lambda judges, on: judge_months(whole, judges, on), columns),
        contract,
        params,
        rules=rules,
        as_of=as_of,
        subject_digest=subject_digest,
        tfdv_python=tfdv_python,
        data_docs=data_docs,
        timeout_s=timeout_s,
        without=without,
        served=served,
    )


def judge_table(
    table: Table,
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
    served: Served | None = None,
) -> Judgement:
    """Judge a table as `judge` does a frame; nothing but the columns of some rules is ever held whole."""
    judges = read_judges(contract, rules)
    if table.rows:
        worker = None
        if tfdv_python is not None:
            worker = Worker(schema=rules / SCHEMA_FILE, python=tfdv_python, timeout_s=timeout_s)
        with worker or nullcontext():  # it gets ready while the months are judged
            found = _found(table, judges, as_of, worker, data_docs, served)
    else:
        own = [one.finding for one in check_claims(table.columns(None), contract, as_of)]
        found = _Found(own, _undecided(judges.suite), Described(()), ())
    off = {*without, *contract.checks.off}
    aside = [
        (row.key_digest, codes) for row in found.aside if (codes := [code for code in row.codes if code not in off])
    ]
    share = check_share_set_aside(len(aside), table.rows, params.max_quarantined_share)
    asked = (*found.own, share, *found.ruled, *found.expected, *found.described.findings)
    findings = (*(finding for finding in asked if finding.code not in off), *_switched_off(asked, contract))
    about = f"snapshot {contract.dataset} as of {as_of.isoformat()}"
    verdict = Verdict.of(about, subject_digest, findings, rows=table.rows, quarantined_rows=len(aside))
    set_aside = tuple(SetAside(digest, code) for digest, codes in aside for code in codes)
    return Judgement(verdict, set_aside, found.described, found.page, found.drawings)


# --- inside ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    own: Sequence[Finding]
    expected: Sequence[Finding]
    described: Described
    aside: tuple[Aside, ...]
    ruled: Sequence[Finding] = ()
    page: Path | None = None
    drawings: tuple[Drawing, ...] = ()


def _found(
    table: Table, judges: Judges, as_of: date, worker: Worker | None, data_docs: Path | None, served: Served | None
) -> _Found:
    with tempfile.TemporaryDirectory(prefix="fraud-ml-judge-") as scratch:
        months = gather(table.partials(judges, as_of), Path(scratch))
    if worker:
        worker.ask(add_descriptions(month.description for month in months.summaries))
    expected, further = weigh_suite(months, judges, as_of, table.columns)
    page = None
    if data_docs is not None:
        from fraud_ml.validation.expectations import publish  # heavy: great_expectations

        page = publish(judges.suite, expected.findings, expected.kept, as_of, data_docs)
    evidence = evidence_of(months, judges, as_of, served)
    ruled = weigh_rules(months, judges, evidence)
    return _Found(
        weigh_own_checks(months, judges, as_of),
        expected.findings,
        worker.result() if worker else Described(()),
        _one_a_row(months, further),
        ruled,
        page,
        draw(evidence, ruled),
    )


def _one_a_row(months: Months, further: Iterable[Aside]) -> tuple[Aside, ...]:
    """Return each row that is set aside once; a row that only a whole column could tell is known by its key."""
    rows = [row for month in months.summaries for row in month.aside]
    more: dict[str, list[str]] = {}
    for row in further:
        more.setdefault(row.key_digest, []).extend(row.codes)
    rows = [Aside(row.key_digest, (*row.codes, *more.pop(row.key_digest, ()))) for row in rows]
    return (*rows, *(Aside(digest, tuple(codes)) for digest, codes in more.items()))


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
