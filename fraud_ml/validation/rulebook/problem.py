"""What can be wrong with rules, as codes, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.errors import BadInput

TITLES: Mapping[str, str] = {
    "RULE001": "The file can be read",
    "RULE002": "An expectation is complete",
    "RULE003": "An expectation has a code of its form",
    "RULE004": "No code is given twice",
    "RULE005": "An expectation has a severity",
    "RULE006": "A rule that sets rows aside looks at rows one by one",
    "RULE007": "Great Expectations knows the expectation",
    "RULE008": "The arguments are those of the expectation",
    "RULE009": "A rule names columns that there are",
    "RULE010": "A rule fits the kind of its column",
    "RULE011": "A rule can hold",
    "RULE012": "Two rules can hold together",
    "RULE013": "A rule of each month can be told from the month's counts",
    "RULE021": "The schema describes each column of the contract, once",
    "RULE022": "The schema describes no other column",
    "RULE023": "The schema's type is the contract's kind",
    "RULE024": "The schema's presence is what the contract says of missing values",
    "RULE025": "The schema's domains hold what contract and suite declare",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; `path` and `line` (from 1) say where, and no value of a claim is in it."""

    code: str
    path: str
    line: int
    what: str
    expected: str = ""
    next_step: str = ""
    column: str | None = None

    @property
    def title(self) -> str:
        return TITLES[self.code]

    @classmethod
    def of_error(cls, code: str, error: BadInput, path: Path, line: int | None = None) -> "Problem":
        """Return what an error says, without the place that stands before its sentence."""
        at = line or int(error.facts.get("line") or 1)
        what = error.what.removeprefix(f"{path}")
        what = what.removeprefix(f":{at}").removeprefix(":").strip()
        if error.arrived:
            what += f" ({error.arrived})"
        return cls(
            code, str(path), at, what, error.expected or "", error.next_step or "", column=error.facts.get("column")
        )


def sentence_of(problem: Problem) -> str:
    """Return the problem as a sentence that begins with its place.

    >>> sentence_of(Problem("RULE011", "suite.json", 7, "GX301 can never hold", expected="min_value below max_value"))
    'suite.json:7: GX301 can never hold. Expected: min_value below max_value.'
    """
    parts = [f"{problem.path}:{problem.line}: {problem.what.rstrip('.')}."]
    for label, text in (("Expected", problem.expected), ("Next", problem.next_step)):
        if text:
            parts.append(f"{label}: {text.rstrip('.')}.")
    return " ".join(parts)
