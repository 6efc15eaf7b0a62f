"""Uploads and downloads of big objects go on where a kill cut them off, and notice what changed meanwhile."""

import io
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.awsrequest import AWSResponse

from fraud_ml.errors import Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.objects.uploads import part_size
from fraud_ml.settings import PROJECT, Settings

pytestmark = pytest.mark.stack

MIB = 1024 * 1024
PARTS = 3  # of the big file

# Moves one file, and is killed at the n-th call of a kind: before it is sent, or when it was answered.
_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
way, url, path, moment, after = sys.argv[1:]
store, left = ObjectStore(Settings.load()), [int(after)]
def count(**_):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
store._client.meta.events.register(moment, count)
getattr(store, way)({url: Path(path)})
"""


@pytest.fixture
def store(s3_settings: Settings) -> ObjectStore:
    return ObjectStore(s3_settings)


@pytest.fixture
def url() -> str:
    return f"s3://claims/sent-{uuid.uuid4().hex[:8]}/big.parquet"


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of three parts, no two alike."""
    path = tmp_path / "big.parquet"
    path.write_bytes(np.random.default_rng(3).bytes(2 * 8 * MIB + 4_321))
    return path


@pytest.fixture
def kill(s3_settings: Settings) -> Callable[..., None]:
    """Move a file in a process that is killed at that moment."""

    def run(way: str, url: str, path: Path, moment: str, after: int) -> None:
        values = {name: value for name, value in s3_settings.values.items() if name.startswith("AWS_")}
        done = subprocess.run(
            [sys.executable, "-c", _IS_KILLED, way, url, str(path), moment, str(after)],
            cwd=PROJECT,
            env={**os.environ, **values, "FRAUD_ML_HOME": str(path.parent / "home")},
            check=False,
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL

    return run


def unfinished(store: ObjectStore, url: str) -> dict[str, list[int]]:
    """Return the unfinished uploads of an address, each with the numbers of its parts."""
    target = dict(zip(("Bucket", "Key"), url.removeprefix("s3://").split("/", 1), strict=True))
    listed = store._client.list_multipart_uploads(Bucket=target["Bucket"], Prefix=target["Key"]).get("Uploads", [])
    return {
        item["UploadId"]: [
            part["PartNumber"]
            for part in store._client.list_parts(**target, UploadId=item["UploadId"]).get("Parts", [])
        ]
        for item in listed
        if item["Key"] == target["Key"]
    }


def begun(store: ObjectStore, url: str, *parts: bytes) -> dict[str, str]:
    """Begin an upload, as somebody else would."""
    target = dict(zip(("Bucket", "Key"), url.removeprefix("s3://").split("/", 1), strict=True))
    target["UploadId"] = store._client.create_multipart_upload(**target)["UploadId"]
    for number, part in enumerate(parts, 1):
        store._client.upload_part(**target, PartNumber=number, Body=part)
    return target


def watched(store: ObjectStore, call: str) -> list[Any]:
    """Return a list to which each such call adds what it asks for."""
    seen: list[Any] = []
    store._client.meta.events.register(f"before-parameter-build.s3.{call}", lambda params, **_: seen.append(params))
    return seen


@pytest.mark.parametrize(
    ("moment", "after"),
    [
        ("before-call.s3.UploadPart", 0),
        ("after-call.s3.UploadPart", 1),
        ("before-call.s3.CompleteMultipartUpload", 0),
        ("after-call.s3.CompleteMultipartUpload", 0),
    ],
)
def test_upload_that_was_killed_sends_only_what_is_missing(
    store: ObjectStore, url: str, big: Path, kill: Callable[..., None], moment: str, after: int
) -> None:
    kill("upload", url, big, moment, after)
    held = {number for numbers in unfinished(store, url).values() for number in numbers}
    sent = watched(store, "UploadPart")
    told: set[int] = set()  # a part that was under way at the kill may arrive after `held` was read

    def note(parsed: dict[str, Any], **_: object) -> None:
        told.update(part["PartNumber"] for part in parsed.get("Parts", []))

    store._client.meta.events.register("after-call.s3.ListParts", note)
    store.upload({url: big})

    assert held <= told
    assert {asked["PartNumber"] for asked in sent} == set(range(1, PARTS + 1)) - told
    assert len(held) >= {"after-call.s3.UploadPart": 1, "before-call.s3.CompleteMultipartUpload": PARTS}.get(moment, 0)
    assert store.read(url) == big.read_bytes()
    assert not any(unfinished(store, url).values())


def test_unfinished_upload_of_other_bytes_is_given_up_and_a_neighbours_is_not(
    store: ObjectStore, url: str, big: Path
) -> None:
    content = big.read_bytes()
    begun(store, url, content[: 8 * MIB], content[: 8 * MIB])  # the second part is another
    begun(store, url, content[: 8 * MIB], content[8 * MIB : 16 * MIB], content[16 * MIB :], b"one part more")
    neighbour = begun(store, f"{url}.part", b"x")["UploadId"]
    sent = watched(store, "UploadPart")
    store.upload({url: big})

    assert len(sent) == PARTS
    assert store.read(url) == content
    assert unfinished(store, url) == {}
    assert unfinished(store, f"{url}.part") == {neighbour: [1]}


def test_uploads_of_the_same_file_at_once_all_end_well(s3_settings: Settings, url: str, big: Path) -> None:
    """Each may go on with the other's upload, and find it finished."""
    stores = [ObjectStore(s3_settings) for _ in range(3)]
    for _ in range(2):
        begun(stores[0], url, big.read_bytes()[: 8 * MIB])
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(store.upload, {url: big}) for store in stores]:
            done.result()

    assert stores[0].read(url) == big.read_bytes()
    assert not any(unfinished(stores[0], url).values())


