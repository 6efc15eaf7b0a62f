"""A log whose contract can erase people: sealed wherever it lies, opened by pinned keys, and gone with the key."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Contract
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.log import ClaimLog, land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import Snapshot, freeze, open_snapshot, pin_keys, pin_snapshot, verify_version
from fraud_ml.data.subject_keys import KeyRing
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.sealed_motor import expectations_of_sealed_motor, motor_rows, named_in, sealed_motor

pytestmark = pytest.mark.stack

AS_OF = date(2024, 3, 5)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return motor_rows()


@pytest.fixture
def sealed(tmp_path: Path) -> Contract:
    return sealed_motor(tmp_path / "expectations")


@pytest.fixture
def file(rows: pd.DataFrame, tmp_path: Path) -> Path:
    write_rows(rows, tmp_path / "claims.csv")
    return tmp_path / "claims.csv"


def pinned(place: Settings, contract: Contract, root: Path) -> Snapshot:
    workspace = Workspace(root)
    pin_snapshot(place, "motor", AS_OF, workspace)
    pin_keys(place, contract, workspace)
    return open_snapshot(workspace.snapshot, contract)


def bytes_at_rest(place: Settings, store: ObjectStore) -> dict[str, bytes]:
    """Everything below this place's home, log and remote, uncompressed where it is Parquet."""
    from pyarrow import parquet

    found = {str(path): path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    for url in (place.claims_url, place.snapshot_remote):
        found |= store.read_many(store.below(f"{url}/"))
    for name, content in list(found.items()):
        if content.startswith(b"PAR1"):
            found[f"{name} (its rows)"] = parquet.read_table(pa.BufferReader(content)).to_pandas().to_csv().encode()
    return found


def holding(found: dict[str, bytes], values: set[bytes]) -> set[str]:
    return {name for name, content in found.items() if any(value in content for value in values)}


def test_no_identifier_lies_in_plain_in_log_snapshot_cache_remote_or_fold(
    place: Settings, store: ObjectStore, sealed: Contract, file: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    people = named_in(rows)
    assert len(people) > 50
    land(place, sealed, file)
    freeze(place, sealed, AS_OF)
    found = pinned(place, sealed, place.home / "run")
    found.fold_into(place.home / "run" / "workspace" / "claims", FoldCache(place.fold_cache))
    at_rest = bytes_at_rest(place, store)
    assert sum(name.endswith("(its rows)") for name in at_rest) > 40
    assert holding(at_rest, people) == set()
    ages = {f",{age}," for age in rows["driver_age_years"].dropna().unique()}
    stored = pd.concat([pd.read_parquet(path) for path in sorted((place.home / "run").rglob("2024-*.parquet"))])
    assert ages
    assert stored[["driver_age_years", "sex"]].isna().all(axis=None)

    plain = sealed.model_copy(update={"erasure": None})  # the guard taken out: the same search finds them
    elsewhere = Settings(place.home, {**place.values, "FRAUD_ML_CLAIMS_URL": f"{place.claims_url}-plain"})
    land(elsewhere, plain, file)
    assert holding(bytes_at_rest(elsewhere, store), people)


def test_opened_claims_are_those_of_a_log_that_was_not_sealed(
    place: Settings, sealed: Contract, file: Path, tmp_path: Path
) -> None:
    plain = sealed.model_copy(update={"erasure": None})
    urls = {name: f"{place.values[name]}-plain" for name in ("FRAUD_ML_CLAIMS_URL", "FRAUD_ML_SNAPSHOT_REMOTE")}
    elsewhere = Settings(tmp_path / "elsewhere", {**place.values, **urls})
    for where, contract in ((place, sealed), (elsewhere, plain)):
        land(where, contract, file)
        freeze(where, contract, AS_OF)
    mine, theirs = pinned(place, sealed, tmp_path / "a").claims(), pinned(elsewhere, plain, tmp_path / "b").claims()
    pd.testing.assert_frame_equal(mine, theirs)


def test_landing_again_in_other_pieces_freezes_to_the_same_bytes(
    place: Settings, sealed: Contract, file: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    first = land(place, sealed, file)
    again = land(place, sealed, file)
    assert (first.created, again.created, again.id) == (True, False, first.id)
    frozen = freeze(place, sealed, AS_OF)
    write_rows(rows.iloc[::2], tmp_path / "half.csv")
    assert land(place, sealed, tmp_path / "half.csv").created
    assert freeze(place, sealed, AS_OF).tag == frozen.tag


def test_snapshot_without_keys_or_with_anothers_is_not_read(
    place: Settings, sealed: Contract, file: Path, tmp_path: Path
) -> None:
    land(place, sealed, file)
    freeze(place, sealed, AS_OF)
    found = pinned(place, sealed, tmp_path)
    keys = Workspace(tmp_path).subject_keys
    assert keys.stat().st_mode & 0o777 == 0o600
    keys.rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="no key opens"):
        found.claims()
    freeze(place, sealed, date(2024, 3, 6))
    other = Workspace(tmp_path / "other")
    pin_snapshot(place, "motor", "2024-03-06", other)
    pin_keys(place, sealed, other)
    other.subject_keys.rename(keys)
    with pytest.raises(Tampered, match="keys of another snapshot"):
        found.claims()


def test_ring_that_lost_somebody_is_not_taken_for_an_erasure(
    place: Settings, store: ObjectStore, sealed: Contract, file: Path, tmp_path: Path
) -> None:
    land(place, sealed, file)
    freeze(place, sealed, AS_OF)
    for shard in store.below(f"{place.claims_url}/motor/subject-keys/"):
        if "secret" not in shard:
            store._client.delete_object(Bucket="claims", Key=shard.removeprefix("s3://claims/"))
    with pytest.raises(Unavailable, match="key ring of `motor` lacks"):
        pinned(place, sealed, tmp_path)


def test_lost_secret_is_not_replaced_while_keys_stand(place: Settings, store: ObjectStore) -> None:
    ring = KeyRing(place, "motor")
    ring.enrol(["ana"])
    secret = f"{place.claims_url}/motor/subject-keys/secret.json"
    store._client.delete_object(Bucket="claims", Key=secret.removeprefix("s3://claims/"))
    with pytest.raises(Unavailable, match="is gone"):
        KeyRing(place, "motor").enrol(["ana"])


def test_many_who_enrol_the_same_people_at_once_give_each_one_key(place: Settings) -> None:
    people = [f"person {number}" for number in range(40)]
    with ThreadPoolExecutor(6) as pool:
        enrolled = list(pool.map(lambda _: KeyRing(place, "motor").enrol(people), range(6)))
    assert all(one.keys == enrolled[0].keys for one in enrolled)
    ring = KeyRing(place, "motor")
    held = ring.find(list(enrolled[0].pseudonyms.values()))
    assert {name: held[enrolled[0].pseudonyms[name]].key for name in people} == enrolled[0].keys


def test_two_processes_that_land_at_once_leave_rows_that_all_open(
    place: Settings, sealed: Contract, rows: pd.DataFrame, tmp_path: Path
) -> None:
    expectations_of_sealed_motor(tmp_path / "expectations")
    values = {name: value for name, value in place.values.items() if name.startswith(("AWS_", "FRAUD_ML_"))}
    landing = []
    for number in range(3):
        write_rows(rows.iloc[number::3], tmp_path / f"part{number}.csv")
        landing.append(
            subprocess.Popen(
                [sys.executable, "-m", "fraud_ml", "land", "motor", f"part{number}.csv"],
                cwd=tmp_path,
                env={**os.environ, **values, "FRAUD_ML_HOME": str(place.home)},
            )
        )
    assert [process.wait(timeout=120) for process in landing] == [0, 0, 0]
    assert len(ClaimLog(place, sealed).batches()) == 3
    freeze(place, sealed, AS_OF)
    claims = pinned(place, sealed, tmp_path / "run").claims()
    assert claims["claimant_id"].notna().all()


def test_destroyed_key_leaves_bytes_that_verify_and_open_to_nothing(
    place: Settings, sealed: Contract, file: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    land(place, sealed, file)
    freeze(place, sealed, AS_OF)
    before = pinned(place, sealed, tmp_path / "before").claims()
    person = before["claimant_id"].value_counts().index[0]
    ring = KeyRing(place, "motor")
    ring.destroy(ring.pseudonym(person))

    assert verify_version(place, sealed, AS_OF.isoformat(), remote=True).total > 40
    after = pinned(place, sealed, tmp_path / "after").claims()
    gone = (before["claimant_id"] == person).to_numpy()
    personal = [column.name for column in sealed.personal]
    assert gone.sum() >= 1
    assert after.loc[gone, personal].isna().all(axis=None)
    pd.testing.assert_frame_equal(after.drop(columns=personal), before.drop(columns=personal))
    named = [name for name in personal if name != "witness_ids"]
    pd.testing.assert_frame_equal(after.loc[~gone, named], before.loc[~gone, named])
    assert not after["witness_ids"].fillna("").str.split("+").map(lambda people: person in people).any()


def test_erased_person_is_not_landed_again_until_readmitted(
    place: Settings, store: ObjectStore, sealed: Contract, file: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    land(place, sealed, file)
    person = rows["claimant_id"].value_counts().index[0]
    own = rows[rows["claimant_id"] == person]
    ring = KeyRing(place, "motor")
    name = ring.pseudonym(person)
    ring.destroy(name)
    ring.destroy(name)
    again = land(place, sealed, file)
    assert (again.rows, again.created, again.known) == (0, False, len(rows) - len(own))
    assert again.set_aside == {"LAND017": len(own)}
    told = [json.loads(line) for line in store.read(again.quarantine).splitlines()]
    assert {line["code"] for line in told} == {"LAND017"}
    assert all(line["cells"] == {} for line in told)

    later = own.tail(1).assign(recorded_at=pd.Timestamp("2024-03-12 23:00"), event="paid")
    write_rows(pd.concat([rows, later]), tmp_path / "later.csv")
    refused = land(place, sealed, tmp_path / "later.csv")
    assert refused.set_aside == {"LAND017": len(own) + 1}
    ring.readmit(name)
    back = land(place, sealed, tmp_path / "later.csv")
    assert (back.rows, back.set_aside) == (1, {"LAND017": len(own)})
    freeze(place, sealed, AS_OF)
    assert person not in set(pinned(place, sealed, tmp_path / "old").claims()["claimant_id"])


def test_row_without_a_person_has_no_key_and_is_refused(
    place: Settings, sealed: Contract, rows: pd.DataFrame, tmp_path: Path
) -> None:
    nobody = rows.copy()
    nobody.loc[nobody.index[3], "claimant_id"] = None
    write_rows(nobody, tmp_path / "nobody.csv")
    with pytest.raises(BadInput, match=r"1 of .* have no claimant_id"):
        land(place, sealed, tmp_path / "nobody.csv")
