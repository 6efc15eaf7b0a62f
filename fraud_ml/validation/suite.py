"""What a dataset's suite.json asks: its expectations as rules with a code, checked against the contract.

Light: Great Expectations itself reads the same file in `expectations.py`, but not before it is needed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract
from fraud_ml.errors import BadInput

SUITE_FILE = "suite.json"
SNAPSHOT_TIMES = ("event_time", "recorded_at")  # computed by the contract's expressions, beside its columns
_CODE = re.compile(r"GX\d{3}")
NEARLY_ALL = 0.9  # a set that fewer values need to be in is no domain


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite. Its code, title, severity and next step stand in the expectation's `meta`.

    each_month: it is asked of every event month that is settled, not of all claims at once; of: only of these months of
    the year (1 to 12), or of all when empty. In `meta`: `"each": "month", "of": [1, 2]`.
    """

    index: int
    code: str
    title: str
    severity: Severity
    next_step: str
    type: str
    kwargs: Mapping[str, Any]
    each_month: bool = False
    of: tuple[int, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        named = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        listed = [*self.kwargs.get("column_list", ()), *self.kwargs.get("column_set", ())]
        return tuple(name for name in [*named, *listed] if name is not None)

    @property
    def expected(self) -> str:
        """Return type, arguments and share in words; a set is told by its size."""
        told = ", ".join(f"{key}: {_told(value)}" for key, value in self.kwargs.items() if key not in _SAID_ELSEWHERE)
        mostly = self.kwargs.get("mostly", 1.0)
        share = f" in at least {mostly * 100:g} % of the values" if mostly != 1.0 else ""
        return self.type + (f" ({told})" if told else "") + share + self._months

    @property
    def is_domain(self) -> bool:
        """Whether it lists the words that nearly all values of a column are one of."""
        in_set = self.type == "expect_column_values_to_be_in_set" and not self.each_month
        return in_set and self.kwargs.get("mostly", 1.0) >= NEARLY_ALL

    @property
    def _months(self) -> str:
        if not self.each_month:
            return ""
        return f", in each month {', '.join(map(str, self.of))} of the year" if self.of else ", in each month"

    def found(self, outcome: Outcome, arrived: str, *, count: int | None = None, share: float | None = None) -> Finding:
        return Finding(
            code=self.code,
            title=self.title,
            severity=self.severity,
            outcome=outcome,
            expected=self.expected,
            arrived=arrived,
            column=", ".join(self.columns) or None,
            count=count,
            share=share,
            next_step="" if outcome is Outcome.PASSED else self.next_step,
        )


_SAID_ELSEWHERE = {"column", "column_A", "column_B", "column_list", "column_set", "mostly"}


def _told(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Suite:
    """A suite file: `content` is what Great Expectations loads, `rules` the same expectations in the same order."""

    path: Path
    content: Mapping[str, Any]
    rules: tuple[Rule, ...]

    @property
    def declared(self) -> dict[str, frozenset[str]]:
        """Return for each column with a domain the texts that its rules list."""
        listed = [rule for rule in self.rules if rule.is_domain]
        return {
            name: frozenset().union(
                *(map(str, rule.kwargs.get("value_set") or ()) for rule in listed if name in rule.columns)
            )
            for name in dict.fromkeys(name for rule in listed for name in rule.columns)
        }

    def refuse(self, index: int, what: str, **facts: Any) -> BadInput:
        return BadInput(f"{self.path}: expectations[{index}]: {what}", index=index, **facts)


def read_suite(path: Path, contract: Contract) -> Suite:
    """Return the suite. Raises BadInput naming the file and the expectation's index (from 0) of whatever is wrong."""
    suite = load_suite(path)
    rules = tuple(rule_of(suite, index, contract) for index in range(len(suite.content["expectations"])))
    for first, again in repeated_codes(rules):
        raise refuse_repeated(suite, first, again)
    return Suite(path, suite.content, rules)


def load_suite(path: Path) -> Suite:
    """Return the file as it stands, its expectations not yet looked at (no rules). Raises BadInput."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="write it: copy that of another dataset") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not readable as text", expected="UTF-8", next_step="save it as UTF-8") from None
    except json.JSONDecodeError as broken:
        raise BadInput(
            f"{path}:{broken.lineno}: not valid JSON", arrived=broken.msg, next_step="mend the line", line=broken.lineno
        ) from None
    expectations = content.get("expectations") if isinstance(content, dict) else None
    if not isinstance(expectations, list) or not expectations or not content.get("name"):
        raise BadInput(f"{path}: not a suite", expected="an object with `name` and a filled list `expectations`")
    return Suite(path, content, ())


def rule_of(suite: Suite, index: int, contract: Contract) -> Rule:
    """Return one expectation as a rule. Raises BadInput; its fact `problem` is a code of `rulebook/problem.py`."""
    item = suite.content["expectations"][index]
    if not isinstance(item, dict) or not isinstance(item.get("type"), str) or not isinstance(item.get("kwargs"), dict):
        raise suite.refuse(index, "not an expectation", expected="`type`, `kwargs` and `meta`", problem="RULE002")
    meta = item.get("meta") or {}
    code = meta.get("code") if isinstance(meta, dict) else None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise suite.refuse(
            index,
            "no code",
            expected='meta: {"code": "GX" and three digits}',
            next_step="give it a free code",
            problem="RULE003",
        )
    if not meta.get("title"):
        raise suite.refuse(
            index,
            f"{code} has no title",
            next_step='add `"title"` to its meta: the rule in a few words',
            problem="RULE002",
        )
    known = [str(severity) for severity in Severity]
    if meta.get("severity") not in known:
        raise suite.refuse(
            index,
            f"{code} has no severity",
            expected=" or ".join(known),
            arrived=str(meta.get("severity")),
            problem="RULE005",
        )
    severity = Severity(meta["severity"])
    each_month, of = _months_of(suite, index, meta)
    told = meta["title"], severity, meta.get("next_step", "")
    rule = Rule(index, code, *told, item["type"], item["kwargs"], each_month, of)
    for name in rule.columns:
        if name not in (*contract.names, *SNAPSHOT_TIMES):
            raise suite.refuse(
                index,
                f"{code} names column `{name}`, which the contract lacks",
                expected="a column of contract.yaml",
                next_step="correct the name, or declare the column",
                column=name,
                problem="RULE009",
            )
    if severity is Severity.QUARANTINE and "mostly" in rule.kwargs:
        raise suite.refuse(
            index,
            f"{code} sets rows aside, and has `mostly`",
            expected="one of the two",
            next_step="remove `mostly`: how many rows may be set aside stands in params.yaml (max_quarantined_share)",
            problem="RULE006",
        )
    return rule


def _months_of(suite: Suite, index: int, meta: Mapping[str, Any]) -> tuple[bool, tuple[int, ...]]:
    """Return whether the rule is asked of each month, and of which months of the year."""
    each, of = meta.get("each"), meta.get("of", [])
    numbered = isinstance(of, list) and all(type(one) is int and 1 <= one <= 12 for one in of)
    if each not in (None, "month") or not numbered or (of and each is None):
        raise suite.refuse(
            index,
            f"{meta['code']} does not say which months it is asked of",
            expected='"each": "month", and perhaps "of": a list of months of the year, 1 to 12',
            next_step="correct its meta, or remove both",
            problem="RULE013",
        )
    return each is not None, tuple(of)


def repeated_codes(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Yield each rule whose code an earlier one bears, after that one."""
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.code in seen:
            yield seen[rule.code], rule
        seen.setdefault(rule.code, rule)


def refuse_repeated(suite: Suite, first: Rule, again: Rule) -> BadInput:
    return suite.refuse(
        again.index,
        f"{again.code} is also the code of expectations[{first.index}]",
        next_step="give it a free code",
        problem="RULE004",
    )
