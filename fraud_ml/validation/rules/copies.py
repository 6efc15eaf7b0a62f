"""The same claim again, under another key."""

from collections.abc import Iterator

from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.rules.broken import Broken

_FEW, _FEW_SHARE = 3, 0.001


def copied(evidence: Evidence) -> Iterator[Broken]:
    """Break on rows that are equal in all but key and moment of recording; a few only warn."""
    rows = evidence.whole.copies
    if rows:
        share = rows / evidence.whole.rows
        month = max(evidence.months, key=lambda one: (evidence.months[one].copies, one))
        told = f"{rows:,} of {evidence.whole.rows:,} rows tell again what another key tells"
        yield Broken(told, None, month, rows, share, warns=rows < _FEW or share < _FEW_SHARE)
