"""Objects are found over many pages, fetched on from where a download was cut off, and checked by size and ETag."""

import uuid
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.data.landing import Landed, Refused, land_source
from fraud_ml.data.sources import open_source
from fraud_ml.data.sources.s3 import S3Source
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore, StoredObject
from fraud_ml.settings import Settings
from tests.integration.data.sources.deliveries import Place

pytestmark = pytest.mark.stack


@pytest.fixture
def sent() -> str:
    """A prefix of one's own."""
    return f"s3://claims/sent-{uuid.uuid4().hex[:8]}"


def named(address: str, log: Place) -> list[str]:
    return [delivery.name for delivery in open_source(address, log.contract, log.settings).deliveries()]


def test_listing_turns_every_page(place: Settings, store: ObjectStore, sent: str) -> None:
    urls = [f"{sent}/{number:02d}.csv" for number in range(11)]
    for url in urls:
        store.write(url, b"x")

    assert [item.url for item in ObjectStore(place, page_size=3).listing(sent)] == urls


def test_prefix_pattern_and_key_name_their_objects(log: Place, store: ObjectStore, sent: str) -> None:
    for name in ("day=1/a.csv", "day=1/b.jsonl", "day=10/a.csv", "day=2/a.csv", "day=1/_SUCCESS", "day=1.csv"):
        store.write(f"{sent}/{name}", b"x")

    assert named(f"{sent}/day=1", log) == [f"{sent}/day=1/a.csv", f"{sent}/day=1/b.jsonl"]
    assert named(f"{sent}/day=1*/a.csv", log) == [f"{sent}/day=1/a.csv", f"{sent}/day=10/a.csv"]
    assert named(f"{sent}/day=1/a.csv", log) == [f"{sent}/day=1/a.csv"]
    with pytest.raises(BadInput, match="no such object") as refused:
        named(f"{sent}/day=3*", log)
    assert refused.value.facts["code"] == "LAND014"


def test_cut_off_download_goes_on_where_it_ended(
    store: ObjectStore, sent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 400
    store.write(f"{sent}/a.csv", content)
    [item] = store.listing(sent)
    asked: list[str] = []
    store._client.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: asked.append(params["headers"]["Range"])
    )
    monkeypatch.setattr("fraud_ml.objects.downloads._PART", 30_000)
    file = tmp_path / "a.partial"
    file.write_bytes(content[:70_001])
    store.fetch(item, file)

    assert file.read_bytes() == content
    assert asked == ["bytes=70001-100000", "bytes=100001-102399"]


def test_object_that_was_replaced_since_it_was_listed_is_not_mixed(
    store: ObjectStore, sent: str, tmp_path: Path
) -> None:
    store.write(f"{sent}/a.csv", b"old" * 10)
    [item] = store.listing(sent)
    (tmp_path / "a").write_bytes(b"old")
    store.write(f"{sent}/a.csv", b"new" * 10)

    with pytest.raises(Unavailable):
        store.fetch(item, tmp_path / "a")


def test_bytes_that_are_not_the_etags_are_thrown_away(store: ObjectStore, sent: str, tmp_path: Path) -> None:
    store.write(f"{sent}/a.csv", b"right" * 10)
    [item] = store.listing(sent)
    (tmp_path / "a").write_bytes(b"wrong")

    with pytest.raises(Unavailable, match="arrived otherwise than it was listed"):
        store.fetch(item, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    store.fetch(item, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"right" * 10


def test_file_that_another_process_fetches_is_left_to_it(store: ObjectStore, sent: str, tmp_path: Path) -> None:
    import fcntl

    store.write(f"{sent}/a.csv", b"x")
    [item] = store.listing(sent)
    with (tmp_path / "a").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="being fetched by another process"):
            store.fetch(item, tmp_path / "a")


def test_object_that_is_gone_or_broken_stops_no_other(
    log: Place, store: ObjectStore, sent: str, motor_rows: pd.DataFrame
) -> None:
    text = motor_rows.to_csv(index=False).encode()
    for name, content in (("a.csv", b"no,claims\n1,2\n"), ("b.csv", text), ("c.csv", text)):
        store.write(f"{sent}/{name}", content)
    source = open_source(sent, log.contract, log.settings)
    outcomes = land_source(log.settings, log.contract, source)
    first, second = next(outcomes), next(outcomes)
    store._client.delete_object(Bucket="claims", Key=f"{sent}/c.csv".removeprefix("s3://claims/"))
    [third] = outcomes

    assert isinstance(first, Refused)
    assert first.code == "LAND013"
    assert isinstance(second, Landed)
    assert second.batch is not None
    assert second.batch.created
    assert isinstance(third, Refused)
    assert third.code == "LAND014"
    assert log.written == len(motor_rows)


def test_object_that_changes_while_it_is_read_is_refused_and_read_anew_later(
    log: Place, store: ObjectStore, sent: str, motor_rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (rows.to_csv(index=False).encode() for rows in (motor_rows.iloc[:-1], motor_rows))
    monkeypatch.setattr("fraud_ml.objects.downloads._PART", len(old) // 2)
    store.write(f"{sent}/a.csv", old)
    source = open_source(sent, log.contract, log.settings)
    assert isinstance(source, S3Source)

    def change(params: dict[str, str], **_: object) -> None:
        if not params["Range"].startswith("bytes=0-"):
            store.write(f"{sent}/a.csv", new)

    source._bucket._client.meta.events.register("before-parameter-build.s3.GetObject", change)
    [refused] = land_source(log.settings, log.contract, source)
    [landed] = log.land(sent)

    assert isinstance(refused, Refused)
    assert refused.code == "LAND014"
    assert f"{sent}/a.csv: listed, but gone or replaced when it was read" in refused.reason
    assert isinstance(landed, Landed)
    assert log.written == len(motor_rows)
    assert list((log.settings.home / "downloads").iterdir()) == []


def test_finished_download_leaves_no_file_behind(
    log: Place, store: ObjectStore, sent: str, motor_rows: pd.DataFrame
) -> None:
    store.write(f"{sent}/a.csv", motor_rows.to_csv(index=False).encode())
    log.land(f"{sent}/a.csv")

    assert list((log.settings.home / "downloads").iterdir()) == []


def test_object_of_many_parts_is_checked_by_its_size(store: ObjectStore, sent: str, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"0123456789abcdef" * (9 << 16))  # 9 MiB go up in parts
    store.upload({f"{sent}/large": file})
    [item] = store.listing(sent)
    store.fetch(item, tmp_path / "again")

    assert "-" in item.etag
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    with pytest.raises(Unavailable):
        store.fetch(StoredObject(item.url, item.size + 5, item.etag, item.modified), tmp_path / "again")
