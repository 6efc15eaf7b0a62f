"""Judge some event months of claims, and return what is to be kept of each: its partial."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Contract
from fraud_ml.errors import BadInput
from fraud_ml.validation.checks import EVENTS, count_checks, happened_until
from fraud_ml.validation.counting import Count, count_rules, is_counted, unique_columns
from fraud_ml.validation.describing import Description, describe_chunk
from fraud_ml.validation.partial import Aside, Partial, Summary
from fraud_ml.validation.profiling import EXAMPLES, Chunk, Profiled, RowRule, chunk_of, profile_chunk
from fraud_ml.validation.quarantine import digest_key
from fraud_ml.validation.rulebook.schema_text import read_text_format
from fraud_ml.validation.rules.rows import row_rules
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suite import SUITE_FILE, Rule, Suite, read_suite
from fraud_ml.validation.uniqueness import hashes_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Judges:
    """Everything that is asked of a month's claims: the contract, its suite, and the rules of rows."""

    contract: Contract
    suite: Suite
    folder: Path

    @cached_property
    def row_rules(self) -> tuple[RowRule, ...]:
        return row_rules(self.contract, self.suite.declared)

    @cached_property
    def counted(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.suite.rules if is_counted(rule))

    @cached_property
    def expectations(self) -> dict[str, Any]:
        from fraud_ml.validation.expectations import load_expectations  # heavy: great_expectations

        return load_expectations(self.suite)

    @cached_property
    def unique(self) -> tuple[str, ...]:
        """The columns whose values are compared over all months."""
        return tuple(dict.fromkeys((self.contract.key, *unique_columns(self.suite))))

    @cached_property
    def with_domain(self) -> frozenset[str]:
        return columns_with_domain(self.folder / SCHEMA_FILE)

    def is_about_people(self, rule: Rule) -> bool:
        personal = {column.name for column in self.contract.personal}
        return self.contract.erasure is not None and not personal.isdisjoint(rule.columns)


def read_judges(contract: Contract, rules: Path) -> Judges:
    """Return what `rules` (the folder of suite and schema) and the contract ask. Raises BadInput."""
    return Judges(contract, read_suite(rules / SUITE_FILE, contract), rules)


def judge_months(claims: "pd.DataFrame", judges: Judges, as_of: date) -> list[Partial]:
    """Return the partial of each event month of `claims` (a RangeIndex, at least one row), in the months' order.

    Rules about people's columns are counted on the claims of those who were not erased: erased is no finding.
    """
    chunk = chunk_of(claims, judges.contract)
    unknown = unknown_people(claims, judges.contract)
    known_ones = chunk if unknown is None else chunk.where(~unknown)
    with ThreadPoolExecutor(1) as beside:  # DuckDB computes while Great Expectations is loaded, and computes
        described = beside.submit(_described, chunk, known_ones, judges)
        expected, masks = _expected(chunk, known_ones, unknown, judges)
        found, descriptions = described.result()
    in_time = happened_until(chunk, as_of)
    masks[EVENTS] = ~in_time
    for rule in judges.row_rules:
        if rule.severity is Severity.QUARANTINE and found.rows.get(rule.name):
            masks[rule.code] = masks.get(rule.code, ~_all(chunk)) | _at(found.rows[rule.name], len(claims))
    digests = _Digests(claims, judges.contract.key)
    checks = count_checks(chunk, judges.contract)
    rows, late = chunk.counted(_all(chunk)), chunk.counted(~in_time)
    erased = chunk.counted(~_all(chunk) if unknown is None else unknown)
    aside = _aside(chunk, masks, digests)
    examples = _examples(chunk, judges.row_rules, found, digests)
    partials = []
    for place, month in enumerate(chunk.months):
        mine = claims[chunk.places == place] if len(chunk.months) > 1 else claims
        summary = Summary(
            month,
            rows[month],
            erased[month],
            late[month],
            checks[month],
            found.months[month],
            found.by_month[month],
            examples[month],
            expected[month],
            aside[month],
            descriptions[month],
        )
        partials.append(Partial(summary, {name: hashes_of(mine[name]) for name in judges.unique if name in mine}))
    return partials


