"""How values are written: in other letters than before, or cut."""

from collections.abc import Iterator, Mapping

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import Z, rise

_STOPS = 0.005  # share of rows in another spelling
_STOPS_FROM = 0.01  # share of texts of another length; fewer warn
_USUAL = 0.05  # share of the texts before whose length is a usual one
_ENOUGH_ROWS, _NEARLY_ALL = 1_000, 0.99  # of which one length is the column's form
_A_DIGIT = 1  # by which numbers that count upwards rightly become longer


def other_case(evidence: Evidence) -> Iterator[Broken]:
    """Break on categories that differ from a more frequent one by case alone, unless the suite declares them."""
    for column in evidence.columns(Kind.CATEGORY):
        counts = evidence.whole.columns[column.name].counts
        if not counts:
            continue
        most: dict[str, str] = {}
        for value in sorted(counts, key=lambda value: (-counts[value], value)):
            most.setdefault(value.casefold(), value)
        declared = evidence.declared.get(column.name, frozenset())
        rows = sum(
            count for value, count in counts.items() if most[value.casefold()] != value and value not in declared
        )
        if rows:
            known = evidence.whole.columns[column.name].known
            told = f"{rows:,} of {known:,} rows hold a category in other letters"
            yield Broken(told, column.name, None, rows, rows / known, warns=rows / known < _STOPS)


def other_length(evidence: Evidence) -> Iterator[Broken]:
    """Break where text is shorter than any before (leading zeros lost, cut), or longer (another numbering, padded).

    Not where the suite lists the values: those are judged as they are.
    """
    erasure = evidence.contract.erasure
    lists = {column.name for column in evidence.contract.columns if column.joined_by}  # as long as they are many
    lists |= {*erasure.mentions} if erasure else set()
    for column in evidence.contract.columns:
        is_told_by_length = column.kind is Kind.CATEGORY and column.role in (Role.KEY, Role.CONTEXT, Role.FEATURE)
        profile = evidence.whole.columns.get(column.name)
        if is_told_by_length and profile is not None and column.name not in {*evidence.declared, *lists}:
            yield from worst(_other_length(evidence, column.name))


def _other_length(evidence: Evidence, name: str) -> Iterator[Broken]:
    yield from _among_equals(evidence, name)
    for pair in evidence.compared(name, settled=False):
        now, before = pair.now.lengths_of_text, pair.before.lengths_of_text
        if not now or not before:
            continue
        usual = [int(length) for length, rows in before.items() if rows >= _USUAL * pair.before.known]
        for how, rows, rows_before in _unusual(now, before, usual) if usual else ():
            if rise(rows, pair.now.known, rows_before, pair.before.known) > Z:
                told, share = f"{rows:,} of {pair.now.known:,} texts are {how} than usual before", rows / pair.now.known
                yield Broken(told, name, pair.month, rows, share, warns=share < _STOPS_FROM, size=share)


def _unusual(now: Mapping[str, int], before: Mapping[str, int], usual: list[int]) -> Iterator[tuple[str, int, int]]:
    """Yield how texts differ in length from the usual ones, with the rows of now and of before."""
    shortest, longest = min(usual), max(usual) + _A_DIGIT
    counts = [{int(length): rows for length, rows in one.items()} for one in (now, before)]
    shorter = [sum(rows for length, rows in one.items() if length < shortest) for one in counts]
    longer = [sum(rows for length, rows in one.items() if length > longest) for one in counts]
    yield "shorter", shorter[0], shorter[1]
    yield "longer", longer[0], longer[1]


def _among_equals(evidence: Evidence, name: str) -> Iterator[Broken]:
    """Warn on the few texts that are not as long as nearly all: a log's row may belong to a month long past."""
    profile = evidence.whole.columns[name]
    lengths = {int(length): rows for length, rows in profile.lengths_of_text.items()}
    usual = max(lengths, key=lambda length: lengths[length], default=0)
    if profile.known < _ENOUGH_ROWS or lengths[usual] < _NEARLY_ALL * profile.known:
        return
    rows = sum(count for length, count in lengths.items() if not usual <= length <= usual + _A_DIGIT)
    if rows:
        told = f"{rows:,} of {profile.known:,} texts are not as long as the others"
        yield Broken(told, name, None, rows, rows / profile.known, warns=True)
