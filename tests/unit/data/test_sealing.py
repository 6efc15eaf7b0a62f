"""What is personal in a row lies sealed, comes back as it was, and is gone with the person's key."""

import secrets
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.contract import Contract
from fraud_ml.data.parquet import to_parquet
from fraud_ml.data.sealing import open_rows, people_in, seal_rows
from fraud_ml.data.subject_keys import (
    NAME_BOUND_TO,
    Enrolled,
    SnapshotKeys,
    SubjectKey,
    cipher,
    read_keys,
    write_keys,
)
from fraud_ml.data.tables import claim_schema
from fraud_ml.errors import Tampered, Unavailable

CONTRACT = Contract.model_validate(
    {
        "dataset": "tiny",
        "title": "Tiny claims",
        "owner": "tests",
        "key": "claim_id",
        "times": {"event": "happened", "recorded": "happened"},
        "label": {"column": "outcome", "positive": ["y"], "negative": ["n"], "maturity_days": 0, "meaning_of_no": "-"},
        "schedule": {"cron": "0 0 1 * *"},
        "erasure": {"subject": "who", "mentions": {"witnesses": {"joined_by": "+", "nobody": ["none"]}}},
        "columns": [
            {"name": "claim_id", "kind": "category", "role": "key"},
            {"name": "happened", "kind": "timestamp", "role": "time"},
            {"name": "outcome", "kind": "category", "role": "label"},
            {"name": "who", "kind": "category", "role": "context", "personal": True},
            {"name": "witnesses", "kind": "category", "role": "context", "personal": True},
            {"name": "phone", "kind": "category", "role": "context", "personal": True},
            {"name": "age_years", "kind": "number", "role": "feature", "personal": True},
            {"name": "born", "kind": "timestamp", "role": "context", "personal": True},
            {"name": "amount", "kind": "number", "role": "feature"},
        ],
    },
    strict=False,
)
PEOPLE = {"ana": "a" * 32, "bo": "b" * 32, "çağ": "c" * 32}
KEYS = {who: secrets.token_bytes(32) for who in PEOPLE}
ENROLLED = Enrolled(PEOPLE, KEYS, frozenset(), frozenset())
NAMED = {
    name: SubjectKey(KEYS[who], cipher(KEYS[who]).encrypt(who.encode(), NAME_BOUND_TO)) for who, name in PEOPLE.items()
}
ALL = SnapshotKeys("d" * 64, NAMED)


def rows(*cells: tuple) -> pa.Table:
    """claim, who, witnesses, phone, age, born (days)"""
    day = 86_400_000_000
    told = [
        {
            "claim_id": claim,
            "happened": 0,
            "outcome": "n",
            "who": who,
            "witnesses": witnesses,
            "phone": phone,
            "age_years": age,
            "born": None if born is None else born * day,
            "amount": 7.5,
            "event_time": 0,
            "recorded_at": 0,
        }
        for claim, who, witnesses, phone, age, born in cells
    ]
    return pa.Table.from_pylist(told, schema=claim_schema(CONTRACT))


SOME = rows(
    ("c1", "ana", "none", "555-1", 34.0, 3650),
    ("c2", "bo", "ana+çağ", "555-1", None, None),
    ("c3", "ana", None, None, 34.25, 3650),
    ("c4", "çağ", "bo", 'a "quoted" ünï', 0.1 + 0.2, -5),
)


def test_sealed_rows_hold_no_personal_value_and_open_to_what_they_were() -> None:
    sealed = seal_rows(SOME, CONTRACT, ENROLLED)
    stored = to_parquet(sealed)
    for value in (b"ana", b"555-1", b"quoted", "çağ".encode()):
        assert value in to_parquet(SOME)
        assert value not in stored
    assert sealed["age_years"].null_count == sealed["born"].null_count == 4
    assert sealed["who"].to_pylist() == ["a" * 32, "b" * 32, "a" * 32, "c" * 32]
    assert sealed["witnesses"].to_pylist() == ["none", f"{'a' * 32}+{'c' * 32}", None, "b" * 32]
    assert open_rows(sealed, CONTRACT, ALL).equals(SOME)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(PEOPLE)),
            st.one_of(st.none(), st.text(max_size=8)),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.none(), st.integers(-90_000, 90_000)),
        ),
        max_size=8,
    )
)
def test_any_row_comes_back_exactly(cells: list[tuple]) -> None:
    table = rows(*((f"c{place}", who, "none", *rest) for place, (who, *rest) in enumerate(cells)))
    assert open_rows(seal_rows(table, CONTRACT, ENROLLED), CONTRACT, ALL).equals(table)


