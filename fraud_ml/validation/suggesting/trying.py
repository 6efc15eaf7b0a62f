"""Which months of the past a suggested rule would have stopped: Great Expectations decides on each month's counts."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Severity
from fraud_ml.validation.counting import decide
from fraud_ml.validation.partial import Summary
from fraud_ml.validation.settled import settled_months
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suggesting.figures import count_of
from fraud_ml.validation.suggesting.proposing import Proposal
from fraud_ml.validation.suggesting.room import Room
from fraud_ml.validation.suggesting.schema import SchemaProposal
from fraud_ml.validation.suite import SUITE_FILE, Rule, read_suite
from fraud_ml.validation.weighing import months_asked


@dataclass(frozen=True)
class Tried:
    """A suggested rule, and the months (YYYY-MM) of all `tried` that break it, each judged alone.

    file, rule: which file, and the expectation's code or the schema's feature. changes: argument -> (before, after);
    of a set, the words that it gets. unusual: months that nothing was learned from. breaks_snapshot: whether the
    accepted claims together break it too; None of a rule of each month, and where their counts do not tell it.
    """

    file: str
    rule: str
    title: str
    column: str | None
    severity: str
    is_new: bool
    each_month: bool
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    tried: int = 0
    unusual: tuple[str, ...] = ()
    breaks_snapshot: bool | None = None


def try_rules(
    proposals: Sequence[Proposal], of_schema: Sequence[SchemaProposal], room: Room, suite: str
) -> tuple[Tried, ...]:
    """Return each suggestion with the months that it would have stopped. suite: the text with all suggestions."""
    from fraud_ml.validation.expectations import load_expectations  # heavy: great_expectations

    with tempfile.TemporaryDirectory(prefix="fraud-ml-suggested-") as scratch:
        path = Path(scratch) / SUITE_FILE
        path.write_bytes(suite.encode())
        read = read_suite(path, room.contract)
    loaded, rules = load_expectations(read), {rule.code: rule for rule in read.rules}
    found = [_tried(one, rules[one.rule.code], loaded[one.rule.code], room) for one in proposals]
    return (*found, *(_tried_of_schema(one, room) for one in of_schema))


# --- inside ---------------------------------------------------------------------------------------------------------


def _tried(proposal: Proposal, rule: Rule, expectation: Any, room: Room) -> Tried:
    months = _months(rule, room)
    counts = {one.month: count_of(rule, one) for one in months}
    judged = {month: decide(rule, expectation, count) for month, count in counts.items() if count is not None}
    whole = None if rule.each_month else room.whole(rule)
    return Tried(
        SUITE_FILE,
        rule.code,
        rule.title,
        rule.columns[0] if rule.columns else None,
        str(rule.severity),
        proposal.is_new,
        rule.each_month,
        _changes(proposal, rule),
        tuple(month for month, result in judged.items() if not result.success),
        len(judged),
        proposal.unusual,
        None if whole is None else not decide(rule, expectation, whole).success,
    )


def _changes(proposal: Proposal, rule: Rule) -> dict[str, tuple[Any, Any]]:
    before = dict.fromkeys(rule.kwargs.keys() - {"column"}) if proposal.is_new else proposal.before
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted(before):
        old, new = before[name], rule.kwargs[name]
        found[name] = (None, new[len(old or ()) :]) if isinstance(new, list) else (old, new)
    return found


def _tried_of_schema(proposal: SchemaProposal, room: Room) -> Tried:
    changes: dict[str, tuple[Any, Any]] = {"domain": (None, list(proposal.words))} if proposal.words else {}
    broken: list[str] = []
    tried = 0
    if proposal.known is not None and proposal.fraction is not None:
        changes["min_fraction"] = (proposal.before, proposal.fraction)
        for month in _months(proposal.known, room):
            count = count_of(proposal.known, month)
            if count is not None:
                tried += 1
                broken += [month.month] if count.considered - count.unexpected < proposal.fraction * count.rows else []
    title = f"the domain of {proposal.column}" if proposal.words else f"{proposal.column} is known"
    stop = str(Severity.STOP)
    told = (changes, tuple(broken), tried, proposal.unusual)
    return Tried(SCHEMA_FILE, proposal.column, title, proposal.column, stop, False, False, *told)


def _months(rule: Rule, room: Room) -> Sequence[Summary]:
    if rule.each_month:
        return months_asked(rule, room.summaries, room.as_of)
    settled = settled_months({one.month: one.rows for one in room.summaries}, room.as_of)
    return [one for one in room.summaries if one.month in settled]
