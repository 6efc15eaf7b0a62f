"""A snapshot is the log's prefix up to its date: the same bytes forever, whole or not at all, and no byte unnoticed."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Column, Contract, Kind, Role
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
    pull_snapshot,
    verify_version,
)
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

pytestmark = pytest.mark.stack

Command = Callable[..., subprocess.Popen[str]]

AS_OF = date(2024, 3, 5)
TAG = "claims/motor/2024-03-05"


@pytest.fixture
def frozen(place: Settings, motor: Contract, motor_file: Path) -> Frozen:
    land(place, motor, motor_file)
    return freeze(place, motor, AS_OF)


def frozen_from(pieces: list[pd.DataFrame], s3: Settings, motor: Contract, folder: Path) -> Frozen:
    """Land the pieces in turn into an empty log, and freeze it."""
    own = uuid.uuid4().hex[:8]
    urls = {"FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}", "FRAUD_ML_SNAPSHOT_REMOTE": str(folder / own / "remote")}
    elsewhere = Settings(home=folder / own, values={**s3.values, **urls})
    for piece in pieces:
        write_rows(piece, folder / "piece.parquet")
        land(elsewhere, motor, folder / "piece.parquet")
    return freeze(elsewhere, motor, AS_OF)


@pytest.fixture(scope="module")
def undisturbed(
    s3_settings: Settings, motor: Contract, motor_rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Frozen:
    """The version as it is when everything is landed at once and nothing is killed."""
    return frozen_from([motor_rows], s3_settings, motor, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "run")


def tags(place: Settings) -> list[str]:
    return git(place, "tag", "--list").split()


def git(place: Settings, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(place.snapshot_registry), *arguments], check=True, capture_output=True, text=True
    ).stdout


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    os.chmod(path, 0o644)
    path.write_bytes(content)


def cached(place: Settings, *, listing: bool) -> Path:
    """A Parquet partition, or DVC's list of files, in the cache."""
    found = [path for path in sorted((place.home / "snapshot-cache" / "files").rglob("*")) if path.is_file()]
    if listing:
        return next(path for path in found if path.suffix == ".dir")
    return next(path for path in found if path.read_bytes().startswith(b"PAR1"))


def named(act: Callable[[], object]) -> str:
    with pytest.raises(Tampered) as noticed:
        act()
    return str(noticed.value.facts["path"])


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


# --- pinning --------------------------------------------------------------------------------------------------------


