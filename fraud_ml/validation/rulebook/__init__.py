"""Can the rules of a dataset hold at all? Suite, schema and contract are held against each other; no data is read.

problem.py         what can be wrong, as codes; each found with its file and line
suite_rules.py     expectations one by one: known, complete, on columns that there are
signatures.py      what Great Expectations itself says of an expectation and its arguments
limits.py          what an expectation allows, as sets, intervals and patterns that can be compared
conflicts.py       two rules of which at most one can hold
schema_text.py     schema.pbtxt as fields with their lines
schema_rules.py    the schema against contract and suite
"""

from pathlib import Path

from fraud_ml.contract import CONTRACT_FILE, load_contract
from fraud_ml.errors import BadInput
from fraud_ml.validation.rulebook.conflicts import conflicts
from fraud_ml.validation.rulebook.problem import Problem, sentence_of
from fraud_ml.validation.rulebook.schema_rules import schema_problems
from fraud_ml.validation.rulebook.suite_rules import suite_problems
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suite import SUITE_FILE


def check_rules(dataset: str, expectations: Path, *, ask_great_expectations: bool = True) -> list[Problem]:
    """Return what is wrong with expectations/<dataset>, by file and line; empty when all rules can hold.

    ask_great_expectations: also let it refuse types and arguments; importing it takes seconds, and a run that
    judges claims asks it anyway. Raises nothing for bad rules, BadInput when the dataset has no contract.
    """
    folder = expectations / dataset
    try:
        contract = load_contract(dataset, expectations)
    except BadInput as broken:
        if not (folder / CONTRACT_FILE).is_file():
            raise
        return [Problem.of_error("RULE001", broken, folder / CONTRACT_FILE)]
    found, suite = suite_problems(folder / SUITE_FILE, contract, ask_great_expectations=ask_great_expectations)
    unreadable, schema = schema_problems(folder / SCHEMA_FILE, contract, suite)
    found += unreadable
    found += conflicts(suite, schema, contract, folder)
    return sorted(found, key=lambda problem: (problem.path, problem.line, problem.code))


def require_sound_rules(dataset: str, expectations: Path) -> None:
    """Raise BadInput when the dataset's rules cannot hold; Great Expectations is not asked here, but by the verdict."""
    problems = check_rules(dataset, expectations, ask_great_expectations=False)
    if problems:
        raise BadInput(
            sentence_of(problems[0]).split(" Expected: ")[0],
            expected=problems[0].expected or None,
            arrived=f"{len(problems)} problem(s) in the rules of `{dataset}`",
            next_step=f"`fraud-ml expectations check {dataset}` lists all of them",
            codes=tuple(dict.fromkeys(problem.code for problem in problems)),
            line=problems[0].line,
        )
