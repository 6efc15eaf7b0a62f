"""Network columns know what their definition says, at the claim's own moment, and nothing that came later."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.network import NETWORK
from fraud_ml.artifacts import file_digest
from fraud_ml.contract import Contract
from fraud_ml.data.sealing import seal_rows
from fraud_ml.data.snapshots import Snapshot, open_snapshot
from fraud_ml.data.subject_keys import NAME_BOUND_TO, Enrolled, SnapshotKeys, SubjectKey, cipher
from fraud_ml.data.tables import claim_schema
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.features.network import network_of, write_network
from tests.network_oracle import Row, network_by_hand
from tests.village import AS_OF, BEGIN, CONTRACT, frozen, row, village


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


# --- by definition ---

PEOPLE = ("ada", "ben", "cyd", "dov")
LOGS = st.lists(
    st.builds(
        row,
        st.sampled_from([f"c{number}" for number in range(9)]),
        st.integers(0, 130).map(lambda day: day + 0.5 * (day % 2)),
        who=st.sampled_from([*PEOPLE, None]),
        saw=st.sampled_from(["none", "ada", "ben+cyd", "dov+ada+eve", "cyd+cyd", "", None]),
        garage=st.sampled_from(["north", "south", "ada", None]),
        phone=st.sampled_from(["555-1", None]),
        outcome=st.sampled_from(["fraud", "clear", "odd", None]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda told: (told["claim"], told["recorded_at"]),
)


@settings(max_examples=25, deadline=None)
@given(rows=LOGS)
def test_columns_are_those_of_the_definition(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    contract = village()
    found = network_of(frozen(rows, contract, tmp_path_factory.mktemp("village") / "snapshot"))
    assert tuple(found.columns) == tuple(column.name for column in contract.network_features)
    same(found, network_by_hand(rows, contract))


@settings(max_examples=8, deadline=None)
@given(rows=LOGS, cut=st.integers(0, 130))
def test_what_is_recorded_later_changes_no_column(
    rows: list[Row], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    contract, folder = village(), tmp_path_factory.mktemp("village")
    as_of = (BEGIN + timedelta(days=cut)).date()
    known = [told for told in rows if told["recorded_at"].date() <= as_of]
    if known:
        whole = network_of(frozen(rows, contract, folder / "whole"))
        early = network_of(frozen(known, contract, folder / "early", as_of))
        same(early, whole.loc[early.index])


# --- one claim asks ---


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., pd.Series]:
    """Return the columns of claim `new` on day 50, after these rows; without their prefix."""

    def act(*earlier: Row, day: float = 50, contract: Contract | None = None, **parties: str) -> pd.Series:
        contract = contract or village()
        found = network_of(
            frozen([*earlier, row("new", day, **parties)], contract, tmp_path / f"{len(list(tmp_path.iterdir()))}")
        )
        return found.loc["new"].rename(lambda name: name.removeprefix("network_"))

    return act


def test_what_is_recorded_at_the_very_moment_is_not_known(asked: Callable[..., pd.Series]) -> None:
    found = asked(row("old", 50, who="ada", outcome="fraud"), row("older", 49, who="ada"), who="ada")
    assert found["who_claims"] == 1
    assert found["who_confirmed"] == 0


def test_a_claim_that_names_the_party_at_the_very_moment_is_not_walked_to(asked: Callable[..., pd.Series]) -> None:
    other = (row("a", 20, phone="555-1"), row("b", 10, who="ben"))
    assert asked(*other, row("b", 50, who="ben", phone="555-1"), phone="555-1")["person_reached"] == 0
    assert asked(*other, row("b", 49, who="ben", phone="555-1"), phone="555-1")["person_reached"] == 1


def test_an_outcome_counts_from_the_moment_it_is_recorded(asked: Callable[..., pd.Series]) -> None:
    early, late = row("a", 10, who="ada"), row("b", 11, who="ada")
    said = (row("a", 49, who="ada", outcome="fraud"), row("b", 50, who="ada", outcome="clear"))
    found = asked(early, late, *said, who="ada")
    assert (found["who_claims"], found["who_confirmed"], found["who_fraud_share"]) == (2, 1, 1.0)


def test_a_fraud_that_was_reversed_is_none(asked: Callable[..., pd.Series]) -> None:
    said = [row("a", day, who="ada", outcome=outcome) for day, outcome in ((10, "fraud"), (20, "clear"))]
    found = asked(*said, who="ada")
    assert (found["who_confirmed"], found["who_fraud_share"]) == (0, 0.0)


def test_links_older_than_the_window_are_forgotten_with_their_outcomes(asked: Callable[..., pd.Series]) -> None:
    old = (row("a", 10, who="ada"), row("a", 30, who="ada", outcome="fraud"))
    still, gone = (asked(*old, day=day, who="ada") for day in (70, 70.5))
    assert (still["who_claims"], still["who_confirmed"]) == (1, 1)
    assert (gone["who_claims"], gone["who_confirmed"]) == (0, 0)


def test_a_witness_is_known_as_a_claimant(asked: Callable[..., pd.Series]) -> None:
    found = asked(row("a", 10, who="ben", garage="north", outcome="fraud"), who="ada", saw="cyd+ben")
    assert (found["saw_claims"], found["saw_confirmed"], found["who_claims"]) == (1, 1, 0)
    assert (found["garage_reached"], found["person_reached"]) == (1, 0)
    assert pd.isna(found["garage_claims"])


def test_a_claim_without_parties_has_no_network(asked: Callable[..., pd.Series]) -> None:
    assert asked(row("a", 10, who="ada"), saw="none").isna().all()


def test_a_garage_of_many_claims_is_counted_and_not_walked_through(asked: Callable[..., pd.Series]) -> None:
    many = [row(f"c{number}", 10 + number / 10, who=f"p{number}", garage="north") for number in range(21)]
    few, busy = asked(*many[:20], garage="north"), asked(*many, garage="north")
    assert (few["garage_claims"], few["person_reached"]) == (20, 20)
    assert (busy["garage_claims"], busy["person_reached"]) == (21, 0)


def test_fraud_is_heard_of_through_the_claims_between(asked: Callable[..., pd.Series]) -> None:
    """ada shares a telephone with ben, who shared a garage with a fraud; january's news is heard in february."""
    fraud = row("a", 10, who="cyd", garage="north", outcome="fraud")
    between = row("b", 20, who="ben", garage="north", phone="555-1")
    near, far = asked(fraud, between, who="ben"), asked(fraud, between, who="ada", phone="555-1")
    assert near["ring_score"] > far["ring_score"] > 0
    assert far["phone_confirmed"] == 0
    assert asked(fraud, between, day=30.9, who="ben")["ring_score"] == 0
    assert asked(between, who="ben")["ring_score"] == 0


