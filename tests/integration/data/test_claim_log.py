"""The claim log keeps every row once, shows a batch whole or not at all, and notices what was changed."""

import hashlib
import json
import shutil
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.landing import Refused, land_source
from fraud_ml.data.log import ClaimLog, land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import freeze, verify_version
from fraud_ml.data.sources import open_source
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import Command
from tests.tampering import flipped

pytestmark = pytest.mark.stack


def test_rows_stand_by_recorded_day_under_a_manifest_that_hashes_them(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path, motor_rows: pd.DataFrame
) -> None:
    batch = land(place, motor, motor_file)
    [manifest] = ClaimLog(place, motor).batches()

    days = motor_rows["recorded_at"].dt.strftime("%Y-%m-%d")
    assert [item.day for item in manifest.objects] == sorted(days.unique())
    assert batch.rows == manifest.rows == sum(item.rows for item in manifest.objects) == len(motor_rows)
    assert manifest.source_digest == hashlib.sha256(motor_file.read_bytes()).hexdigest()
    for item in manifest.objects:
        url = f"{place.claims_url}/motor/log/recorded_day={item.day}/{batch.id}.parquet"
        assert hashlib.sha256(store.read(url)).hexdigest() == item.sha256


def test_landing_again_adds_nothing_and_says_so(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    first = land(place, motor, motor_file)
    held = store.below(f"{place.claims_url}/")
    shuffled = tmp_path / "shuffled.csv.gz"
    write_rows(motor_rows.sample(frac=1, random_state=1), shuffled)

    for file in (motor_file, shuffled):
        again = land(place, motor, file)
        assert (first.created, again.created) == (True, False)
        assert again.id == first.id
    assert store.below(f"{place.claims_url}/") == held


def test_refused_file_leaves_nothing_behind(
    place: Settings, store: ObjectStore, motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    broken = motor_rows.astype({"witnesses": object})
    broken.loc[7, "witnesses"] = "several"
    write_rows(broken, tmp_path / "broken.csv")

    with pytest.raises(BadInput, match=r'"witnesses".*1 of .*first at row 8, line 9'):
        land(place, motor, tmp_path / "broken.csv")
    assert store.below(f"{place.claims_url}/") == []
    write_rows(motor_rows, tmp_path / "broken.csv")
    assert land(place, motor, tmp_path / "broken.csv").created


def test_batch_without_manifest_is_invisible(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path
) -> None:
    batch = land(place, motor, motor_file)
    url = ClaimLog(place, motor).manifest_url(batch.id)
    store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))

    assert ClaimLog(place, motor).batches() == ()
    with pytest.raises(BadInput, match="the log of `motor` is empty"):
        freeze(place, motor, date(2024, 3, 12))


def test_killed_landing_is_invisible_and_its_retry_complete(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path, command: Command
) -> None:
    landing = command("land", "motor", motor_file)
    while landing.poll() is None and not store.below(f"{place.claims_url}/motor/log/"):
        time.sleep(0.001)
    landing.kill()
    landing.wait()
    if ClaimLog(place, motor).batches():
        pytest.skip("it was quicker than the kill")

    assert land(place, motor, motor_file).created
    [manifest] = ClaimLog(place, motor).batches()
    assert len(store.below(f"{place.claims_url}/motor/log/")) == len(manifest.objects)


def test_lost_object_is_put_back_by_landing_its_file_again(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path
) -> None:
    land(place, motor, motor_file)
    [url, *_] = held = store.below(f"{place.claims_url}/motor/log/")
    content = store.read(url)
    store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))

    assert not land(place, motor, motor_file).created
    assert store.below(f"{place.claims_url}/motor/log/") == held
    assert store.read(url) == content


def lose(store: ObjectStore, urls: list[str]) -> None:
    for url in urls:
        store._client.delete_object(Bucket="claims", Key=url.removeprefix("s3://claims/"))


