"""What is kept of one event month that was judged: counts that add up, and no row. From these a verdict is made.

A month's partial depends on its claims, the rules and this code alone: not on the as-of date, nor on other months.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from fraud_ml.validation.checks import Counts
from fraud_ml.validation.counting import Count
from fraud_ml.validation.describing import Description
from fraud_ml.validation.profile import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, order=True)
class Aside:
    """A row that rules set aside: the SHA-256 of its key, and the codes of the rules."""

    key_digest: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """A month's counts.

    unknown_people: rows of people who were erased. broken, examples: by the name of a rule of rows, how many rows break
    it and digests of the keys of some. expected: by the code of a suite's rule. late: rows that happened after the
    as-of date they were judged at, or nobody knows when; those alone depend on that date.
    """

    month: str
    rows: int
    unknown_people: int
    late: int
    checks: Counts
    profile: Profile
    broken: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]]
    expected: Mapping[str, Count]
    aside: tuple[Aside, ...]
    description: Description

    @property
    def may_be_kept(self) -> bool:
        """Say whether every later run would count the same: nothing raised, and nothing hangs on the as-of date."""
        return not self.late and not any(count.raised for count in self.expected.values())


@dataclass(frozen=True)
class Partial:
    """A month's counts, and the hashes of the values of those columns that nobody may share (`uniqueness.py`)."""

    summary: Summary
    hashes: "Mapping[str, NDArray[np.uint64]]" = field(repr=False)

    def is_late(self, as_of: date) -> bool:
        """Say whether any of its rows happened after the date, or nobody knows when."""
        return self.summary.checks.times["event_time"].after(as_of) > 0


def to_bytes(partial: Partial) -> bytes:
    """Return the partial as bytes: a line of JSON, and NumPy's arrays."""
    import numpy as np

    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, **partial.hashes)  # type: ignore[arg-type]
    return json.dumps(partial.summary, default=vars).encode() + b"\n" + arrays.getvalue()


def from_bytes(content: bytes) -> Partial:
    """Return the partial that `to_bytes` wrote. Raises ValueError."""
    import numpy as np

    line, _, arrays = content.partition(b"\n")
    with np.load(io.BytesIO(arrays), allow_pickle=False) as held:
        hashes = {name: held[name] for name in held.files}
    return Partial(_form().validate_python(json.loads(line)), hashes)


@cache
def _form() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Summary)