def test_account_that_may_not_list_uploads_can_still_write(store: ObjectStore, url: str, big: Path) -> None:
    refused = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"

    def deny(request: Any, **_: object) -> AWSResponse:
        return AWSResponse(request.url, 403, {}, BytesIO(refused))

    class BytesIO(io.BytesIO):
        def stream(self, **_: object) -> list[bytes]:
            return [self.read()]

    store._client.meta.events.register("before-send.s3.ListMultipartUploads", deny)
    store.upload({url: big})
    assert store.read(url) == big.read_bytes()


def test_upload_that_somebody_else_ended_is_told_so(store: ObjectStore, url: str, big: Path) -> None:
    def end(params: dict[str, Any], **_: object) -> None:
        store._client.abort_multipart_upload(**{name: params[name] for name in ("Bucket", "Key", "UploadId")})

    store._client.meta.events.register("before-parameter-build.s3.CompleteMultipartUpload", end)
    with pytest.raises(Unavailable, match="was ended by another one of other bytes") as told:
        store.upload({url: big})
    assert url in str(told.value)
    assert not store.exists(url)


def test_file_that_changes_while_it_is_sent_makes_no_object(store: ObjectStore, url: str, big: Path) -> None:
    content = big.read_bytes()

    def change(params: dict[str, Any], **_: object) -> None:
        if params["PartNumber"] == PARTS:
            with big.open("r+b") as file:
                file.write(b"changed")

    store._client.meta.events.register("before-parameter-build.s3.UploadPart", change)
    with pytest.raises(Unavailable, match="was changed while it was sent"):
        store.upload({url: big})
    assert not store.exists(url)
    store._client.meta.events.unregister("before-parameter-build.s3.UploadPart", change)
    store.upload({url: big})
    assert store.read(url) == b"changed" + content[7:]


def test_parts_of_the_largest_object_are_no_more_than_s3_allows() -> None:
    for size in (9 * MIB, 80_000 * MIB, 80_000 * MIB + 1, 5 * MIB * MIB):
        assert part_size(size) >= 5 * MIB
        assert -(-size // part_size(size)) <= 10_000


def test_download_that_was_killed_goes_on_behind_what_it_holds(
    store: ObjectStore, url: str, big: Path, tmp_path: Path, kill: Callable[..., None]
) -> None:
    store.upload({url: big})
    into = tmp_path / "again" / "big.parquet"
    kill("download", url, into, "before-call.s3.GetObject", 2)  # one question for the object, one for its first range
    [partial] = into.parent.glob(".big.parquet.*.partial")
    assert partial.stat().st_size == 8 * MIB
    assert not into.exists()
    asked = watched(store, "GetObject")
    store.download({url: into})

    assert [params["Range"].split("-")[0] for params in asked if "Range" in params] == [
        f"bytes={8 * MIB}",
        f"bytes={16 * MIB}",
    ]
    assert into.read_bytes() == big.read_bytes()
    assert list(into.parent.glob(".*")) == []


def test_object_that_changes_while_it_is_read_is_named_and_never_mixed(
    s3_settings: Settings, store: ObjectStore, url: str, big: Path, tmp_path: Path
) -> None:
    old, new = big.read_bytes(), big.read_bytes()[::-1]
    store.upload({url: big})
    into = tmp_path / "again"

    def change(params: dict[str, Any], **_: object) -> None:
        if params.get("Range", "").startswith(f"bytes={8 * MIB}-"):
            big.write_bytes(new)
            ObjectStore(s3_settings).upload({url: big})

    store._client.meta.events.register("before-parameter-build.s3.GetObject", change)
    with pytest.raises(Unavailable, match="was replaced while it was being read") as told:
        store.download({url: into})
    store._client.meta.events.unregister("before-parameter-build.s3.GetObject", change)

    assert url in str(told.value)
    assert not into.exists()
    assert list(tmp_path.glob(".again*")) == []
    store.download({url: into})
    assert into.read_bytes() == new != old
