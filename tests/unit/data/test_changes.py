"""What changed between two snapshots is counted by the day on which it was recorded, and never shown."""

from pathlib import Path

import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.changes import Changes, Difference, compare
from tests.tiny_snapshots import Row, frozen

ROWS: list[Row] = [
    ("C1", "2024-01-03", "2024-01-05", 10.0, None),
    ("C2", "2024-01-20", "2024-01-22", 20.0, "cleared"),
    ("C3", "2024-01-21", "2024-02-04", 30.0, "confirmed"),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def difference(before: list[Row], after: list[Row], contract: Contract, place: Path) -> Difference:
    snapshots = []
    for name, rows in (("before", before), ("after", after)):
        folder = place / f"{name}-{len(list(place.iterdir()))}"
        snapshots.append((folder, frozen(folder, rows, contract)))
    return compare(snapshots[0], snapshots[1], contract, names=("2024-02-29", "2024-03-31"))


def test_new_rows_and_labels_appear_on_their_recorded_day(contract: Contract, place: Path) -> None:
    labelled: Row = ("C1", "2024-01-03", "2024-03-07", 10.0, "confirmed")
    again: Row = ("C2", "2024-01-20", "2024-03-07", 25.0, "cleared")
    opened: Row = ("C4", "2024-03-01", "2024-03-08", 1.0, None)

    assert difference(ROWS, [*ROWS, labelled, again, opened], contract, place).days == {
        "2024-03-07": Changes(rows_appeared=2, labels_appeared=1),
        "2024-03-08": Changes(rows_appeared=1),
    }


def test_reversed_and_withdrawn_labels_changed_and_vanished(contract: Contract, place: Path) -> None:
    reversal: Row = ("C3", "2024-01-21", "2024-03-07", 30.0, "cleared")
    withdrawn: Row = ("C2", "2024-01-20", "2024-03-09", 20.0, None)

    assert difference(ROWS, [*ROWS, reversal, withdrawn], contract, place).days == {
        "2024-03-07": Changes(rows_appeared=1, labels_changed=1),
        "2024-03-09": Changes(rows_appeared=1, labels_vanished=1),
    }


def test_restated_moment_changed_and_lost_row_vanished(contract: Contract, place: Path) -> None:
    restated: Row = ("C1", "2024-01-03", "2024-01-05", 11.0, None)
    found = difference(ROWS, [restated, ROWS[1]], contract, place)

    assert found.days == {
        "2024-01-05": Changes(rows_changed=1),
        "2024-02-04": Changes(rows_vanished=1, labels_vanished=1),
    }
    assert found.total == Changes(rows_changed=1, rows_vanished=1, labels_vanished=1)


def test_label_of_a_late_row_that_a_later_one_overrules_did_not_change(contract: Contract, place: Path) -> None:
    overruled: Row = ("C3", "2024-01-21", "2024-02-01", 30.0, "cleared")

    assert difference(ROWS, [*ROWS, overruled], contract, place).total == Changes(rows_appeared=1)


def test_equal_snapshots_differ_in_nothing(contract: Contract, place: Path) -> None:
    assert difference(ROWS, ROWS, contract, place).days == {}


def test_only_counts_and_days_are_told(contract: Contract, place: Path) -> None:
    told = repr(difference(ROWS, [*ROWS, ("C9", "2024-01-03", "2024-03-07", 98765.0, "confirmed")], contract, place))

    assert "C9" not in told
    assert "98765" not in told
