"""Our own rules, one row each; `judge_rules` makes findings of them. A new rule is a function and a row here."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.rules import (
    categories,
    completeness,
    copies,
    exchange,
    labels,
    numbers,
    requests,
    spelling,
    tails,
    ties,
    values,
    volume,
)
from fraud_ml.validation.rules.broken import Broken

_AT_CALLER = "correct what callers send, or the source of the claims: one of the two means something else by the column"
_AT_SOURCE = "correct the source, or declare the change under `checks: {known_changes: …}` in contract.yaml"


def _whole_months(evidence: Evidence) -> str:
    return f"nothing else in {len(evidence.complete)} whole months"


@dataclass(frozen=True)
class Rule:
    """A rule over months; `judge` yields what broke it, worst first for each column."""

    code: str
    title: str
    expected: str
    judge: Callable[[Evidence], Iterable[Broken]]
    severity: Severity = Severity.STOP
    next_step: str = _AT_SOURCE
    looked_at: Callable[[Evidence], str] = _whole_months  # what is told where nothing broke it


RULES = (
    Rule(
        "DATA101",
        "Each month holds about as many claims as usual",
        "between half and twice of the months before, or of a year ago",
        volume.unusual_months,
        next_step="look for a delivery that is missing or came twice (`fraud-ml snapshot show`)",
    ),
    Rule("DATA111", "Values are missing as rarely as before", "a share missing as before", completeness.missing_more),
    Rule(
        "DATA114",
        "Values are missing where they were missing before",
        "no missing value where the column beside it (`checks: {go_together: …}`) always came with one",
        ties.newly_missing,
        next_step="look for a join that found nothing, or a default that stands for a missing value",
    ),
    Rule("DATA112", "Columns that vary go on varying", "more than one value", completeness.constant),
    Rule(
        "DATA121",
        "Categories were seen before, or are declared",
        "no other values than before, or than suite.json declares",
        categories.unseen,
    ),
    Rule("DATA122", "Usual categories go on arriving", "every category that was usual before", categories.vanished),
    Rule("DATA123", "No category was renamed or merged", "each category under its name of before", categories.renamed),
    Rule(
        "DATA126",
        "Columns of few values keep them few",
        "about as many values as before",
        values.exploded,
    ),
    Rule(
        "DATA127",
        "No two columns were exchanged",
        "each column nearer to its own past than to another column's",
        exchange.exchanged,
        next_step="compare the header of the delivery with the order in which its columns were written",
    ),
    Rule(
        "DATA124",
        "Shares of categories are as before",
        "a stability index of at most 0.25 beyond chance",
        categories.drifted,
    ),
    Rule(
        "DATA131",
        "Numbers are distributed as before",
        "a stability index of at most 0.25 beyond chance",
        numbers.drifted,
    ),
    Rule("DATA132", "Numbers are in the unit of before", "quartiles that stay where they were", numbers.unit_changed),
    Rule("DATA133", "No number is far beyond all others", "nothing far beyond the column's rest", numbers.outliers),
    Rule("DATA134", "The middle of a number's range stays", "a median within a tenth of before", numbers.middle_moved),
    Rule(
        "DATA135", "No single number is filled in", "no number that is far more frequent than before", tails.filled_in
    ),
    Rule(
        "DATA136",
        "Extreme numbers are as rare as before",
        "as few numbers beyond the usual ones as before",
        tails.thick,
    ),
    Rule("DATA137", "Numbers rank as before", "as often above the numbers of before as below them", tails.ranked),
    Rule("DATA145", "A category is written in one way", "one spelling, whatever the case", spelling.other_case),
    Rule(
        "DATA146",
        "Texts are as long as before",
        "no shorter text than before, and none much longer",
        spelling.other_length,
    ),
    Rule("DATA152", "Times keep their hour", "as few times at midnight as before", completeness.hours_lost),
    Rule(
        "DATA161",
        "No claim is told again under another key",
        "no rows that are equal in all but key and moment of recording",
        copies.copied,
        next_step="look for a delivery that came twice, or a join that multiplied rows",
    ),
    Rule(
        "DATA162",
        "No month is another month again",
        "features that are not counted alike in two months",
        copies.repeated,
        next_step="look for a month that was delivered again under other dates",
    ),
    Rule("DATA171", "Labels arrive for mature claims", "a labelled share as before", labels.stopped),
    Rule(
        "DATA172",
        "Frauds are recorded as before",
        "a positive share of at least a third of before",
        labels.positives_vanished,
        next_step="ask whether fraud was recorded; `fraud-ml cohort` names such months",
    ),
    Rule("DATA173", "Labels are not swapped", "a minority of positives", labels.swapped),
    Rule(
        "DATA176",
        "Frauds are no more frequent than ever",
        "a positive share of at most one and a half times that of any month before",
        labels.multiplied,
        next_step="ask whether labels were changed or exchanged, or whether other claims were looked at than before",
    ),
    Rule(
        "DATA174",
        "Labels do not follow the order of keys",
        "keys that say nothing about the label within a month",
        labels.sorted_by_label,
        next_step="ask how keys are given: they must not be given after the outcome",
    ),
    Rule(
        "DATA175",
        "No feature gives the label away",
        "features that leave some doubt",
        labels.given_away,
        next_step="declare the column `role: context`: it is known only after the claim",
    ),
    Rule(
        "DATA181",
        "Columns that go together still do",
        "pairs of `checks: {go_together: …}` that tell of each other as before",
        ties.loosened,
        next_step="look for a column that was sorted, shifted or joined apart from the others",
    ),
    Rule(
        "DATA191",
        "Callers send what claims tell",
        "a share missing in requests as in the newest claims",
        requests.unsent,
        Severity.WARN,
        "let callers send the column, or give it `role: context` if it is not known when a claim is scored",
        requests.looked_at,
    ),
    Rule(
        "DATA192",
        "Callers use the words of the claims",
        "no other words in requests than in the newest claims, and all that are usual there",
        requests.unknown_words,
        Severity.WARN,
        _AT_CALLER,
        requests.looked_at,
    ),
    Rule(
        "DATA193",
        "Callers' categories are as frequent as in the claims",
        "a stability index of at most 0.1 beyond chance, and no share that differs by 5 % or doubles",
        requests.shares_moved,
        Severity.WARN,
        _AT_CALLER,
        requests.looked_at,
    ),
    Rule(
        "DATA194",
        "Callers' numbers are distributed as in the claims",
        "a stability index of at most 0.1 beyond chance, and no number that is far more frequent",
        requests.numbers_moved,
        Severity.WARN,
        _AT_CALLER,
        requests.looked_at,
    ),
    Rule(
        "DATA195",
        "Callers' numbers are in the unit of the claims",
        "quartiles where those of the newest claims lie",
        requests.other_unit,
        Severity.WARN,
        _AT_CALLER,
        requests.looked_at,
    ),
)
CODES = frozenset(rule.code for rule in RULES)
OF_REQUESTS = frozenset(rule.code for rule in RULES if rule.looked_at is requests.looked_at)


def judge_rules(evidence: Evidence) -> list[Finding]:
    """Return a failed finding for each column that breaks a rule, and a passed one for each rule that none breaks.

    A rule that raises is undecided, which stops.
    """
    checks = evidence.contract.checks
    found: list[Finding] = []
    for rule in RULES:
        severity = Severity(checks.severity.get(rule.code, rule.severity))
        try:
            broken = list(rule.judge(evidence))
        except Exception as error:  # a message may quote values
            arrived = f"could not judge: {type(error).__name__}"
            found.append(
                Finding(
                    rule.code, rule.title, severity, Outcome.UNDECIDED, rule.expected, arrived, next_step=rule.next_step
                )
            )
            continue
        found += _failed(rule, severity, broken)
        if not broken:
            found.append(_passed(rule, severity, evidence))
    return found


def _failed(rule: Rule, severity: Severity, broken: Iterable[Broken]) -> Iterator[Finding]:
    for one in broken:
        yield Finding(
            rule.code,
            rule.title,
            Severity.WARN if one.warns else severity,
            Outcome.FAILED,
            expected=rule.expected,
            arrived=one.arrived,
            column=one.column,
            count=one.count,
            share=None if one.share is None else round(one.share, 6),
            next_step=rule.next_step,
            partition=one.month,
        )


def _passed(rule: Rule, severity: Severity, evidence: Evidence) -> Finding:
    return Finding(rule.code, rule.title, severity, Outcome.PASSED, rule.expected, rule.looked_at(evidence))
