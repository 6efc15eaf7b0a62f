"""How a column was distributed before and is now, for the report to draw beside what a rule found broken.

No claim's value is told. A category is named only where the suite lists it; numbers are told by the tenth of the rows
of before among which they lie, and so without a scale.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fraud_ml.artifacts import Finding, Outcome
from fraud_ml.contract import Kind
from fraud_ml.validation.evidence import REQUESTS, Compared, Evidence
from fraud_ml.validation.profile import binned, tenths
from fraud_ml.validation.rules import OF_REQUESTS

MOST_BARS = 12
MISSING, UNLISTED, OTHERS = "missing", "not listed by the suite", "all others"


@dataclass(frozen=True)
class Bar:
    """One category, or one tenth of before, and which share of the rows it has: in [0, 1]."""

    label: str
    before: float
    now: float


@dataclass(frozen=True)
class Drawing:
    """A column in one month beside the months before, or in requests beside the claims.

    codes: the rules that it broke there. The shares add up to 1.
    """

    column: str
    month: str
    codes: tuple[str, ...]
    rows: int
    rows_before: int
    bars: tuple[Bar, ...]


def draw(evidence: Evidence, findings: Iterable[Finding]) -> tuple[Drawing, ...]:
    """Return a drawing for each column and month that a finding names, where its months before can be compared.

    So for each column whose requests a finding is about.
    """
    codes: dict[tuple[str, str], dict[str, None]] = {}
    for finding in findings:
        month = REQUESTS if finding.code in OF_REQUESTS else finding.partition
        if finding.outcome is Outcome.FAILED and finding.column and month:
            codes.setdefault((finding.column, month), {})[finding.code] = None
    drawn = []
    for (column, month), broken in sorted(codes.items()):
        if column not in evidence.whole.columns:  # a pair of columns, say
            continue
        asked = evidence.asked(column) if month == REQUESTS else None
        for pair in (asked,) if asked else evidence.compared(column, settled=False):
            bars = _bars(evidence, column, pair) if pair.month == month else ()
            if bars:
                drawn.append(Drawing(column, month, tuple(sorted(broken)), pair.rows, pair.rows_before, bars))
    return tuple(drawn)


# --- inside ---------------------------------------------------------------------------------------------------------


def _bars(evidence: Evidence, column: str, pair: Compared) -> tuple[Bar, ...]:
    if not pair.before.counts or pair.now.counts is None:
        return ()
    if pair.now.kind is Kind.CATEGORY:
        before, now = _by_word(pair, evidence.declared.get(column, frozenset()))
    elif pair.now.kind is Kind.NUMBER:
        before, now = _by_tenth(pair.before.counts, pair.now.counts)
    else:
        return ()
    missing = (pair.rows_before - pair.before.known, pair.rows - pair.now.known)
    if any(missing):
        before[MISSING], now[MISSING] = missing
    return tuple(
        Bar(label, before[label] / pair.rows_before, now[label] / pair.rows) for label in dict.fromkeys([*before, *now])
    )


def _by_word(pair: Compared, listed: frozenset[str]) -> tuple[Counter[str], Counter[str]]:
    """Return rows before and now by word: those that were frequent in either, then the rest of the listed together."""
    shares = {
        word: max(of.counts.get(word, 0) / max(of.known, 1) for of in (pair.before, pair.now) if of.counts)
        for word in {*(pair.before.counts or {}), *(pair.now.counts or {})} & listed
    }
    words = sorted(shares, key=lambda word: (-shares[word], word))
    named = words if len(words) <= MOST_BARS else words[: MOST_BARS - 1]
    labels = {word: word if word in named else OTHERS for word in words}
    found = []
    for counts in (pair.before.counts or {}, pair.now.counts or {}):
        rows = Counter(dict.fromkeys(labels.values(), 0))  # in the order of `words`, before and now
        for word, count in counts.items():
            rows[labels.get(word, UNLISTED)] += count
        found.append(rows)
    return found[0], found[1]


def _by_tenth(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Return rows before and now by the parts that hold a tenth each of those before, lowest first.

    Where one number is frequent, several tenths are one part.
    """
    edges = tenths(before)
    labels = [f"part {place} of {len(edges) + 1}" for place in range(1, len(edges) + 2)]
    was, found = (Counter(dict(zip(labels, binned(of, edges), strict=True))) for of in (before, now))
    return was, found
