"""What a dataset's suite.json asks: its expectations as rules with a code, checked against the contract.

Light: Great Expectations itself reads the same file in `expectations.py`, but not before it is needed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract
from fraud_ml.errors import BadInput

SUITE_FILE = "suite.json"
SNAPSHOT_TIMES = ("event_time", "recorded_at")  # computed by the contract's expressions, beside its columns
_CODE = re.compile(r"GX\d{3}")
_NEARLY_ALL = 0.9  # a set that fewer values need to be in is no domain


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite. Its code, title, severity and next step stand in the expectation's `meta`."""

    index: int
    code: str
    title: str
    severity: Severity
    next_step: str
    type: str
    kwargs: Mapping[str, Any]

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
        return self.type + (f" ({told})" if told else "") + share

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
        listed = [
            rule
            for rule in self.rules
            if rule.type == "expect_column_values_to_be_in_set" and rule.kwargs.get("mostly", 1.0) >= _NEARLY_ALL
        ]
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
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="write it: copy that of another dataset") from None
    except json.JSONDecodeError as broken:
        raise BadInput(
            f"{path}:{broken.lineno}: not valid JSON", arrived=broken.msg, next_step="mend the line"
        ) from None
    expectations = content.get("expectations") if isinstance(content, dict) else None
    if not isinstance(expectations, list) or not expectations or not content.get("name"):
        raise BadInput(f"{path}: not a suite", expected="an object with `name` and a filled list `expectations`")
    suite = Suite(path, content, ())
    rules = tuple(_rule(suite, index, item, contract) for index, item in enumerate(expectations))
    _refuse_repeated_codes(suite, rules)
    return Suite(path, content, rules)


def _rule(suite: Suite, index: int, item: Any, contract: Contract) -> Rule:
    if not isinstance(item, dict) or not isinstance(item.get("type"), str) or not isinstance(item.get("kwargs"), dict):
        raise suite.refuse(index, "not an expectation", expected="`type`, `kwargs` and `meta`")
    meta = item.get("meta") or {}
    code = meta.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise suite.refuse(
            index, "no code", expected='meta: {"code": "GX" and three digits}', next_step="give it a free code"
        )
    if not meta.get("title"):
        raise suite.refuse(
            index, f"{code} has no title", next_step='add `"title"` to its meta: the rule in a few words'
        )
    known = [str(severity) for severity in Severity]
    if meta.get("severity") not in known:
        raise suite.refuse(
            index, f"{code} has no severity", expected=" or ".join(known), arrived=str(meta.get("severity"))
        )
    severity = Severity(meta["severity"])
    rule = Rule(index, code, meta["title"], severity, meta.get("next_step", ""), item["type"], item["kwargs"])
    for name in rule.columns:
        if name not in (*contract.names, *SNAPSHOT_TIMES):
            raise suite.refuse(
                index,
                f"{code} names column `{name}`, which the contract lacks",
                expected="a column of contract.yaml",
                next_step="correct the name, or declare the column",
                column=name,
            )
    if severity is Severity.QUARANTINE and "mostly" in rule.kwargs:
        raise suite.refuse(
            index,
            f"{code} sets rows aside, and has `mostly`",
            expected="one of the two",
            next_step="remove `mostly`: how many rows may be set aside stands in params.yaml (max_quarantined_share)",
        )
    return rule


def _refuse_repeated_codes(suite: Suite, rules: tuple[Rule, ...]) -> None:
    seen: dict[str, int] = {}
    for rule in rules:
        if rule.code in seen:
            raise suite.refuse(
                rule.index,
                f"{rule.code} is also the code of expectations[{seen[rule.code]}]",
                next_step="give it a free code",
            )
        seen[rule.code] = rule.index