def test_equal_rows_are_equal_bytes_and_equal_values_of_two_people_are_not() -> None:
    two = rows(("c1", "ana", "none", "555-1", 34.0, 1), ("c2", "bo", "none", "555-1", 34.0, 1))
    first = seal_rows(two, CONTRACT, ENROLLED)
    assert to_parquet(first) == to_parquet(seal_rows(two, CONTRACT, ENROLLED))
    assert len(set(first["sealed"].to_pylist())) == 2


def test_without_the_persons_key_their_rows_are_unknown_and_others_do_not_name_them() -> None:
    left = ALL.without("a" * 32, "2026-01-01")
    opened = open_rows(seal_rows(SOME, CONTRACT, ENROLLED), CONTRACT, left)
    assert opened["who"].to_pylist() == [None, "bo", None, "çağ"]
    assert opened["phone"].to_pylist() == [None, "555-1", None, 'a "quoted" ünï']
    assert opened["age_years"].to_pylist() == [None, None, None, 0.1 + 0.2]
    assert opened["witnesses"].to_pylist() == [None, "erased+çağ", None, "bo"]
    assert opened.drop_columns([c.name for c in CONTRACT.personal]).equals(
        SOME.drop_columns([c.name for c in CONTRACT.personal])
    )


def test_rows_from_before_a_readmission_stay_unknown_under_the_new_key() -> None:
    sealed = seal_rows(SOME, CONTRACT, ENROLLED)
    new = secrets.token_bytes(32)
    again = SubjectKey(new, cipher(new).encrypt(b"ana", NAME_BOUND_TO), erased="2026-01-01")
    opened = open_rows(sealed, CONTRACT, replace(ALL, people={**NAMED, "a" * 32: again}))
    assert opened["who"].to_pylist() == [None, "bo", None, "çağ"]
    assert opened["phone"].to_pylist()[0] is None


def test_values_sealed_for_other_columns_or_by_another_key_are_refused() -> None:
    sealed = seal_rows(SOME, CONTRACT, ENROLLED)
    shifted = CONTRACT.model_copy(
        update={
            "columns": tuple(
                c.model_copy(update={"personal": False}) if c.name == "born" else c for c in CONTRACT.columns
            )
        }
    )
    with pytest.raises(Tampered, match="not sealed as"):
        open_rows(sealed, shifted, ALL)
    wrong = replace(ALL, people={**NAMED, "b" * 32: replace(NAMED["b" * 32], key=secrets.token_bytes(32), name=None)})
    with pytest.raises(Tampered, match="not sealed as"):
        open_rows(sealed, CONTRACT, wrong)
    stranger = replace(ALL, people={name: key for name, key in NAMED.items() if name[0] != "c"})
    with pytest.raises(Tampered, match="no key for"):
        open_rows(sealed, CONTRACT, stranger)


def test_people_are_subjects_and_those_whom_rows_mention() -> None:
    assert CONTRACT.erasure is not None
    assert people_in(SOME, CONTRACT.erasure) == {"ana", "bo", "çağ"}
    assert people_in(seal_rows(SOME, CONTRACT, ENROLLED), CONTRACT.erasure) == set(PEOPLE.values())


def test_key_file_is_its_owners_alone_and_names_its_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "workspace" / "subject-keys.parquet"
    write_keys(ALL, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_keys(path, CONTRACT, snapshot_digest="d" * 64) == ALL
    with pytest.raises(Tampered, match="keys of another snapshot"):
        read_keys(path, CONTRACT, snapshot_digest="e" * 64)
    before = path.read_bytes()
    write_keys(ALL, path)
    assert path.read_bytes() == before
    write_keys(ALL.without("a" * 32, "2026-01-01"), path)
    assert path.read_bytes() != before
    assert KEYS["ana"] not in path.read_bytes()
    path.unlink()
    with pytest.raises(Unavailable, match="pin it again"):
        read_keys(path, CONTRACT, snapshot_digest=None)


def test_keys_do_not_stand_in_what_is_printed() -> None:
    shown = f"{ALL!r} {NAMED['a' * 32]!r} {ENROLLED!r}"
    assert not any(repr(key) in shown for key in KEYS.values())