def columns_with_domain(schema: Path) -> frozenset[str]:
    """Return the features of a TFDV schema that have a domain of words; of a wrong schema none: the worker tells it."""
    try:
        features = [feature for feature, _ in read_text_format(schema).messages("feature")]
    except (BadInput, OSError):
        return frozenset()
    with_domain = [one for one in features if one.text("domain") or one.message("string_domain")]
    return frozenset(name for one in with_domain if (name := one.text("name")))


def unknown_people(claims: "pd.DataFrame", contract: Contract) -> "NDArray[np.bool_] | None":
    """Return which claims are of people who were erased, or None: every landed row has a subject, so the others do."""
    if contract.erasure is None or contract.erasure.subject not in claims.columns:
        return None
    unknown: NDArray[np.bool_] = claims[contract.erasure.subject].isna().to_numpy(bool)
    return unknown if unknown.any() else None


# --- inside ---------------------------------------------------------------------------------------------------------


class _Digests:
    """The digests of the keys of rows, each computed once."""

    def __init__(self, claims: "pd.DataFrame", key: str) -> None:
        self._keys = claims[key] if key in claims.columns else None
        self._known: dict[int, str] = {}

    def of(self, row: int) -> str:
        if row not in self._known:
            self._known[row] = digest_key(None if self._keys is None else self._keys.iat[row])
        return self._known[row]


def _described(chunk: Chunk, known_ones: Chunk, judges: Judges) -> tuple[Profiled, dict[str, Description]]:
    found = profile_chunk(chunk, judges.contract, judges.row_rules)
    profiles = found.months
    if known_ones is not chunk:  # so rarely that counting these months twice costs nothing
        profiles = profile_chunk(known_ones, judges.contract, ()).months
    return found, describe_chunk(known_ones, judges.contract, profiles, judges.with_domain)


def _all(chunk: Chunk) -> "NDArray[np.bool_]":
    import numpy as np

    return np.ones(len(chunk.claims), bool)


def _at(rows: Sequence[int], length: int) -> "NDArray[np.bool_]":
    import numpy as np

    mask = np.zeros(length, bool)
    mask[list(rows)] = True
    return mask


def _expected(
    chunk: Chunk, known_ones: Chunk, unknown: "NDArray[np.bool_] | None", judges: Judges
) -> "tuple[dict[str, dict[str, Count]], dict[str, NDArray[np.bool_]]]":
    import numpy as np

    if unknown is None:
        return count_rules(chunk, judges.counted, judges.expectations)
    about = [rule for rule in judges.counted if judges.is_about_people(rule)]
    found, masks = count_rules(chunk, [rule for rule in judges.counted if rule not in about], judges.expectations)
    of_people, people_masks = count_rules(known_ones, about, judges.expectations)
    for code, mask in people_masks.items():
        masks[code] = np.zeros(len(chunk.claims), bool)
        masks[code][(~unknown).nonzero()[0][mask]] = True
    return {month: {**found[month], **of_people[month]} for month in chunk.months}, masks


def _aside(chunk: Chunk, masks: "dict[str, NDArray[np.bool_]]", digests: _Digests) -> dict[str, tuple[Aside, ...]]:
    codes: dict[int, list[str]] = {}
    for code, mask in sorted(masks.items()):
        for row in mask.nonzero()[0].tolist():
            codes.setdefault(row, []).append(code)
    found: dict[str, list[Aside]] = {month: [] for month in chunk.months}
    for row in sorted(codes):
        found[chunk.months[chunk.places[row]]].append(Aside(digests.of(row), tuple(codes[row])))
    return {month: tuple(sorted(rows)) for month, rows in found.items()}


def _examples(
    chunk: Chunk, rules: Sequence[RowRule], found: Profiled, digests: _Digests
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return for each month and rule the smallest digests of keys of rows that break it."""
    examples: dict[str, dict[str, tuple[str, ...]]] = {month: {} for month in chunk.months}
    for rule in rules:
        told: dict[str, list[str]] = {}
        for row in found.rows.get(rule.name, ()):
            told.setdefault(chunk.months[chunk.places[row]], []).append(digests.of(row))
        for month, some in told.items():
            examples[month][rule.name] = tuple(sorted(some)[:EXAMPLES])
    return examples
