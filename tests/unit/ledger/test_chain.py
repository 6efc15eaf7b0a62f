"""The chain's arithmetic: what a changed, lost or exchanged entry looks like."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.ledger import GENESIS, Entry, EntryKind
from fraud_ml.ledger._chain import Row, broken_links

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(max_size=8), JSON, max_size=4)


def chain(bodies: list[dict]) -> list[Row]:
    rows, previous = [], GENESIS
    for seq, body in enumerate(bodies, start=1):
        at = f"2026-01-{seq:02}T00:00:00.000000+00:00"
        entry = Entry(seq, at, EntryKind.APPROVED, "motor", "ab" * 32, "ana", body, previous).sealed()
        rows.append(Row.of(entry))
        previous = entry.digest
    return rows


def problems(rows: list[Row], *, head: Row | None = None) -> tuple[str, ...]:
    head = head or rows[-1]
    return tuple(broken_links(rows, head_seq=head.seq, head_digest=head.digest))


@given(st.lists(BODIES, min_size=1, max_size=5))
def test_an_untouched_chain_has_no_problem_and_reads_back(bodies: list[dict]) -> None:
    rows = chain(bodies)
    assert problems(rows) == ()
    assert [dict(row.entry().body) for row in rows if row.entry()] == bodies


@given(BODIES, st.data())
def test_any_changed_byte_of_an_entry_is_found_and_named(body: dict, data: st.DataObject) -> None:
    rows = chain([{}, body, {}])
    field = data.draw(st.sampled_from(["at", "kind", "dataset", "subject", "actor", "body", "previous", "digest"]))
    text = getattr(rows[1], field)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(blacklist_characters=text[place], codec="utf-8"))
    tampered = [rows[0], replace(rows[1], **{field: text[:place] + other + text[place + 1 :]}), rows[2]]
    assert any(problem.startswith("entry 2:") for problem in problems(tampered))


def test_an_entry_that_was_sealed_again_breaks_the_link_after_it() -> None:
    rows = chain([{}, {"required": 2}, {}])
    entry = rows[1].entry()
    assert entry is not None
    rows[1] = Row.of(replace(entry, body={"required": 1}).sealed())
    assert problems(rows) == ("entry 3: it does not follow entry 2, whose digest differs from the one it names",)


def test_a_last_entry_that_was_sealed_again_is_not_the_head() -> None:
    rows = chain([{}, {"required": 2}])
    head, entry = rows[1], rows[1].entry()
    assert entry is not None
    rows[1] = Row.of(replace(entry, body={"required": 1}).sealed())
    assert problems(rows, head=head) == (
        "entry 2: it is not the last entry that was appended (the head names entry 2)",
    )


@pytest.mark.parametrize(
    ("lost", "said"), [([0], "entry 1: missing"), ([1, 2], "entries 2 to 3: missing"), ([3], "entry 4: missing")]
)
def test_lost_entries_are_named_even_at_the_end(lost: list[int], said: str) -> None:
    rows = chain([{}, {}, {}, {}])
    kept = [row for place, row in enumerate(rows) if place not in lost]
    assert problems(kept, head=rows[-1]) == (said,)


def test_a_ledger_that_was_emptied_is_not_whole() -> None:
    assert tuple(broken_links([], head_seq=2, head_digest="ab" * 32)) == ("entries 1 to 2: missing",)


def test_two_spellings_of_one_body_are_not_the_same_bytes() -> None:
    row = chain([{"a": 1}])[0]
    assert row.entry() is not None
    assert replace(row, body='{"a": 1}').entry() is None
