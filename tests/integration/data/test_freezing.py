"""Freezing gives a date the same bytes forever, whole or not at all, and does nothing twice."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Contract
from fraud_ml.data.changes import Changes, Difference
from fraud_ml.data.log import land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import (
    Frozen,
    Reason,
    diff_versions,
    freeze,
    list_versions,
    open_snapshot,
    pin_snapshot,
    verify_version,
)
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.command_line import Command
from tests.frozen_motor import AS_OF, TAG, frozen_from, git, tags

pytestmark = pytest.mark.stack


# --- what it holds --------------------------------------------------------------------------------------------------


def test_nothing_recorded_after_the_date_is_in_it_and_everything_before_is(
    place: Settings, frozen: Frozen, motor: Contract, motor_rows: pd.DataFrame, workspace: Workspace
) -> None:
    pin_snapshot(place, "motor", AS_OF, workspace)
    claims = open_snapshot(workspace.snapshot, motor).claims()
    known = motor_rows[motor_rows["recorded_at"] < "2024-03-06"]
    last = known.sort_values("recorded_at").groupby("claim_id").tail(1).sort_values("claim_id")

    assert frozen.manifest.rows == len(known) < len(motor_rows)
    assert claims["recorded_at"].max() < pd.Timestamp("2024-03-06")
    assert claims["claim_id"].tolist() == last["claim_id"].tolist()
    assert claims["event"].tolist() == last["event"].tolist()
    assert claims["outcome"].isna().tolist() == last["outcome"].isna().tolist()
    assert list(claims.columns) == [*motor.names, "event_time"]
    assert str(claims["event_time"].dtype) == "datetime64[us]"
    assert str(claims["claim_amount_eur"].dtype) == "float64"


def test_closed_months_are_one_file_and_open_days_their_own(place: Settings, frozen: Frozen) -> None:
    names = sorted(frozen.manifest.files)
    assert names[:2] == ["log/2024-01.parquet", "log/2024-02.parquet"]
    assert all(name.startswith("log/2024-03-0") for name in names[2:])


def test_later_dates_share_the_closed_months_bytes(place: Settings, frozen: Frozen, motor: Contract) -> None:
    later = freeze(place, motor, date(2024, 3, 12)).manifest.files
    shared = set(frozen.manifest.files.items()) & set(later.items())

    assert shared == set(frozen.manifest.files.items())


def test_freezing_again_changes_nothing(place: Settings, frozen: Frozen, motor: Contract) -> None:
    before = git(place, "rev-parse", "main")
    again = freeze(place, motor, AS_OF)

    assert (frozen.created, again.created) == (True, False)
    assert replace(again, created=True) == frozen
    assert git(place, "rev-parse", "main") == before
    assert frozen.tag == TAG
    assert git(place, "rev-parse", f"{TAG}^{{commit}}").strip() == frozen.git_rev


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_same_date_gives_the_same_bytes_whatever_the_landing_order_and_split(
    data: st.DataObject,
    undisturbed: Frozen,
    s3_settings: Settings,
    motor: Contract,
    motor_rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    parts = data.draw(
        st.lists(st.integers(0, 2), min_size=len(motor_rows), max_size=len(motor_rows)), label="part of row"
    )
    again = data.draw(st.sets(st.integers(0, len(motor_rows) - 1), max_size=5), label="rows landed twice")
    order = data.draw(st.permutations([0, 1, 2]), label="landing order")
    number = pd.Series(parts)
    pieces = [motor_rows[(number == part) | motor_rows.index.isin(again)] for part in order]

    shuffled = [piece.sample(frac=1, random_state=1) for piece in pieces if len(piece)]
    actual = frozen_from(shuffled, s3_settings, motor, tmp_path)
    assert actual.manifest.files == undisturbed.manifest.files
    assert actual.manifest.digest == undisturbed.manifest.digest


def test_restated_history_is_a_revision_beside_the_first_version(
    place: Settings, motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    write_rows(motor_rows.iloc[5:], tmp_path / "first.csv")
    write_rows(motor_rows.iloc[:5], tmp_path / "late.csv")
    land(place, motor, tmp_path / "first.csv")
    first = freeze(place, motor, AS_OF)
    land(place, motor, tmp_path / "late.csv")
    second = freeze(place, motor, AS_OF)

    assert second.created
    assert tags(place) == [TAG, f"{TAG}.r2"]
    assert second.manifest.rows == first.manifest.rows + 5
    assert first.restated is None
    assert second.restated == diff_versions(place, motor, "2024-03-05", "2024-03-05.r2")
    assert second.restated is not None
    assert second.restated.total.rows_appeared == 5
    assert second.because == (Reason.LATE_ROWS,)
    assert not freeze(place, motor, AS_OF).created
    for name, version in (("2024-03-05", first), ("2024-03-05.r2", second)):
        assert pin_snapshot(place, "motor", name, Workspace(tmp_path / name)) == version.manifest


def test_code_that_gives_other_bytes_makes_a_revision_beside_the_first_version_and_tells_the_difference(
    place: Settings,
    motor: Contract,
    motor_file: Path,
    motor_rows: pd.DataFrame,
    freeze_by_earlier_code: Callable[..., Version],
    tmp_path: Path,
) -> None:
    land(place, motor, motor_file)
    first = freeze_by_earlier_code(AS_OF, other_bytes=True)
    second = freeze(place, motor, AS_OF)

    assert (second.created, second.because) == (True, (Reason.OTHER_LAYOUT,))
    assert second.restated == Difference("motor", "2024-03-05", "2024-03-05.r2", Changes(), {})  # the same claims
    assert tags(place) == [TAG, f"{TAG}.r2"]
    assert second.manifest.code_version.startswith("0.1.0")
    assert not freeze(place, motor, AS_OF).created
    for version in (first, SnapshotRegistry(place).version("motor", "2024-03-05.r2")):
        assert pin_snapshot(place, "motor", version.name, Workspace(tmp_path / version.name)).digest == version.digest

    write_rows(motor_rows.head(1).assign(recorded_at=pd.Timestamp("2024-03-05T23:00")), tmp_path / "late.csv")
    land(place, motor, tmp_path / "late.csv")
    assert freeze(place, motor, AS_OF).because == (Reason.LATE_ROWS,)


def test_code_that_gives_the_same_bytes_changes_nothing_and_says_so(
    place: Settings, motor: Contract, motor_file: Path, freeze_by_earlier_code: Callable[..., Version]
) -> None:
    land(place, motor, motor_file)
    first = freeze_by_earlier_code(AS_OF, other_bytes=False)
    again = freeze(place, motor, AS_OF)

    assert (again.created, again.git_rev, again.restated) == (False, first.git_rev, None)
    assert tags(place) == [TAG]


def test_day_that_is_not_over_is_frozen_and_said_to_be_open(place: Settings, frozen: Frozen, motor: Contract) -> None:
    assert freeze(place, motor, AS_OF, now=datetime(2024, 3, 5, 23, 59, 59, tzinfo=UTC)).day_is_open
    ahead = timezone(timedelta(hours=2))
    assert freeze(place, motor, AS_OF, now=datetime(2024, 3, 6, 1, 59, tzinfo=ahead)).day_is_open
    assert not freeze(place, motor, AS_OF, now=datetime(2024, 3, 6, tzinfo=UTC)).day_is_open
    assert not frozen.day_is_open


def test_other_batches_with_the_same_rows_are_the_same_version(
    place: Settings, frozen: Frozen, motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    write_rows(motor_rows.iloc[:9], tmp_path / "known.csv")
    assert land(place, motor, tmp_path / "known.csv").created

    again = freeze(place, motor, AS_OF)
    assert not again.created
    assert again.manifest == frozen.manifest


def test_date_before_the_log_names_the_dates_that_exist(place: Settings, frozen: Frozen, motor: Contract) -> None:
    with pytest.raises(BadInput, match=r"a date from 2024-01-\d\d on"):
        freeze(place, motor, date(2023, 12, 31))
    assert tags(place) == [TAG]


# --- what need not be done again ------------------------------------------------------------------------------------


def test_later_freeze_reads_only_the_log_objects_that_are_new(
    place: Settings, frozen: Frozen, store: ObjectStore, motor: Contract, motor_rows: pd.DataFrame
) -> None:
    """The old ones are gone, and nobody misses them: the closed months come from the version before."""
    for url in store.below(f"{place.claims_url}/motor/log/"):
        if url.split("recorded_day=")[1][:10] <= "2024-03-05":
            store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))
    later = freeze(place, motor, date(2024, 3, 12)).manifest

    assert set(frozen.manifest.files.items()) < set(later.files.items())
    assert later.rows == len(motor_rows)
    with pytest.raises(Unavailable):
        freeze(place, motor, date(2024, 2, 15))  # its days were laid out within a month


def test_manifest_tells_where_the_claims_came_from_and_the_digest_only_what_they_are(frozen: Frozen) -> None:
    manifest = frozen.manifest
    other = replace(manifest, code_version="2.0", batches=("other",), source_digests=(), laid_from={})

    assert set(manifest.laid_from) == set(manifest.files)
    assert manifest.code_version.startswith("0.1.0")
    assert len(manifest.batches) == len(manifest.source_digests) == 1
    assert other.content_digest() == manifest.content_digest()


# --- killed, and two at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("instant", ["scratch", "pointer", "commit"])
def test_killed_freeze_leaves_no_version_and_its_retry_the_same_one(
    place: Settings,
    motor: Contract,
    motor_file: Path,
    undisturbed: Frozen,
    command: Command,
    instant: str,
) -> None:
    land(place, motor, motor_file)
    registry = place.snapshot_registry
    home = registry / "claims" / "motor"
    main = registry / ".git" / "refs" / "heads" / "main"

    def commits() -> int:
        log = registry / ".git" / "logs" / "refs" / "heads" / "main"
        return log.read_text().count("\n") if log.exists() else 0

    reached = {
        "scratch": (SnapshotRegistry(place).scratch / "snapshot").exists,
        "pointer": (home / "snapshot.dvc").exists,
        "commit": lambda: commits() > 1,
    }[instant]
    freezing = command("snapshot", "freeze", "motor", AS_OF)
    while freezing.poll() is None and not reached():
        time.sleep(0.0005)
    freezing.kill()
    freezing.wait()
    (main.parent / "main.lock").touch()  # git, killed too
    time.sleep(0.1)

    if instant != "commit":  # between commit and tag are milliseconds
        assert list_versions(place, "motor") == ()
    again = freeze(place, motor, AS_OF)
    assert tags(place) == [TAG]
    assert again.manifest.files == undisturbed.manifest.files
    assert verify_version(place, motor, "2024-03-05", remote=True).remote == len(again.manifest.files) + 2
    assert git(place, "status", "--porcelain") == ""


def test_two_freezes_at_once_take_turns(place: Settings, motor: Contract, motor_file: Path, command: Command) -> None:
    land(place, motor, motor_file)
    both = [command("snapshot", "freeze", "motor", day, "--json") for day in ("2024-02-29", "2024-03-05")]
    told = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    assert [json.loads(out)["tag"] for out, _ in told] == ["claims/motor/2024-02-29", TAG]
    assert tags(place) == ["claims/motor/2024-02-29", TAG]
    assert json.loads(told[0][0])["manifest"]["files"] == freeze(place, motor, date(2024, 2, 29)).manifest.files


def test_lock_of_a_dead_process_is_taken_over(place: Settings, motor: Contract, motor_file: Path) -> None:
    place.home.mkdir()
    (place.home / "registry.lock").write_text("999999")
    land(place, motor, motor_file)

    assert freeze(place, motor, AS_OF).created
