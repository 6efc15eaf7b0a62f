"""What TensorFlow Data Validation says about the claims. Drives its worker, which lives in an environment of its own.

The worker gets ready while the claims are judged; then figures of all claims (`describing.py`) reach it through a pipe,
never a file, and its validator holds them against the schema.
"""

import contextlib
import json
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.validation.describing import Description, as_told

SCHEMA_FILE = "schema.pbtxt"
WORKER = Path(__file__).with_name("tfdv_worker.py")
TIMEOUT_S = 300.0  # less than a second on an idle machine; a hung worker must not hang the run
_AGAIN = "run `fraud-ml validate` by hand, mend what stops it, then `dvc repro --force --single-item validate`"


@dataclass(frozen=True)
class Kind:
    """One finding's code, and TFDV's anomaly types that belong to it."""

    code: str
    title: str
    types: frozenset[str]
    expected: str
    next_step: str


RAN = Kind("TFDV001", "Statistics could be taken", frozenset(), "an answer of TFDV's worker", _AGAIN)
KINDS = (
    Kind(
        "TFDV002",
        "Columns of the schema are there and hold values",
        frozenset({"FEATURE_TYPE_NOT_PRESENT", "SCHEMA_MISSING_COLUMN"}),
        "every feature of schema.pbtxt",
        "correct the source, or remove the feature from schema.pbtxt",
    ),
    Kind(
        "TFDV003",
        "Values are known often enough",
        frozenset({"FEATURE_TYPE_LOW_FRACTION_PRESENT", "FEATURE_TYPE_LOW_NUMBER_PRESENT"}),
        "`presence` of schema.pbtxt",
        "find out why the column arrives empty; where that is right, lower `presence` in schema.pbtxt",
    ),
    Kind(
        "TFDV004",
        "Values are of their type",
        frozenset(
            {
                "UNEXPECTED_DATA_TYPE",
                "ENUM_TYPE_BYTES_NOT_STRING",
                "ENUM_TYPE_INT_NOT_STRING",
                "ENUM_TYPE_FLOAT_NOT_STRING",
                "ENUM_TYPE_INVALID_UTF8",
                "FLOAT_TYPE_STRING_NOT_FLOAT",
                "FLOAT_TYPE_HAS_NAN",
                "FLOAT_TYPE_HAS_INF",
                "INT_TYPE_NOT_INT_STRING",
            }
        ),
        "`type` of schema.pbtxt",
        "correct the source, or `type` in schema.pbtxt",
    ),
    Kind(
        "TFDV005",
        "Text is in its domain",
        frozenset({"ENUM_TYPE_UNEXPECTED_STRING_VALUES"}),
        "`domain` and `min_domain_mass` of schema.pbtxt",
        "correct the source, or add the new spellings to the domain",
    ),
    Kind(
        "TFDV006",
        "Numbers are in their domain",
        frozenset({"INT_TYPE_BIG_INT", "INT_TYPE_SMALL_INT", "FLOAT_TYPE_BIG_FLOAT", "FLOAT_TYPE_SMALL_FLOAT"}),
        "`float_domain` of schema.pbtxt",
        "correct the source, or widen the domain",
    ),
    Kind(
        "TFDV007",
        "Columns of the claims are in the schema",
        frozenset({"SCHEMA_NEW_COLUMN"}),
        "no column that schema.pbtxt lacks",
        "declare the column in schema.pbtxt",
    ),
)
OTHER = Kind(
    "TFDV099", "No other anomaly", frozenset(), "nothing else that TFDV objects to", "look it up in TFDV's anomalies"
)


@dataclass(frozen=True)
class Described:
    """TFDV's findings, its figures a column, and its statistics as text; the last two are empty when it did not run."""

    findings: tuple[Finding, ...]
    columns: tuple[Mapping[str, Any], ...] = ()
    statistics: str = ""
    rows: int = 0