# --- people who were sealed, and erased ---

PERSONAL = {"who", "saw", "phone"}


def sealed_village() -> Contract:
    columns = [{**column, "personal": column["name"] in PERSONAL} for column in CONTRACT["columns"]]
    erasure = {"subject": "who", "mentions": {"saw": {"joined_by": "+", "nobody": ["none"]}}}
    return Contract.model_validate({**CONTRACT, "columns": columns, "erasure": erasure}, strict=False)


VILLAGERS = [
    row("a", 1, who="ada", saw="ben+cyd", phone="555-1", garage="north"),
    row("b", 2, who="ben", saw="ada", phone="555-1", garage="north", outcome="fraud"),
    row("c", 3, who="cyd", saw="none", phone="555-2", garage="south"),
    row("d", 40, who="cyd", saw="ada+ben", phone="555-1", garage="north"),
    row("e", 41, who="ben", saw="cyd", phone="555-2", garage="south"),
]


def sealed(rows: list[Row], contract: Contract, folder: Path) -> tuple[Snapshot, SnapshotKeys]:
    people = {who: f"{place:032x}" for place, who in enumerate(PEOPLE)}
    keys = {who: bytes([place]) * 32 for place, who in enumerate(PEOPLE)}
    frame = pd.DataFrame(rows)
    table = pa.Table.from_pandas(frame, schema=claim_schema(contract), preserve_index=False)
    lying = seal_rows(table, contract, Enrolled(people, keys, frozenset(), frozenset()))
    entries = {
        people[who]: SubjectKey(key, cipher(key).encrypt(who.encode(), NAME_BOUND_TO)) for who, key in keys.items()
    }
    freeze_copy(lying.to_pandas(), contract, AS_OF, folder)
    held = SnapshotKeys("", entries)
    return open_snapshot(folder, contract, keys=held), held


def test_sealed_people_are_connected_as_those_in_plain(tmp_path: Path) -> None:
    plain = network_of(frozen(VILLAGERS, village(), tmp_path / "plain"))
    snapshot, _ = sealed(VILLAGERS, sealed_village(), tmp_path / "sealed")
    same(network_of(snapshot), plain)
    assert plain.loc["d", "network_phone_claims"] == 2


def test_an_erased_person_is_nobody_and_what_is_not_theirs_stays(tmp_path: Path) -> None:
    snapshot, keys = sealed(VILLAGERS, sealed_village(), tmp_path / "sealed")
    ben = f"{PEOPLE.index('ben'):032x}"
    found = network_of(replace(snapshot, given_keys=keys.without(ben, "2024-06-01")))

    def forgotten(told: Row) -> Row:
        if told["who"] == "ben":
            return {**told, "who": None, "saw": None, "phone": None}
        return {**told, "saw": told["saw"].replace("ben", "")}

    same(found, network_by_hand([forgotten(told) for told in VILLAGERS], village()))
    assert found.loc["d", "network_garage_confirmed"] == 1
    assert found.loc["e"].filter(like="network_who").isna().all()


# --- how it lies ---


def test_threads_change_no_byte_and_rows_stand_in_the_folds_order(
    motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    contract = motor.model_copy(update={"network": NETWORK})
    freeze_copy(motor_rows, contract, date(2025, 12, 31), tmp_path / "snapshot")
    snapshot = open_snapshot(tmp_path / "snapshot", contract)
    fold = snapshot.fold_into(tmp_path / "claims", None).manifest
    digests = []
    for threads in (1, 3):
        into = tmp_path / f"network-{threads}"
        into.mkdir()
        write_network(
            snapshot.folder,
            snapshot.manifest,
            tmp_path / "claims",
            fold,
            contract,
            snapshot.keys,
            into,
            threads=threads,
        )
        digests.append({path.name: file_digest(path) for path in into.iterdir()})
        for name in fold.files:
            keys = [pd.read_parquet(folder / name)[contract.key] for folder in (tmp_path / "claims", into)]
            assert keys[0].equals(keys[1])
    assert digests[0] == digests[1]
