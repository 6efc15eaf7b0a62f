"""Whatever a version consists of: a byte that changed is named, wherever it lies."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Frozen, freeze, open_snapshot, pin_snapshot, verify_version
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.frozen_motor import AS_OF, TAG, cached, git, named, tags
from tests.tampering import flip_a_byte, flipped

pytestmark = pytest.mark.stack


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
    store.write(url, flipped(whole, 0))

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
        store.write(url, flipped(content, -9))
        assert named(verify) == url
        store.write(url, content)
    assert verify_version(place, motor, "2024-03-05", remote=True).total > 0


def test_lost_batch_manifest_is_named(place: Settings, frozen: Frozen, store: ObjectStore, motor: Contract) -> None:
    [url] = store.below(f"{place.claims_url}/motor/batches/")
    store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))

    assert named(lambda: verify_version(place, motor, "2024-03-05", remote=True)) == url
    assert verify_version(place, motor, "2024-03-05", remote=False).log == 0
