"""Counts of requests add up in any grouping, and a record that is not what was sealed is named."""

from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import canonical_json, save
from fraud_ml.contract import Kind
from fraud_ml.errors import Tampered, Unavailable
from fraud_ml.models.inputs import Input, Inputs
from fraud_ml.serving.counting import count_claims
from fraud_ml.validation.served import Served, ServedColumn, merge_served, read_served, served_of
from tests.tampering import flipped

INPUTS = Inputs((Input("make", Kind.CATEGORY, ("ibis", "volta")), Input("amount", Kind.NUMBER, missing=("0",))))
CLAIMS = st.lists(
    st.tuples(st.sampled_from(["ibis", "volta", "other", "", None]), st.sampled_from([0.0, 1.0, 250.0, None])),
    min_size=1,
    max_size=20,
)


def counted(claims: list[tuple[str | None, float | None]], day: int = 1) -> Served:
    frame = pd.DataFrame(
        {
            "make": pd.Series([make for make, _ in claims], dtype=object),
            "amount": pd.Series([amount for _, amount in claims], dtype="float64"),
        }
    )
    return Served("motor", (f"{date(2026, 3, day)}",), len(claims), count_claims(frame, INPUTS)).sealed()


@settings(max_examples=40, deadline=None)
@given(CLAIMS, CLAIMS, CLAIMS)
def test_merged_days_are_the_record_of_all_their_claims(one: list, two: list, three: list) -> None:
    days = [counted(claims, day) for day, claims in enumerate((one, two, three), start=1)]
    together = merge_served("motor", days)
    whole = counted([*one, *two, *three])
    assert (together.claims, together.columns) == (whole.claims, whole.columns)
    assert together.days == ("2026-03-01", "2026-03-02", "2026-03-03")
    assert merge_served("motor", [merge_served("motor", days[:2]), days[2]]) == together
    assert merge_served("motor", [days[0], merge_served("motor", days[1:])]) == together


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (
            ServedColumn(Kind.CATEGORY, 9, 9, {"a": 3, "b": 4}, 2),
            ServedColumn(Kind.CATEGORY, 5, 5, {"b": 1, "c": 2}, 2),
            ServedColumn(Kind.CATEGORY, 14, 14, {"b": 5}, 9),  # each word means the same in both
        ),
        (
            ServedColumn(Kind.CATEGORY, 9, 9, {"a": 9}),
            ServedColumn(Kind.CATEGORY, 5, 4),  # too few to tell
            ServedColumn(Kind.CATEGORY, 14, 13, {"a": 9}),
        ),
        (
            ServedColumn(Kind.CATEGORY, 9, 8, {"1": 8}),
            ServedColumn(Kind.NUMBER, 5, 4, {"100000": 4}),  # it is a number to the later model
            ServedColumn(Kind.NUMBER, 14, 12, {"100000": 4}),
        ),
    ],
    ids=["vocabularies", "untold", "kinds"],
)
def test_columns_of_unlike_days_are_added_where_they_mean_the_same(
    first: ServedColumn, second: ServedColumn, merged: ServedColumn
) -> None:
    parts = [Served("motor", ("2026-03-01",), 14, {"x": one}) for one in (first, second)]
    assert merge_served("motor", parts).columns == {"x": merged}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    served = counted([("ibis", 1.0), ("other", None)])
    save(served, tmp_path / "served.json")
    assert read_served(tmp_path / "served.json") == served
    assert served_of(canonical_json(served), "there") == served


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    content = canonical_json(counted([("ibis", 1.0)] * 3))
    for place in range(len(content)):
        with pytest.raises(Tampered, match="there is not the record"):
            served_of(flipped(content, place), "there")


@pytest.mark.parametrize("field", ["dataset", "days", "claims", "columns", "digest"])
def test_a_record_that_lacks_a_part_is_tampered(field: str) -> None:
    told = {name: value for name, value in asdict(counted([("ibis", 1.0)])).items() if name != field}
    with pytest.raises(Tampered):
        served_of(canonical_json(told), "there")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"\xff"])
def test_what_is_no_record_is_tampered(content: bytes) -> None:
    with pytest.raises(Tampered):
        served_of(content, "there")


def test_a_workspace_that_was_pinned_without_requests_says_to_pin_it_again(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"pin it again"):
        read_served(tmp_path / "served.json")
