"""The rules that the months suggest: present rules with other limits, and rules that are not there yet.

A present rule loosens only where the accepted claims break it, and tightens only where that takes a fifth of its room.
What it says besides stays; rules that set rows aside, and rules of other types, are never touched. Of a column that
follows the handling of a claim (context) only how often it is known and its words are learned, never shares or numbers.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Kind
from fraud_ml.errors import BadInput
from fraud_ml.validation.counting import Count, is_counted
from fraud_ml.validation.suggesting.figures import BETWEEN, IN_SET, KNOWN, MEAN, NOT_IN_SET, ROW_COUNT
from fraud_ml.validation.suggesting.limits import Interval, Limits, rounded_down, rounded_up, share_down, share_interval
from fraud_ml.validation.suggesting.numbers import mean_limits, range_limits, whole_range
from fraud_ml.validation.suggesting.room import Room
from fraud_ml.validation.suggesting.volumes import volume_limits
from fraud_ml.validation.suite import NEARLY_ALL, Rule

WORTH = 0.2  # share of a rule's room that a tightening takes at least
_FIRST_CODE = 600
_RARE, _TINY = 0.1, 0.01  # shares: a rarer word is kept from growing, a tiny one may vanish
_MOSTLY = 0.99  # of the numbers of a month lie in a suggested range
_EDGE = 0.05  # a number is known to its bucket, 4 % wide
_EMPTY = "find out why the column arrives empty, and land the corrected claims"
_SHIFTED = "compare the month with those before; where the change is real, run `fraud-ml suggest-expectations` again"


@dataclass(frozen=True)
class Proposal:
    """A rule as suggested; `before` are the arguments that it changes, as they stand (None: not there)."""

    rule: Rule
    is_new: bool
    before: Mapping[str, Any] = field(default_factory=dict)
    unusual: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, Any]:
        return {name: self.rule.kwargs[name] for name in self.before}

    @property
    def content(self) -> dict[str, Any]:
        """Return the rule as suite.json has it."""
        rule = self.rule
        meta: dict[str, Any] = {"code": rule.code, "title": rule.title, "severity": str(rule.severity)}
        meta |= {"next_step": rule.next_step}
        if rule.each_month:
            meta |= {"each": "month"} | ({"of": list(rule.of)} if rule.of else {})
        return {"type": rule.type, "kwargs": dict(rule.kwargs), "meta": meta}


def propose(room: Room, severity: Severity) -> list[Proposal]:
    """Return the changed rules in the suite's order, then the new ones, which get `severity` and free codes.

    Raises BadInput when no code is free.
    """
    changed = [found for rule in room.suite.rules if (found := changed_rule(rule, room))]
    present = {_place(rule) for rule in room.suite.rules}
    new = [found for found in _new(room) if _place(found[0]) not in present]
    used = [int(rule.code[2:]) for rule in room.suite.rules]
    first = max([_FIRST_CODE, *used]) + 1
    if first + len(new) > 1000:
        raise BadInput("no code is left for new rules", expected="GX601 to GX999", next_step="remove learned rules")
    numbered = [
        Proposal(replace(rule, code=f"GX{first + place}", severity=severity), is_new=True, unusual=limits.unusual)
        for place, (rule, limits) in enumerate(new)
    ]
    return [*changed, *numbered]


# --- present rules --------------------------------------------------------------------------------------------------


def changed_rule(rule: Rule, room: Room) -> Proposal | None:
    """Return the rule with the limits that the months suggest, or None where it stays as it is."""
    if rule.severity is Severity.QUARANTINE or not is_counted(rule):
        return None
    if rule.type == ROW_COUNT:
        return _with_volume(rule, room) if rule.each_month else None
    name = rule.columns[0] if len(rule.columns) == 1 else ""
    if rule.type == KNOWN and room.column(name) is not None:
        return _with_share(rule, room, rule)
    if rule.type in (IN_SET, NOT_IN_SET) and room.may_tell_values(name, Kind.CATEGORY):
        is_settled = room.is_feature(name) or rule.is_domain
        return _with_share(rule, room, _with_words(rule, room, name)) if is_settled else None
    if rule.type in (BETWEEN, MEAN) and room.is_feature(name) and room.may_tell_values(name, Kind.NUMBER):
        return _with_range(rule, room)
    return None


def _with_words(rule: Rule, room: Room, name: str) -> Rule:
    """Return a domain with the words that it lacks, behind its own."""
    held = rule.kwargs.get("value_set")
    if not rule.is_domain or not isinstance(held, list):
        return rule
    more = [word for word in room.words(name) if word not in map(str, held)]
    return replace(rule, kwargs={**rule.kwargs, "value_set": [*held, *more]}) if more else rule


def _with_share(rule: Rule, room: Room, wider: Rule) -> Proposal | None:
    """Return the rule with the share of values that the months suggest, and with the set of `wider`."""
    limits, whole = room.limits(wider, _share_kept), room.whole(wider)
    before: dict[str, Any] = {}
    kwargs = dict(wider.kwargs)
    if wider is not rule:
        before["value_set"] = rule.kwargs["value_set"]
    if limits is not None and whole is not None and whole.considered:
        shown = limits.least if rule.each_month else _share_kept(whole).value
        old = float(rule.kwargs.get("mostly", 1.0))
        new = share_down(min(limits.low, shown))
        takes_room = 1 - new <= (1 - WORTH) * (1 - old)
        if new > 0 and ((old > shown and new < old) or (new > old and takes_room)):
            before["mostly"] = rule.kwargs.get("mostly")
            kwargs["mostly"] = new
    if not before:
        return None
    return Proposal(replace(rule, kwargs=kwargs), False, before, limits.unusual if limits else ())


def _share_kept(count: Count) -> Interval:
    return share_interval(count.considered - count.unexpected, count.considered)


def _with_range(rule: Rule, room: Room) -> Proposal | None:
    if rule.kwargs.get("strict_min") or rule.kwargs.get("strict_max"):
        return None
    found = mean_limits(rule, room) if rule.type == MEAN else range_limits(rule, room)
    if found is None:
        return None
    low, high = found
    low_end, high_end = rounded_down(low.low), rounded_up(high.high)
    least, most = low.least, high.most
    if not rule.each_month:
        whole = whole_range(rule, room)
        low_end, high_end = min(low_end, rounded_down(whole[0])), max(high_end, rounded_up(whole[1]))
        least, most = whole
    if low.least >= 0:
        low_end = max(low_end, 0.0)
    return _with_bounds(rule, (low_end, high_end), (least, most), {*low.unusual, *high.unusual})


def _with_volume(rule: Rule, room: Room) -> Proposal | None:
    limits = volume_limits(room).get(rule.of)
    if limits is None:
        return None
    ends = (float(rounded_down(limits.low)), float(rounded_up(limits.high)))
    return _with_bounds(rule, ends, (limits.least, limits.most), set(limits.unusual))


def _with_bounds(
    rule: Rule, new: tuple[float, float], shown: tuple[float, float], unusual: set[str]
) -> Proposal | None:
    """Return the rule with those of its bounds changed that are broken, or that become worth it."""
    old = [rule.kwargs.get(name) for name in ("min_value", "max_value")]
    if not all(bound is None or (isinstance(bound, int | float) and not isinstance(bound, bool)) for bound in old):
        return None
    known = [float(bound) for bound in old if bound is not None]
    room = max(known) - min(known) if len(known) == 2 else max(map(abs, known), default=0.0)
    if new[0] == new[1]:  # nothing varies, and so nothing says what is usual
        return None
    before = {}
    kwargs = dict(rule.kwargs)
    for name, present, bound, seen, sign in zip(("min_value", "max_value"), old, new, shown, (1, -1), strict=True):
        if present is None:
            continue
        is_broken = sign * (present - seen) > _EDGE * abs(present)
        inwards = sign * (bound - present)
        if (is_broken and inwards < 0) or inwards >= WORTH * room > 0:
            before[name] = present
            whole = math.floor(bound) if sign > 0 else math.ceil(bound)
            kwargs[name] = whole if isinstance(present, int) else _plain(bound)
    if not before:
        return None
    return Proposal(replace(rule, kwargs=kwargs), False, before, tuple(sorted(unusual)))


def _plain(number: float) -> int | float:
    return int(number) if number == int(number) else number


# --- new rules ------------------------------------------------------------------------------------------------------


def _place(rule: Rule) -> tuple[Any, ...]:
    """Return what two rules have in common that say the same with other limits."""
    is_share = rule.type in (IN_SET, NOT_IN_SET) and not rule.is_domain
    words = tuple(map(str, rule.kwargs.get("value_set") or ())) if is_share else ()
    months = (rule.each_month, rule.of) if rule.type == ROW_COUNT or is_share else ()
    of_rows = rule.severity is Severity.QUARANTINE and rule.type == BETWEEN
    return rule.type, rule.columns, words, months, of_rows


def _new(room: Room) -> Iterator[tuple[Rule, Limits]]:
    for of, limits in volume_limits(room).items():
        named = f"month {of[0]} of the year brings" if len(of) == 1 else "A month brings"
        rule = _rule(ROW_COUNT, "", f"{named[0].upper()}{named[1:]} as many claims as usual", of=of)
        bounds = {"min_value": _plain(rounded_down(limits.low)), "max_value": _plain(rounded_up(limits.high))}
        yield replace(rule, kwargs=bounds), limits
    for column in room.contract.columns:
        if room.column(column.name) is not None:
            yield from _share(room, _rule(KNOWN, column.name, f"{column.name} is known as often as ever", _EMPTY), 0.5)
    for column in room.described(Kind.CATEGORY):
        yield from _words(room, column.name)
    for column in room.described(Kind.NUMBER):
        rule = _rule(BETWEEN, column.name, f"{column.name} lies where it ever lay")
        found = range_limits(replace(rule, kwargs={**rule.kwargs, "mostly": _MOSTLY}), room)
        if found is not None:
            low = max(found[0].low, 0.0) if found[0].least >= 0 else found[0].low
            bounds = {"min_value": _plain(rounded_down(low)), "max_value": _plain(rounded_up(found[1].high))}
            unusual = tuple(sorted({*found[0].unusual, *found[1].unusual}))
            if bounds["min_value"] < bounds["max_value"]:  # else nothing varies
                kwargs = {**rule.kwargs, **bounds, "mostly": _MOSTLY}
                yield replace(rule, kwargs=kwargs), replace(found[0], unusual=unusual)


def _rule(kind: str, column: str, title: str, next_step: str = _SHIFTED, of: tuple[int, ...] = ()) -> Rule:
    kwargs = {"column": column} if column else {}
    return Rule(-1, "", title, Severity.WARN, next_step, kind, kwargs, each_month=True, of=of)


def _share(room: Room, rule: Rule, at_least: float) -> Iterator[tuple[Rule, Limits]]:
    limits = room.limits(rule, _share_kept)
    if limits is not None and (low := share_down(limits.low)) >= max(at_least, 0.001):
        yield replace(rule, kwargs={**rule.kwargs, "mostly": low}), limits


def _words(room: Room, name: str) -> Iterator[tuple[Rule, Limits]]:
    """Yield the domain, and for each word how often it comes at least; rare words come at most so often."""
    words = room.words(name)
    if not words:
        return
    domain = _rule(IN_SET, name, f"{name} is a known category", "correct the source, or add the new category")
    domain = replace(domain, kwargs={**domain.kwargs, "value_set": list(words)}, each_month=False)
    if (whole := room.whole(domain)) is not None and whole.considered:
        shown = _share_kept(whole).value
        for rule, limits in _share(room, domain, NEARLY_ALL):
            if (mostly := share_down(min(rule.kwargs["mostly"], shown))) >= NEARLY_ALL:
                yield replace(rule, kwargs={**rule.kwargs, "mostly": mostly}), limits
    for word in words:
        often = replace(
            _rule(IN_SET, name, f"{name} is {word} as often as ever"), kwargs={"column": name, "value_set": [word]}
        )
        yield from _share(room, often, _TINY)
        shown_by = room.limits(often, _share_kept)
        if shown_by is not None and shown_by.most < _RARE:
            title = f"{name} is {word} no more often than ever"
            yield from _share(room, replace(often, type=NOT_IN_SET, title=title), 0.0)
