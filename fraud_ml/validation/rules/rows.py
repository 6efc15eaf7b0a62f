"""Rules of single rows: text that nobody typed on purpose, dates that cannot be, and the contract's own sense.

One row of a table each; the condition is SQL, so that DuckDB judges any number of claims without holding them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract, Kind, Role, Sense
from fraud_ml.data.duck import quoted, text
from fraud_ml.validation.profiling import Profiled, RowRule

_PLACEHOLDERS = (
    *("", "?", "-", "--", ".", "n/a", "#n/a", "na", "nan", "null", "nil", "none", "(null)", "undefined", "unknown"),
    *("missing", "tbd", "xxx", "xxxx", "test", "dummy", "#value!", "#ref!", "#div/0!"),
)
_HUGE = 1_000  # characters
_CONTROL = r"[\x00-\x1F\x7F\x{0080}-\x{009F}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{FEFF}]"  # C0, C1, marks of direction
_MOJIBAKE = r"\x{FFFD}|[\x{00C2}\x{00C3}][\x{0080}-\x{00BF}]|\x{00E2}\x{20AC}|\x{00EF}\x{00BF}"  # UTF-8 read as Latin
_FORMULA = r"^\s*([=@]\s*[A-Za-z+(\-]|[+\-].*[A-Za-z]['\s]*[(|!])"
_PLAIN = "[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*"  # as keys look: no mark objects to such a text unless it is huge
_BLANKS = r"^[\s\x{00A0}]+\S|\S[\s\x{00A0}]+$"


@dataclass(frozen=True)
class Mark:
    """A rule of single texts; `COLUMN` in `broken` is the column."""

    code: str
    title: str
    broken: str
    expected: str
    next_step: str


def _like(pattern: str) -> str:
    return f"regexp_matches(COLUMN, {text(pattern)})"


MARKS = (
    Mark(
        "DATA113",
        "No placeholder stands for a missing value",
        f"lower(trim(COLUMN)) IN ({', '.join(map(text, _PLACEHOLDERS))})",
        'a value, or an empty cell; not "?", "n/a" and the like',
        "declare the spelling under the column's `missing` in contract.yaml, or correct the source",
    ),
    Mark(
        "DATA141",
        "No text holds control characters",
        _like(_CONTROL),
        "printable text",
        "correct the export that wrote them",
    ),
    Mark(
        "DATA142",
        "No text is damaged by a wrong encoding",
        _like(_MOJIBAKE),
        "text that was read in the encoding it was written in",
        "correct `source: {encoding: …}` in contract.yaml, or the export",
    ),
    Mark(
        "DATA143",
        "No text is huge",
        f"length(COLUMN) > {_HUGE}",
        f"at most {_HUGE:,} characters",
        "look for a shifted column or a quote that was never closed",
    ),
    Mark(
        "DATA144",
        "No text is a spreadsheet's formula",
        _like(_FORMULA),
        "text that no spreadsheet runs",
        "correct the source; somebody may have typed it on purpose",
    ),
    Mark(
        "DATA147",
        "No text has blanks around it",
        _like(_BLANKS),
        "text without leading or trailing blanks",
        "trim it where it is exported",
    ),
)
_DATES = (
    "DATA151",
    "Dates can be",
    "declare an earlier `checks: {earliest: …}` in contract.yaml, or correct the source's default dates",
)
_DOMAIN = (
    "DATA125",
    "Categories are declared",
    "correct these claims at their source, or add the new category to suite.json and schema.pbtxt",
)
_CODES = (*(mark.code for mark in MARKS), _DOMAIN[0], _DATES[0])


def row_rules(contract: Contract, declared: Mapping[str, frozenset[str]]) -> tuple[RowRule, ...]:
    """Return the rules of rows over the contract's columns, text that is declared counting as right."""
    return (
        *_of_text(contract, declared),
        *_of_domains(contract, declared),
        *_of_dates(contract),
        *map(_of_sense, contract.checks.sense),
    )


def row_findings(
    contract: Contract,
    rules: tuple[RowRule, ...],
    found: Profiled,
    rows: int,
    examples: Mapping[str, tuple[str, ...]],
) -> Iterator[Finding]:
    """Yield a failed finding for each rule of rows that some row breaks, and a passed one for each other code.

    examples: a rule's name -> digests of the keys of some rows that break it.
    """
    for code in (*_CODES, *(rule.code for rule in contract.checks.sense)):
        mine = [rule for rule in rules if rule.code == code]
        asked = [rule for rule in mine if rule.name in found.broken]
        for rule in mine:
            if rule.name not in found.broken and code.startswith("SENSE"):
                yield _finding(rule, Outcome.UNDECIDED, "could not judge: a column is absent or of another kind")
        broken = [rule for rule in asked if found.broken[rule.name]]
        for rule in broken:
            count = found.broken[rule.name]
            share = count / rows
            within = "" if share > rule.tolerated_share else f", within the tolerated {rule.tolerated_share:.2%}"
            outcome = Outcome.PASSED if within else Outcome.FAILED
            told = _finding(rule, outcome, f"{count:,} of {rows:,} rows ({share:.2%}){within}", count, share)
            yield replace(told, examples=examples.get(rule.name, ()))
        if asked and not broken:
            yield _finding(asked[0], Outcome.PASSED, "no row", column=None)