def test_pin_needs_no_store_where_the_cache_holds_the_bytes(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    dead = Settings(home=place.home, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    assert pin_snapshot(dead, "motor", AS_OF, workspace) == frozen.manifest


def test_pin_pulls_what_the_cache_lacks(place: Settings, frozen: Frozen, workspace: Workspace) -> None:
    shutil.rmtree(place.home / "snapshot-cache")

    assert pin_snapshot(place, "motor", "2024-03-05", workspace) == frozen.manifest


def test_pin_is_unavailable_where_neither_cache_nor_store_answers(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    shutil.rmtree(place.home / "snapshot-cache")
    dead = Settings(home=place.home, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    with pytest.raises(Unavailable):
        pin_snapshot(dead, "motor", AS_OF, workspace)
    assert not workspace.snapshot.exists()


def test_remote_folder_that_is_gone_is_unavailable(
    place: Settings, motor: Contract, motor_file: Path, workspace: Workspace, tmp_path: Path
) -> None:
    here = Settings(
        home=place.home, values={**place.values, "FRAUD_ML_SNAPSHOT_REMOTE": str(tmp_path / "mounted" / "remote")}
    )
    land(here, motor, motor_file)
    freeze(here, motor, AS_OF)
    shutil.rmtree(tmp_path / "mounted")
    with pytest.raises(Unavailable, match=r"mounted/remote does not give .*No such file.* FRAUD_ML_SNAPSHOT_REMOTE"):
        verify_version(here, motor, "2024-03-05", remote=True)
    shutil.rmtree(place.home / "snapshot-cache")
    with pytest.raises(Unavailable, match=r"mount or restore it"):
        pin_snapshot(here, "motor", AS_OF, workspace)


def test_pinning_again_touches_nothing_and_mends_a_damaged_copy(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    pin_snapshot(place, "motor", AS_OF, workspace)
    before = workspace.snapshot.stat().st_ino
    pin_snapshot(place, "motor", AS_OF, workspace)
    assert workspace.snapshot.stat().st_ino == before

    flip_a_byte(workspace.snapshot / "log" / "2024-01.parquet")
    pin_snapshot(place, "motor", AS_OF, workspace)
    assert list(workspace.snapshot.parent.iterdir()) == [workspace.snapshot]


def test_pin_replaces_another_version(place: Settings, frozen: Frozen, motor: Contract, workspace: Workspace) -> None:
    other = freeze(place, motor, date(2024, 2, 10))
    for version in (frozen, other, frozen):
        pin_snapshot(place, "motor", version.manifest.as_of, workspace)
        assert open_snapshot(workspace.snapshot, motor).manifest == version.manifest


def test_pin_of_an_unknown_version_names_those_that_exist(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    with pytest.raises(BadInput, match=r"no snapshot of `motor` as of 2024-03-06\. Expected: one of 2024-03-05"):
        pin_snapshot(place, "motor", date(2024, 3, 6), workspace)


def test_contract_that_grew_a_column_is_told_apart_from_damage(
    place: Settings, frozen: Frozen, motor: Contract, workspace: Workspace
) -> None:
    pin_snapshot(place, "motor", AS_OF, workspace)
    added = Column(name="trailer", kind=Kind.CATEGORY, role=Role.FEATURE)
    grown = motor.model_copy(update={"columns": (*motor.columns, added)})

    with pytest.raises(BadInput, match="has no column `trailer`"):
        open_snapshot(workspace.snapshot, grown).claims()
    with pytest.raises(BadInput, match="does not have the columns of its contract"):
        freeze(place, grown, date(2024, 3, 6))


# --- one byte -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listing", [False, True], ids=["partition", "list of files"])
def test_changed_object_in_the_cache_is_named(
    place: Settings, frozen: Frozen, workspace: Workspace, *, listing: bool
) -> None:
    changed = cached(place, listing=listing)
    flip_a_byte(changed)

    assert named(lambda: pin_snapshot(place, "motor", AS_OF, workspace)) == str(changed)
    assert not workspace.snapshot.exists()
    changed.unlink()  # what the message advises
    assert pin_snapshot(place, "motor", AS_OF, workspace) == frozen.manifest


@pytest.mark.parametrize("listing", [False, True], ids=["partition", "list of files"])
def test_changed_object_in_the_remote_is_named(
    place: Settings, frozen: Frozen, store: ObjectStore, motor: Contract, workspace: Workspace, *, listing: bool
) -> None:
    path = cached(place, listing=listing)
    url = f"{place.snapshot_remote}/files/md5/{path.parent.name}/{path.name}"
    whole = store.read(url)
    store.write(url, bytes([whole[0] ^ 1]) + whole[1:])

    assert named(lambda: verify_version(place, motor, "2024-03-05", remote=True)) == url
    shutil.rmtree(place.home / "snapshot-cache")
    assert named(lambda: pin_snapshot(place, "motor", AS_OF, workspace)) == url
    store.write(url, whole)  # mending the remote is enough
    assert pin_snapshot(place, "motor", AS_OF, workspace) == frozen.manifest


def test_changed_cache_does_not_slip_into_the_next_version(place: Settings, frozen: Frozen, motor: Contract) -> None:
    changed = cached(place, listing=False)
    flip_a_byte(changed)
    os.chmod(changed, 0o444)  # how DVC leaves what it trusts

    assert named(lambda: freeze(place, motor, date(2024, 3, 12))) == str(changed)
    assert tags(place) == [TAG]


def test_changed_lost_and_added_files_of_a_pinned_snapshot_are_named(
    place: Settings, frozen: Frozen, motor: Contract, workspace: Workspace
) -> None:
    folder = workspace.snapshot

    def add(path: Path) -> None:
        path.write_bytes(b"")

    acts: list[tuple[str, Callable[[Path], object]]] = [
        ("log/2024-02.parquet", flip_a_byte),
        ("log/2024-02.parquet", Path.unlink),
        ("log/2024-02 (copy).parquet", add),
    ]
    for name, act in acts:
        pin_snapshot(place, "motor", AS_OF, workspace)
        act(folder / name)
        assert named(lambda: open_snapshot(folder, motor)) == str(folder / name)
    pin_snapshot(place, "motor", AS_OF, workspace)
    manifest = json.loads((folder / "manifest.json").read_text())
    for change in ({"rows": 1}, {"files": {}}, {"as_of": "2024-03-04"}, {"digest": "0" * 64}):
        (folder / "manifest.json").write_text(json.dumps({**manifest, **change}))
        assert named(lambda: open_snapshot(folder, motor)) == str(folder / "manifest.json")


def test_manifest_exchanged_in_git_is_named(place: Settings, frozen: Frozen, workspace: Workspace) -> None:
    message = git(place, "for-each-ref", "--format=%(contents)", f"refs/tags/{TAG}")
    path = place.snapshot_registry / "claims" / "motor" / "manifest.json"
    path.write_text(path.read_text().replace('"rows": ', '"rows": 1'))
    who = ("-c", "user.name=x", "-c", "user.email=x@localhost")
    git(place, *who, "commit", "--quiet", "--all", "--message", "exchange")
    git(place, *who, "tag", "--force", "--annotate", "--message", message, TAG)

    assert named(lambda: pin_snapshot(place, "motor", AS_OF, workspace)) == TAG


def test_verify_names_one_flipped_byte_in_whatever_a_version_consists_of(
    place: Settings, frozen: Frozen, store: ObjectStore, motor: Contract
) -> None:
    own = place.claims_url.removeprefix("s3://")
    urls = [*store.below(f"s3://{own}/motor/batches/"), store.below(f"s3://{own}/motor/log/")[0]]
    urls += store.below(f"{place.snapshot_remote}/")
    git_files = [path for path in (place.snapshot_registry / ".git" / "objects").rglob("*") if path.is_file()]
    tag = place.snapshot_registry / ".git" / "refs" / "tags" / TAG
    cache = [path for path in (place.home / "snapshot-cache" / "files").rglob("*") if path.is_file()]

    def verify() -> object:
        return verify_version(place, motor, "2024-03-05", remote=True)

    assert len(git_files) >= 10
    for path in (*git_files, tag, *cache):
        whole, mode = path.read_bytes(), path.stat().st_mode
        flip_a_byte(path)
        assert named(verify) == str(path)
        path.write_bytes(whole)
        path.chmod(mode)
    for url in urls:
        content = store.read(url)
        store.write(url, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        assert named(verify) == url
        store.write(url, content)
    assert verify_version(place, motor, "2024-03-05", remote=True).total > 0


def test_lost_batch_manifest_is_named(place: Settings, frozen: Frozen, store: ObjectStore, motor: Contract) -> None:
    [url] = store.below(f"{place.claims_url}/motor/batches/")
    store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))

    assert named(lambda: verify_version(place, motor, "2024-03-05", remote=True)) == url
    assert verify_version(place, motor, "2024-03-05", remote=False).log == 0


# --- compared, and pulled -------------------------------------------------------------------------------------------


def test_diff_counts_what_appeared_by_recorded_day_and_nothing_between_a_version_and_itself(
    place: Settings, frozen: Frozen, motor: Contract, motor_rows: pd.DataFrame
) -> None:
    freeze(place, motor, date(2024, 3, 12))
    later = motor_rows[motor_rows["recorded_at"] >= "2024-03-06"]
    found = diff_versions(place, motor, "2024-03-05", "2024-03-12")

    per_day = later["recorded_at"].dt.strftime("%Y-%m-%d").value_counts().to_dict()
    assert {day: changes.rows_appeared for day, changes in found.days.items()} == per_day
    assert found.total.labels_appeared == later["outcome"].notna().sum()
    back = diff_versions(place, motor, "2024-03-12", "2024-03-05")
    assert (back.total.rows_vanished, back.total.labels_vanished) == (len(later), found.total.labels_appeared)
    assert diff_versions(place, motor, "2024-03-05", "2024-03-05").days == {}


def test_pull_takes_an_empty_or_a_snapshots_folder_and_no_other(
    place: Settings, frozen: Frozen, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("absent", "empty", "empty"):
        assert pull_snapshot(place, "motor", "2024-03-05", tmp_path / name) == frozen.manifest
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")

    with pytest.raises(BadInput, match="holds something else than a snapshot"):
        pull_snapshot(place, "motor", "2024-03-05", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"


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


# --- the registry for people ----------------------------------------------------------------------------------------


def test_credentials_stay_out_of_git(place: Settings, frozen: Frozen) -> None:
    local = place.snapshot_registry / ".dvc" / "config.local"
    secret = place.values["AWS_SECRET_ACCESS_KEY"]

    assert secret in local.read_text()
    assert local.stat().st_mode & 0o077 == 0
    for line in git(place, "ls-files").splitlines():
        text = (place.snapshot_registry / line).read_text()
        assert secret not in text
        assert place.values["AWS_ENDPOINT_URL"] not in text


def test_plain_dvc_gets_the_same_bytes(place: Settings, frozen: Frozen, tmp_path: Path) -> None:
    from dvc.repo import Repo

    shutil.rmtree(place.home / "snapshot-cache")
    git(place, "checkout", "--quiet", TAG)
    with Repo(str(place.snapshot_registry)) as repo:
        repo.pull()
    names = sorted(frozen.manifest.files)
    data = place.snapshot_registry / "claims" / "motor" / "snapshot"

    assert sorted(path.relative_to(data).as_posix() for path in data.rglob("*.parquet")) == names
    assert sum(parquet.read_metadata(data / name).num_rows for name in names) == frozen.manifest.rows


def test_commands_tell_programs_json_and_nothing_else(
    place: Settings, motor_file: Path, motor_rows: pd.DataFrame, command: Command, tmp_path: Path
) -> None:
    landed_days = {f"{moment:%Y-%m-%d}" for moment in motor_rows["recorded_at"] if moment < pd.Timestamp("2024-03-06")}
    answers = []
    for arguments in (
        ("land", "motor", motor_file),
        ("snapshot", "freeze", "motor", "2024-03-05"),
        ("snapshot", "list", "motor"),
        ("snapshot", "show", "motor", "2024-03-05"),
        ("snapshot", "verify", "motor", "2024-03-05"),
        ("snapshot", "freeze", "motor", "2024-02-29"),
        ("snapshot", "diff", "motor", "2024-02-29", "2024-03-05"),
        ("snapshot", "pull", "motor", "2024-03-05", "--into", tmp_path / "pulled"),
    ):
        process = command(*arguments, "--json")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        answers.append(json.loads(out))

    landed, version, versions, shown, verified, earlier, difference, pulled = answers
    assert landed["created"]
    assert (version["created"], version["tag"], version["as_of"]) == (True, TAG, "2024-03-05")
    assert [item["tag"] for item in versions] == [TAG]
    assert version["restated"] is None
    assert shown["manifest"] == version["manifest"]
    files, days = len(version["manifest"]["files"]), len(landed_days)
    assert {name: verified[name] for name in ("cached", "remote", "log", "folded")} == {
        "cached": files + 1,
        "remote": files + 2,
        "log": days + 1,
        "folded": 0,
    }
    assert difference["total"]["rows_appeared"] == version["manifest"]["rows"] - earlier["manifest"]["rows"]
    assert set(difference["days"]) == {day for day in landed_days if day > "2024-02-29"}
    assert pulled == version["manifest"]
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == ["log", "manifest.json"]


def test_commands_exit_2_when_rejected_and_3_when_unavailable(
    place: Settings, store: ObjectStore, motor_file: Path, command: Command
) -> None:
    process = command("snapshot", "freeze", "motor", "2024-03-05")
    assert "the log of `motor` is empty" in process.communicate()[1]
    assert process.returncode == 2
    process = command("snapshot", "freeze", "motor", "soon")
    assert "not a date. Expected: YYYY-MM-DD" in process.communicate()[1]
    assert process.returncode == 2
