"""From what was kept of each month to findings about the whole: counts are added up, and weighed once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome
from fraud_ml.validation.checks import add_checks, weigh_checks
from fraud_ml.validation.counting import Count, add_counts, is_counted, is_of_rows
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.partial import Aside, Partial, Summary
from fraud_ml.validation.partition import Judges, unknown_people
from fraud_ml.validation.profiling import EXAMPLES, Profiled
from fraud_ml.validation.quarantine import digest_key
from fraud_ml.validation.rules import judge_rules
from fraud_ml.validation.rules.rows import row_findings
from fraud_ml.validation.served import Served
from fraud_ml.validation.settled import settled_months
from fraud_ml.validation.suite import Rule, Suite
from fraud_ml.validation.uniqueness import Seen

if TYPE_CHECKING:
    import pandas as pd

    from fraud_ml.validation.expectations import Expected

Columns = Callable[[Sequence[str] | None], "pd.DataFrame"]


@dataclass(frozen=True)
class Months:
    """All months of a table, oldest first, and how many rows share a value of each column that nobody may share."""

    summaries: tuple[Summary, ...]
    repeated: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(month.rows for month in self.summaries)


def gather(partials: Iterable[Partial], scratch: Path) -> Months:
    """Return the months; their hashes are compared in files in the folder `scratch`."""
    seen, found, columns = Seen(scratch), [], dict[str, None]()
    for partial in partials:
        found.append(partial.summary)
        for name, hashes in partial.hashes.items():
            columns[name] = None
            seen.add(name, hashes)
    return Months(tuple(sorted(found, key=lambda one: one.month)), {name: seen.repeated(name) for name in columns})


def weigh_own_checks(months: Months, judges: Judges, as_of: date) -> list[Finding]:
    """Return what our own checks find; there is one month at least."""
    counts = add_checks(month.checks for month in months.summaries)
    repeated = months.repeated.get(judges.contract.key, 0)
    return [one.finding for one in weigh_checks(counts, judges.contract, as_of, repeated_keys=repeated)]


def evidence_of(months: Months, judges: Judges, as_of: date, served: Served | None) -> Evidence:
    """Return what our own rules over months look at."""
    profiles = {month.month: month.profile for month in months.summaries}
    return Evidence(judges.contract, as_of, profiles, judges.suite.declared, served)


def weigh_rules(months: Months, judges: Judges, evidence: Evidence) -> list[Finding]:
    """Return what our own rules over months, and those of rows, find."""
    names = dict.fromkeys(name for month in months.summaries for name in month.broken)
    broken = {name: sum(month.broken.get(name, 0) for month in months.summaries) for name in names}
    examples = {
        name: tuple(sorted(digest for month in months.summaries for digest in month.examples.get(name, ()))[:EXAMPLES])
        for name in names
    }
    found = Profiled(evidence.months, broken, {})
    return [
        *judge_rules(evidence),
        *row_findings(judges.contract, judges.row_rules, found, months.rows, examples),
    ]


def weigh_suite(months: Months, judges: Judges, as_of: date, columns: Columns) -> "tuple[Expected, tuple[Aside, ...]]":
    """Return what Great Expectations decides on each rule, in the suite's order, and rows that only it can set aside.

    columns: gives some columns of the whole table, or all, to rules that cannot be counted month by month.
    """
    from fraud_ml.validation.expectations import Expected, tell_counted

    of_all = [rule for rule in judges.counted if not rule.each_month]
    counted = tell_counted(of_all, judges.expectations, _counts(months, of_all))
    by_month = [_of_each_month(months, rule, judges, as_of) for rule in judges.counted if rule.each_month]
    whole, aside = _on_whole_columns(judges, as_of, columns)
    findings = {finding.code: finding for finding in (*counted.findings, *by_month, *whole.findings)}
    return Expected(
        tuple(findings[rule.code] for rule in judges.suite.rules), {}, {**counted.kept, **whole.kept}
    ), aside


def months_asked(rule: Rule, summaries: Sequence[Summary], as_of: date) -> tuple[Summary, ...]:
    """Return the months that a rule of each month is asked of, oldest first."""
    rows = {one.month: one.rows for one in summaries}
    settled = settled_months(rows, as_of, with_few=is_of_rows(rule))
    wanted = [month for month in settled if not rule.of or int(month[5:]) in rule.of]
    return tuple(one for one in summaries if one.month in wanted)


# --- inside ---------------------------------------------------------------------------------------------------------


def _of_each_month(months: Months, rule: Rule, judges: Judges, as_of: date) -> Finding:
    """Return the finding on a rule of each month: of the newest month that breaks it, or that could not be judged."""
    from fraud_ml.validation.expectations import tell_counted

    asked = months_asked(rule, months.summaries, as_of)
    found = {
        one.month: tell_counted([rule], judges.expectations, {rule.code: one.expected[rule.code]}).findings[0]
        for one in asked
    }
    for outcome in (Outcome.UNDECIDED, Outcome.FAILED):
        broken = [month for month, finding in found.items() if finding.outcome is outcome]
        if broken:
            told = found[broken[-1]]
            return replace(told, arrived=f"{len(broken)} of {len(asked)} months; {broken[-1]}: {told.arrived}")
    return rule.found(Outcome.PASSED, f"as expected in {len(asked)} months")


def _counts(months: Months, rules: Iterable[Rule]) -> dict[str, Count]:
    found = {}
    for rule in rules:
        count = add_counts(month.expected[rule.code] for month in months.summaries)
        if rule.type == "expect_column_values_to_be_unique":
            count = replace(count, unexpected=months.repeated.get(rule.columns[0], 0))
        found[rule.code] = count
    return found


def _on_whole_columns(judges: Judges, as_of: date, columns: Columns) -> "tuple[Expected, tuple[Aside, ...]]":
    from fraud_ml.validation.expectations import Expected, UnknownPeople, judge_expectations

    contract, suite = judges.contract, judges.suite
    places = [place for place, rule in enumerate(suite.rules) if not is_counted(rule)]
    if not places:
        return Expected((), {}, {}), ()
    rules = [suite.rules[place] for place in places]
    content = {**suite.content, "expectations": [suite.content["expectations"][place] for place in places]}
    claims = columns(_needed(rules, judges))
    unknown, people = unknown_people(claims, contract), None
    if unknown is not None:
        people = UnknownPeople(frozenset(column.name for column in contract.personal), unknown)
    found = judge_expectations(claims, Suite(suite.path, content, tuple(rules)), as_of=as_of, unknown_people=people)
    keys = claims[contract.key].tolist() if contract.key in claims.columns else [None] * len(claims)
    aside = [Aside(digest_key(keys[row]), (code,)) for code, rows in found.rows.items() for row in rows]
    return found, tuple(aside)


def _needed(rules: Sequence[Rule], judges: Judges) -> list[str] | None:
    """Return the columns that the rules look at, or None: all of them."""
    if any(not rule.columns or rule.kwargs.get("row_condition") is not None for rule in rules):
        return None
    erasure = judges.contract.erasure
    named = [name for rule in rules for name in rule.columns]
    return list(dict.fromkeys([*named, judges.contract.key, *([erasure.subject] if erasure else [])]))