def test_lost_objects_are_counted_and_named_with_what_brings_them_back(
    place: Settings, store: ObjectStore, motor: Contract, motor_file: Path
) -> None:
    land(place, motor, motor_file)
    freeze(place, motor, date(2024, 3, 5))
    lost = store.below(f"{place.claims_url}/motor/log/")[3:5]
    lose(store, lost)

    for act in (
        lambda: freeze(place, motor, date(2024, 3, 12)),
        lambda: verify_version(place, motor, "2024-03-05", remote=True),
    ):
        shutil.rmtree(place.home / "snapshot-cache", ignore_errors=True)  # else closed months come from there
        with pytest.raises(Unavailable, match=r"\(LAND015\).* land its source again \(motor\.parquet\)") as told:
            act()
        facts = told.value.facts
        assert (facts["code"], facts["path"], facts["count"]) == ("LAND015", lost[0], 2)
    land(place, motor, motor_file)
    assert freeze(place, motor, date(2024, 3, 12)).created


def test_delivery_that_touches_lost_rows_is_refused_and_stops_no_other(
    place: Settings, store: ObjectStore, motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    days = motor_rows["recorded_at"].dt.date
    parts = {
        "late.csv": motor_rows[days < date(2024, 2, 10)].assign(claim_id=lambda rows: rows["claim_id"] + "x"),
        "new.csv": motor_rows[days >= date(2024, 2, 10)],
        "old.csv": motor_rows[days < date(2024, 2, 10)],
    }
    source = tmp_path / "deliveries"
    source.mkdir()
    write_rows(parts["old.csv"], source / "old.csv")
    land(place, motor, source / "old.csv")
    lose(store, store.below(f"{place.claims_url}/motor/log/"))
    for name, rows in parts.items():
        write_rows(rows, source / name)

    def landed() -> list[str]:
        """Return what became of each delivery: the code of its refusal, or its rows that are new."""
        found = land_source(place, motor, open_source(str(source), motor, place))
        return [one.code if isinstance(one, Refused) else str(one.batch.rows * one.batch.created) for one in found]

    assert landed() == ["LAND015", str(len(parts["new.csv"])), "0"]  # the last one brings back what was lost
    assert landed() == [str(len(parts["late.csv"])), "0", "0"]


def test_changed_object_is_named(place: Settings, store: ObjectStore, motor: Contract, motor_file: Path) -> None:
    land(place, motor, motor_file)
    url = store.below(f"{place.claims_url}/motor/log/")[3]
    store.write(url, flipped(store.read(url)))

    with pytest.raises(Tampered) as noticed:
        freeze(place, motor, date(2024, 3, 12))
    assert noticed.value.facts["path"] == url


def test_changed_manifest_is_named(place: Settings, store: ObjectStore, motor: Contract, motor_file: Path) -> None:
    url = ClaimLog(place, motor).manifest_url(land(place, motor, motor_file).id)
    manifest = json.loads(store.read(url))
    manifest["objects"] = manifest["objects"][1:]
    store.write(url, json.dumps(manifest).encode())

    with pytest.raises(Tampered) as noticed:
        freeze(place, motor, date(2024, 3, 12))
    assert noticed.value.facts["path"] == url


def test_known_moment_cannot_be_told_differently_but_corrected_later(
    place: Settings, motor: Contract, motor_file: Path, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    land(place, motor, motor_file)
    changed = motor_rows.copy()
    changed.loc[0, "claim_amount_eur"] += 1
    write_rows(changed, tmp_path / "changed.csv")
    with pytest.raises(BadInput, match="1 rows tell a moment of a claim that the log already holds, differently"):
        land(place, motor, tmp_path / "changed.csv")

    changed.loc[0, "recorded_at"] = pd.Timestamp("2024-03-12T21:00:00")
    write_rows(changed, tmp_path / "corrected.csv")
    assert land(place, motor, tmp_path / "corrected.csv").created


def test_real_claims_are_recorded_at_their_months_end(place: Settings, carclaims: Path) -> None:
    contract = load_contract("carclaims", PROJECT / "expectations")
    batch = land(place, contract, carclaims)
    [manifest] = ClaimLog(place, contract).batches()

    assert batch.rows == 15_420
    assert len(manifest.objects) == 36
    assert (manifest.objects[0].day, manifest.objects[-1].day) == ("1994-01-31", "1996-12-31")


def test_unreachable_store_is_unavailable(place: Settings, motor: Contract, motor_file: Path) -> None:
    dead = Settings(home=place.home, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    with pytest.raises(Unavailable) as away:
        land(dead, motor, motor_file)
    assert "code" not in away.value.facts
