"""What the months suggest for schema.pbtxt: how often a column is known, and words that a domain lacks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Kind
from fraud_ml.validation.rulebook.schema_rules import schema_problems
from fraud_ml.validation.rulebook.suite_rules import Placed
from fraud_ml.validation.suggesting.figures import KNOWN
from fraud_ml.validation.suggesting.proposing import changed_rule
from fraud_ml.validation.suggesting.room import Room
from fraud_ml.validation.suite import Rule


@dataclass(frozen=True)
class SchemaProposal:
    """Another `min_fraction` of a feature (before -> fraction), or words that its domain gets.

    known: the rule of the suite that asks the same.
    """

    column: str
    before: float | None = None
    fraction: float | None = None
    words: tuple[str, ...] = ()
    known: Rule | None = None
    unusual: tuple[str, ...] = ()


def propose_schema(path: Path, room: Room) -> list[SchemaProposal]:
    """Return what is suggested, in the schema's order; nothing for an unreadable schema, as the check tells."""
    found: list[SchemaProposal] = []
    _, schema = schema_problems(path, room.contract, Placed(room.suite.path))
    for feature in schema.features:
        if room.column(feature.name) is None or feature.is_deprecated:
            continue
        if feature.known_share:
            found += _fraction(feature.name, feature.known_share, room)
        if feature.domain is not None and room.may_tell_values(feature.name, Kind.CATEGORY):
            lacking = tuple(word for word in room.words(feature.name) if word not in feature.domain)
            found += [SchemaProposal(feature.name, words=lacking)] if lacking else []
    return found


# --- inside ---------------------------------------------------------------------------------------------------------


def _fraction(name: str, share: float, room: Room) -> Iterator[SchemaProposal]:
    asked = Rule(-1, "", "", Severity.STOP, "", KNOWN, {"column": name, "mostly": share})
    proposal = changed_rule(asked, room)
    if proposal is not None:
        fraction = float(proposal.rule.kwargs["mostly"])
        rule = replace(asked, kwargs={**asked.kwargs, "mostly": fraction})
        yield SchemaProposal(name, share, fraction, known=rule, unusual=proposal.unusual)
