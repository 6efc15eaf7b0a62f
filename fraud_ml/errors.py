"""What can go wrong, as a tree: Rejected will fail again, Unavailable may pass later.

    FraudMLError
    ├── Rejected            exit 2   what was given, or judged, is not good enough; nobody retries
    │   ├── BadInput                 a file, a parameter or a request breaks its contract
    │   ├── NotAccepted              a verdict says no
    │   ├── NotApproved              too few distinct people approved this digest
    │   ├── Tampered                 bytes differ from the digest that was recorded for them
    │   └── Undefined                a figure does not exist for this data (no fraud in the window)
    └── Unavailable         exit 3   a server, a file or a network is not there now; trying again may help

Messages and facts name files, lines, columns and counts. They never carry a claim's values.
"""

from typing import Any, ClassVar


class FraudMLError(Exception):
    """One sentence a person can use: what, then expected, arrived and the next step where they help.

    Keyword facts beyond those three stay on the error as `facts` and survive pickling.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        arrived: str | None = None,
        next_step: str | None = None,
        **facts: Any,
    ) -> None:
        self.what = what
        self.expected = expected
        self.arrived = arrived
        self.next_step = next_step
        self.facts = facts
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        for label, text in (("Expected", self.expected), ("Arrived", self.arrived), ("Next", self.next_step)):
            if text:
                parts.append(f"{label}: {text.rstrip('.')}.")
        return " ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        named = {"expected": self.expected, "arrived": self.arrived, "next_step": self.next_step, **self.facts}
        return _rebuild, (type(self), self.what, named)


def _rebuild(kind: type[FraudMLError], what: str, named: dict[str, Any]) -> FraudMLError:
    return kind(what, **named)


class Rejected(FraudMLError):
    """It will fail again: the input, the verdict or the approval is not good enough."""

    exit_code = 2


class BadInput(Rejected):
    """A file, a parameter or a request breaks its contract."""


class NotAccepted(Rejected):
    """A verdict says no; `facts["codes"]` names the findings that stopped it."""


class NotApproved(Rejected):
    """Too few distinct people approved this digest."""


class Tampered(Rejected):
    """Bytes differ from the digest that was recorded for them; `facts["path"]` names the file."""


class Undefined(Rejected):
    """A figure does not exist for this data, for example recall without any fraud."""


class Unavailable(FraudMLError):
    """A server, a file or a network is not there now; trying again may help."""

    exit_code = 3