class Worker:
    """TFDV at work. Leaving the context kills it unless it has answered.

    Raises Unavailable when its interpreter is not there, BadInput when the schema is absent.
    """

    def __init__(self, *, schema: Path, python: Path, timeout_s: float) -> None:
        if not schema.is_file():
            raise BadInput(f"{schema}: no such file", next_step="write it: copy that of another dataset")
        if not python.is_file():
            raise Unavailable(f"{python} is not there: TFDV has an environment of its own", next_step="make tfdv")
        self._schema, self._python, self._timeout_s = schema, python, timeout_s
        self._rows = 0
        self._question = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._answer: bytes = b""
        self._trouble = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Worker":
        try:
            self._process = subprocess.Popen(
                [str(self._python), "-I", str(WORKER), str(self._schema)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # may quote values
            )
        except OSError as error:
            self._trouble = f"its interpreter does not start ({type(error).__name__})"
        return self

    def ask(self, description: Description) -> None:
        """Hand over the figures, once; the answer is waited for beside whatever comes next."""
        self._rows = description.rows
        self._question = json.dumps(as_told(description)).encode()
        if self._process is not None:
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._thread.ident is not None:
                self._thread.join(timeout=5)
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _run(self) -> None:
        assert self._process is not None
        try:
            self._answer, _ = self._process.communicate(self._question, timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            self._trouble = f"no answer within {self._timeout_s:g} s"
            self._process.kill()  # and no second communicate(): it would wait for whoever else holds the pipe
            self._process.wait()
        except (OSError, ValueError) as error:
            self._trouble = f"its pipe broke ({type(error).__name__})"
        else:
            code = self._process.returncode
            if code:
                self._trouble = f"killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"

    def result(self) -> Described:
        """Wait for the answer to what was asked. A crash, a time-out or a wrong answer is undecided, which stops."""
        if self._process is not None:
            self._thread.join()
        if self._trouble:
            return _undecided(self._trouble)
        try:
            answer = json.loads(self._answer)
            if "bad_schema" in answer:
                bad = answer["bad_schema"]
                raise BadInput(
                    f"{self._schema}:{bad['line']}: not a TFDV schema", arrived=bad["reason"], next_step="mend it"
                )
            if "failed" in answer:
                return _undecided(f"{answer['failed']['kind']} at {', '.join(answer['failed']['at'])}")
            if answer["rows"] != self._rows:
                return _undecided(f"it saw {answer['rows']:,} of {self._rows:,} rows")
            findings = tuple(_findings(answer["anomalies"], self._rows))
            return Described(findings, tuple(answer["columns"]), answer["statistics"], self._rows)
        except (ValueError, KeyError, TypeError):
            return _undecided("its answer is not readable")


def _undecided(why: str) -> Described:
    finding = Finding(
        RAN.code,
        RAN.title,
        Severity.STOP,
        Outcome.UNDECIDED,
        expected=RAN.expected,
        arrived=f"could not judge: {why}",
        next_step=RAN.next_step,
    )
    return Described((finding,))


def _findings(anomalies: list[Mapping[str, Any]], rows: int) -> list[Finding]:
    """Return one passed finding a kind without anomaly, one failed finding for each column of the others."""
    ran = Finding(RAN.code, RAN.title, Severity.STOP, Outcome.PASSED, RAN.expected, f"{rows:,} rows described")
    found = [ran]
    known = frozenset().union(*(kind.types for kind in KINDS))
    for kind in (*KINDS, OTHER):
        mine = [one for one in anomalies if one["kind"] in kind.types or (kind is OTHER and one["kind"] not in known)]
        found += [_failed(kind, one, rows) for one in mine]
        if not mine:
            found.append(Finding(kind.code, kind.title, Severity.STOP, Outcome.PASSED, kind.expected, "no anomaly"))
    return found


def _failed(kind: Kind, anomaly: Mapping[str, Any], rows: int) -> Finding:
    """A warning of TFDV warns, everything else stops."""
    count = anomaly["count"]
    share = None if count is None else count / rows
    told = anomaly["kind"].lower().replace("_", " ")
    return Finding(
        kind.code,
        kind.title,
        Severity.WARN if anomaly["severity"] == "WARNING" else Severity.STOP,
        Outcome.FAILED,
        expected=kind.expected,
        arrived=told + (f": {count:,} of {rows:,} rows ({share:.2%})" if share is not None else ""),
        column=anomaly["column"],
        count=count,
        share=None if share is None else round(share, 6),
        next_step=kind.next_step,
    )
