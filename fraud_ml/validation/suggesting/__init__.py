"""Suggest rules from the months of an accepted snapshot: rules that learn, limits that people set.

limits.py      months -> limits: the formulas, and their sources
figures.py     what a month's partial tells of a rule
room.py        which months and columns are learned from, which words may be told
numbers.py     ranges of numbers; volumes.py: rows a month, by season
proposing.py   present rules with other limits, and new ones; schema.py the same for TFDV
trying.py      which past months a suggested rule would have stopped
editing.py     the files' text with those limits, everything else byte by byte as people wrote it
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fraud_ml.artifacts import Severity, SnapshotManifest, Verdict, Workspace, load
from fraud_ml.contract import CONTRACT_FILE
from fraud_ml.data.fold import verify_fold
from fraud_ml.data.subject_keys import read_keys
from fraud_ml.edits import Edit, text_of, write_edits
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.validation.months import table_of_fold
from fraud_ml.validation.partial import Summary
from fraud_ml.validation.partial_cache import PartialCache
from fraud_ml.validation.partition import Judges
from fraud_ml.validation.rulebook import check_rules
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suggesting.editing import edit_schema, edit_suite
from fraud_ml.validation.suggesting.limits import ENOUGH_TO_LEARN
from fraud_ml.validation.suggesting.proposing import propose
from fraud_ml.validation.suggesting.room import Room
from fraud_ml.validation.suggesting.schema import propose_schema
from fraud_ml.validation.suggesting.trying import Tried, try_rules
from fraud_ml.validation.suite import SUITE_FILE


@dataclass(frozen=True)
class Suggestion:
    """What is suggested for a dataset, from which months, what each rule would have stopped, and the files edited."""

    dataset: str
    as_of: str
    learned: tuple[str, ...]
    rules: tuple[Tried, ...]
    files: tuple[Edit, ...]

    @property
    def diff(self) -> str:
        return "".join(one.diff(f"expectations/{self.dataset}/{one.path.name}") for one in self.files)


def judged_months(workspace: Workspace, judges: Judges, cache: PartialCache | None) -> tuple[date, list[Summary]]:
    """Return the as-of date and the months of the workspace's accepted snapshot, oldest first.

    Months that the cache holds are not read. Raises NotAccepted unless the workspace's verdict accepts its snapshot,
    Unavailable when there is none, Tampered when claims or keys are not those that were judged.
    """
    manifest = load(SnapshotManifest, workspace.snapshot_manifest)
    contract = judges.contract
    if manifest.dataset != contract.dataset:
        raise BadInput(
            "the workspace holds claims of another dataset",
            expected=contract.dataset,
            arrived=manifest.dataset,
            next_step=f"fraud-ml pin {contract.dataset} AS_OF, then fraud-ml validate",
        )
    load(Verdict, workspace.validation_verdict).require_accepted(subject_digest=manifest.digest)
    folded = verify_fold(workspace.claims)
    if folded.snapshot_digest != manifest.digest:
        raise Tampered(f"{workspace.claims} is the fold of another snapshot", next_step="fraud-ml validate")
    keys = read_keys(workspace.subject_keys, contract, snapshot_digest=manifest.digest)
    as_of = date.fromisoformat(manifest.as_of)
    table = table_of_fold(workspace.claims, folded, contract, keys, rules=judges.folder, cache=cache)
    found = [partial.summary for partial in table.partials(judges, as_of)]
    return as_of, sorted(found, key=lambda one: one.month)


def suggest(
    summaries: Sequence[Summary],
    judges: Judges,
    as_of: date,
    *,
    begin: date | None = None,
    end: date | None = None,
    severity: Severity = Severity.WARN,
) -> Suggestion:
    """Return what the months suggest for the suite and the schema in `judges.folder`; nothing is written.

    summaries: all months of one accepted snapshot, as judged by `judges`. begin, end: learn from the months between
    them alone; all months are tried. severity: of new rules. The same months give the same bytes.
    Raises BadInput when fewer than ENOUGH_TO_LEARN months can be learned from, or no code is free.
    """
    room = Room(judges.contract, judges.suite, summaries, as_of, begin, end)
    if len(room.learned) < ENOUGH_TO_LEARN:
        raise BadInput(
            f"too few months of `{judges.contract.dataset}` can be learned from",
            expected=f"{ENOUGH_TO_LEARN} settled months of enough claims",
            arrived=str(len(room.learned)),
            next_step="take a longer time with --from and --to, or a later snapshot",
        )
    proposals = propose(room, severity)
    suite = judges.folder / SUITE_FILE
    before = text_of(suite)
    changes = {one.rule.index: one.changes for one in proposals if not one.is_new}
    files = [Edit(suite, before, edit_suite(before, changes, [one.content for one in proposals if one.is_new]))]
    schema, of_schema = judges.folder / SCHEMA_FILE, []
    if schema.is_file():
        of_schema = propose_schema(schema, room)
        fractions = {one.column: one.fraction for one in of_schema if one.fraction is not None}
        words = {one.column: one.words for one in of_schema if one.words}
        files.append(Edit(schema, text_of(schema), edit_schema(schema, fractions, words)))
    return Suggestion(
        judges.contract.dataset,
        as_of.isoformat(),
        tuple(one.month for one in room.learned),
        try_rules(proposals, of_schema, room, files[0].after),
        tuple(files),
    )


def write_suggestion(suggestion: Suggestion, rules: Path) -> None:
    """Replace the files of rules by the suggested ones, once `fraud-ml expectations check` passes on them.

    rules: the folder that they stand in. Raises BadInput, and writes nothing, where a rule cannot hold or a file was
    changed meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="fraud-ml-suggested-") as scratch:
        folder = Path(scratch) / suggestion.dataset
        folder.mkdir()
        (folder / CONTRACT_FILE).write_bytes((rules / CONTRACT_FILE).read_bytes())
        for one in suggestion.files:
            (folder / one.path.name).write_bytes(one.after.encode())
        problems = check_rules(suggestion.dataset, Path(scratch))
    if problems:
        first = problems[0]
        raise BadInput(
            f"the suggested rules of `{suggestion.dataset}` are not written: {first.code}, {Path(first.path).name}:"
            f"{first.line}: {first.what.replace(f'{folder}/', '')}",
            expected="rules that pass `fraud-ml expectations check`",
            arrived=f"{len(problems)} problem(s)",
            next_step=f"mend what `fraud-ml expectations check {suggestion.dataset}` names, then suggest again",
            codes=tuple(dict.fromkeys(problem.code for problem in problems)),
        )
    write_edits(suggestion.files)