def _finding(
    rule: RowRule,
    outcome: Outcome,
    arrived: str,
    count: int | None = None,
    share: float | None = None,
    column: str | None = "",
) -> Finding:
    return Finding(
        rule.code,
        rule.title,
        rule.severity,
        outcome,
        rule.expected,
        arrived,
        column=rule.column if column == "" else column,
        count=count,
        share=None if share is None else round(share, 6),
        next_step="" if outcome is Outcome.PASSED else rule.next_step,
    )


def _of_text(contract: Contract, declared: Mapping[str, frozenset[str]]) -> Iterator[RowRule]:
    for column in contract.columns:
        if column.kind is not Kind.CATEGORY:
            continue
        known = {*declared.get(column.name, ()), *column.nothing}
        if column.role is Role.LABEL:
            known |= {*contract.label.positive, *contract.label.negative}
        if contract.erasure and column.name in contract.erasure.mentions:
            known |= {*contract.erasure.mentions[column.name].nobody}
        name = quoted(column.name)
        allowed = f" AND {name} NOT IN ({', '.join(map(text, sorted(known)))})" if known else ""
        for mark in MARKS:
            yield RowRule(
                mark.code,
                mark.title,
                Severity.QUARANTINE,
                column.name,
                mark.broken.replace("COLUMN", name) + allowed,
                mark.expected,
                mark.next_step,
                of_text=True,
                only_where=f"length({name}) > {_HUGE} OR NOT regexp_full_match({name}, {text(_PLAIN)})",
            )


def _of_domains(contract: Contract, declared: Mapping[str, frozenset[str]]) -> Iterator[RowRule]:
    code, title, next_step = _DOMAIN
    for column in contract.columns:
        known = declared.get(column.name)
        if known and column.kind is Kind.CATEGORY and column.role is not Role.LABEL:
            name = quoted(column.name)
            yield RowRule(
                code,
                title,
                Severity.QUARANTINE,
                column.name,
                f"{name} NOT IN ({', '.join(map(text, sorted(known)))})",
                f"one of the {len(known)} values that suite.json lists",
                next_step,
                of_text=True,
            )


def _of_dates(contract: Contract) -> Iterator[RowRule]:
    code, title, next_step = _DATES
    earliest = contract.checks.earliest
    timestamps = [column.name for column in contract.columns if column.kind is Kind.TIMESTAMP]
    for name in dict.fromkeys([*timestamps, "event_time", "recorded_at"]):
        yield RowRule(
            code,
            title,
            Severity.QUARANTINE,
            name,
            f"{quoted(name)} < DATE '{earliest}' OR {quoted(name)} >= DATE '2100-01-01'",
            f"from {earliest} on, and before 2100",
            next_step,
        )


def _of_sense(rule: Sense) -> RowRule:
    if rule.at_most:
        first, second = map(quoted, rule.at_most)
        broken = f"{first} > {second} * {rule.factor!r}"
        expected = f"{rule.at_most[0]} at most {rule.factor:g} × {rule.at_most[1]}"
    elif rule.in_order:
        pairs = zip(rule.in_order, rule.in_order[1:], strict=False)
        broken = " OR ".join(f"coalesce({quoted(a)} > {quoted(b)}, false)" for a, b in pairs)
        expected = " ≤ ".join(rule.in_order)
    elif rule.equal:
        first, second = map(quoted, rule.equal)
        broken = f"abs({first} - {second}) > 0.005 + 1e-9 * abs({second})"
        expected = " = ".join(rule.equal)
    elif rule.holds:
        held = [f"coalesce({quoted(n)} NOT IN ({', '.join(map(text, w))}), true)" for n, w in rule.holds.items()]
        broken = " OR ".join(held)
        expected = " and ".join(f"{name} is {' or '.join(words)}" for name, words in rule.holds.items())
    elif rule.begins:
        broken = " OR ".join(
            "NOT (" + " OR ".join(f"starts_with({quoted(name)}, {text(one)})" for one in beginnings) + ")"
            for name, beginnings in rule.begins.items()
        )
        expected = " and ".join(f"{name} begins with {' or '.join(words)}" for name, words in rule.begins.items())
    else:
        assert rule.absent is not None
        broken = f"{quoted(rule.absent)} IS NOT NULL"
        expected = f"no {rule.absent}"
    where = [f"{quoted(name)} IN ({', '.join(map(text, words))})" for name, words in rule.where.items()]
    if rule.where:
        expected += " where " + " and ".join(f"{name} is {' or '.join(words)}" for name, words in rule.where.items())
    condition = " AND ".join([f"({broken})", *where])
    severity = Severity(rule.severity)
    column = rule.columns[0]
    return RowRule(
        rule.code,
        rule.title,
        severity,
        column,
        condition,
        expected,
        rule.next_step,
        tolerated_share=rule.tolerated_share,
        needs=rule.columns,
    )
