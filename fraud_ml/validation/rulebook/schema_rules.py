"""schema.pbtxt against contract.yaml: the columns, their types, how often they are known, and what they may hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.contract import Column, Contract, Kind
from fraud_ml.errors import BadInput
from fraud_ml.validation.rulebook.limits import Range
from fraud_ml.validation.rulebook.problem import Problem
from fraud_ml.validation.rulebook.schema_text import Message, read_text_format
from fraud_ml.validation.rulebook.suite_rules import Placed

_TYPES = {Kind.CATEGORY: "BYTES", Kind.NUMBER: "FLOAT", Kind.TIMESTAMP: "FLOAT"}  # as claims reach TFDV


@dataclass(frozen=True)
class Feature:
    """What the schema says of one column."""

    name: str
    line: int
    type: str
    known_share: float
    domain: frozenset[str] | None
    domain_share: float
    range: Range | None
    is_deprecated: bool


@dataclass(frozen=True)
class Schema:
    path: Path
    features: tuple[Feature, ...] = ()


def schema_problems(path: Path, contract: Contract, suite: Placed) -> tuple[list[Problem], Schema]:
    """Return what contradicts the contract, and the features, which can be held against the suite."""
    try:
        content = read_text_format(path)
    except BadInput as broken:
        return [Problem.of_error("RULE001", broken, path)], Schema(path)
    found: list[Problem] = []
    features = tuple(_features(content, path, found))
    schema = Schema(path, features)
    found += _columns(schema, contract)
    columns = {column.name: column for column in contract.columns}
    for feature in features:
        if feature.name in columns and not feature.is_deprecated:
            found += _of_column(feature, columns[feature.name], contract, path)
    found += _domains(schema, contract, suite)
    return found, schema


def _features(content: Message, path: Path, found: list[Problem]) -> Iterator[Feature]:
    domains = {one.text("name"): frozenset(_words(one)) for one, _ in content.messages("string_domain")}
    for one, line in content.messages("feature"):
        steps = one.message("path")
        name = one.text("name") or (steps.text("step") if steps else None)
        if name is None:
            found.append(Problem("RULE001", str(path), line, "a feature without a name", next_step="name its column"))
            continue
        own, shared = one.message("string_domain"), one.text("domain")
        if shared is not None and shared not in domains:
            told = f"feature `{name}` has the domain `{shared}`, which the file lacks"
            found.append(Problem("RULE025", str(path), line, told, next_step="add a `string_domain` of that name"))
        presence, constraints = one.message("presence"), one.message("distribution_constraints")
        mass = constraints.number("min_domain_mass") if constraints else None
        numbers = one.message("float_domain") or one.message("int_domain")
        known = presence.number("min_fraction") if presence else None
        yield Feature(
            name,
            line,
            one.text("type") or "",
            known or 0.0,
            frozenset(_words(own)) if own else domains.get(shared),
            1.0 if mass is None else mass,
            Range(numbers.number("min"), numbers.number("max")) if numbers else None,
            one.text("deprecated") == "true" or one.text("lifecycle_stage") == "DEPRECATED",
        )


def _words(domain: Message) -> Iterator[str]:
    return (one.value for one in domain.all("value") if isinstance(one.value, str))


def _columns(schema: Schema, contract: Contract) -> Iterator[Problem]:
    path, seen = str(schema.path), set[str]()
    for feature in schema.features:
        if feature.name in seen:
            told = f"feature `{feature.name}` is described twice"
            yield Problem("RULE021", path, feature.line, told, next_step="keep one of the two", column=feature.name)
        elif feature.name not in contract.names:
            told = f"feature `{feature.name}` is no column of the contract"
            step = "remove it, or declare the column in contract.yaml"
            yield Problem("RULE022", path, feature.line, told, next_step=step, column=feature.name)
        seen.add(feature.name)
    for name in contract.names:
        if name not in seen:
            told = f"no feature describes column `{name}` of the contract"
            yield Problem("RULE021", path, 1, told, next_step=f'add feature {{ name: "{name}" … }}', column=name)


def _of_column(feature: Feature, column: Column, contract: Contract, path: Path) -> Iterator[Problem]:
    name, where = feature.name, (str(path), feature.line)
    wanted = _TYPES[column.kind]
    if feature.type != wanted:
        told = f"feature `{name}` is of type {feature.type or '(none)'}, and the contract declares a {column.kind}"
        step = "correct the type here, or `kind` in contract.yaml"
        yield Problem("RULE023", *where, told, f"type: {wanted}", step, name)
    if name == contract.key and feature.known_share < 1:
        told = f"feature `{name}` may be missing, and it is the key"
        yield Problem("RULE024", *where, told, "presence { min_fraction: 1.0 }", "raise it", name)
    if feature.known_share >= 1 and (column.missing or _is_rightly_missing(name, contract)):
        told = f"feature `{name}` must always be known, and the contract says that it may not be"
        yield Problem("RULE024", *where, told, "presence { min_fraction: … } below 1", "lower it", name)
    if feature.range is not None and feature.range.is_empty:
        yield Problem("RULE011", *where, f"feature `{name}` has a domain that holds nothing", "min up to max", "", name)
    if feature.domain is not None and column.kind is not Kind.CATEGORY:
        told = f"feature `{name}` has a domain of texts, and the contract declares a {column.kind}"
        yield Problem("RULE025", *where, told, "no `domain`", "remove the domain, or correct `kind`", name)


def _is_rightly_missing(name: str, contract: Contract) -> bool:
    """Say whether the contract says that a claim may have no value there: nobody looked, so there is no label."""
    return name == contract.label.column and contract.label.investigation is not None


def _domains(schema: Schema, contract: Contract, suite: Placed) -> Iterator[Problem]:
    """Yield features whose domain lacks what contract or suite declare as right."""
    declared: dict[str, list[tuple[str, frozenset[str]]]] = {
        contract.label.column: [
            ("`label` of the contract", frozenset((*contract.label.positive, *contract.label.negative)))
        ]
    }
    for rule in suite.rules:
        if rule.is_domain:
            words = frozenset(map(str, rule.kwargs.get("value_set") or ()))
            told = f"{rule.code} ({suite.path}:{suite.line(rule)})"
            declared.setdefault(rule.columns[0], []).append((told, words))
    for feature in schema.features:
        for who, words in declared.get(feature.name, ()) if feature.domain is not None else ():
            lacking = words - (feature.domain or frozenset())
            if lacking and lacking != words:  # nothing in common is a conflict of two rules (`conflicts.py`)
                yield Problem(
                    "RULE025",
                    str(schema.path),
                    feature.line,
                    f"the domain of feature `{feature.name}` lacks {len(lacking)} of the {len(words)} values of {who}",
                    expected="every value that is declared elsewhere",
                    next_step="add them to the domain, or remove them there",
                    column=feature.name,
                )
