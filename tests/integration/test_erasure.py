"""`fraud-ml erase`: the person is unreadable everywhere, what knew them is listed, and nobody is told who it was."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import httpx
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import BadRows, Contract
from fraud_ml.data import plain_copies
from fraud_ml.data.log import land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import Frozen, freeze, open_snapshot, verify_version
from fraud_ml.data.subject_keys import KeyRing
from fraud_ml.errors import BadInput
from fraud_ml.features.windows import write_window
from fraud_ml.governance import erasure
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.promotion.pinning import pin_inputs
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation.quarantine import digest_key
from tests.command_line import run_command
from tests.empty_ledger import empty_ledger
from tests.sealed_motor import motor_rows, sealed_motor

pytestmark = pytest.mark.stack

AS_OF = date(2024, 3, 5)


@dataclass(frozen=True)
class House:
    """A sealed motor log with two snapshots, the later one pinned, and one model that learned from it."""

    settings: Settings
    contract: Contract
    root: Path  # expectations/ and a pinned workspace/ lie there
    rows: pd.DataFrame
    frozen: Frozen

    @property
    def person(self) -> str:
        """Somebody with several rows, none of them recorded before the first snapshot."""
        early = self.rows.loc[self.rows["recorded_at"] < "2024-01-03", "claimant_id"]
        later = self.rows[(self.rows["recorded_at"] < "2024-03-01") & ~self.rows["claimant_id"].isin(early)]
        return str(later["claimant_id"].value_counts().index[0])

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger_url)

    def erase(self, person: str | None = None) -> erasure.Erased:
        return erasure.erase(
            self.settings, self.contract, person or self.person, actor="dpo", reason="request 17 of March"
        )

    def command(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        names = ("AWS_", "FRAUD_ML_", "MLFLOW_")
        values = {name: value for name, value in self.settings.values.items() if name.startswith(names)}
        environment = {**os.environ, **values, "FRAUD_ML_HOME": str(self.settings.home)}
        return run_command(*arguments, environment=environment, folder=self.root, said=said)


def registered(settings: Settings, name: str, snapshot_digest: str) -> str:
    """Register a version as training does, by tags alone; return its number."""
    api = f"{settings.mlflow_tracking_uri.rstrip('/')}/api/2.0/mlflow"
    httpx.post(f"{api}/registered-models/create", json={"name": name}, timeout=30)
    tags = {"snapshot_digest": snapshot_digest, "as_of": AS_OF.isoformat(), "model_digest": "m" * 64}
    told = [{"key": key, "value": value} for key, value in tags.items()]
    answer = httpx.post(
        f"{api}/model-versions/create",
        json={"name": name, "source": f"s3://mlflow/{uuid.uuid4().hex}", "tags": told},
        timeout=30,
    )
    return str(answer.raise_for_status().json()["model_version"]["version"])


@pytest.fixture
def house(mlflow_settings: Settings, postgres_settings: Settings, tmp_path: Path) -> House:
    own = uuid.uuid4().hex[:8]
    values = {
        **postgres_settings.values,
        **mlflow_settings.values,
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
        "FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings),
        "FRAUD_ML_RUNS": str(tmp_path / "runs"),
        "FRAUD_ML_DVC_CACHE": str(tmp_path / "dvc-cache"),
    }
    root = tmp_path / "checkout"
    contract = sealed_motor(root / "expectations")
    settings = Settings(tmp_path / "home", values)
    (root / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    rows = motor_rows()
    write_rows(rows, tmp_path / "claims.csv")
    land(settings, contract, tmp_path / "claims.csv")
    freeze(settings, contract, date(2024, 1, 2))
    frozen = freeze(settings, contract, AS_OF)
    pin_inputs(settings, Workspace(root), dataset="motor", as_of="2024-03-05", code_rev="f" * 40, with_champion=False)
    return House(settings, contract, root, rows, frozen)


def everything(house: House) -> bytes:
    """All bytes below the house's folders and in its buckets, Parquet as text too, but the source file."""
    store = ObjectStore(house.settings)
    found = [path.read_bytes() for path in house.root.parent.rglob("*") if path.is_file() and path.suffix != ".csv"]
    for url in (house.settings.claims_url, house.settings.snapshot_remote):
        found += store.read_many(store.below(f"{url}/")).values()
    tables = [
        parquet.read_table(pa.BufferReader(part)).to_pandas().to_csv().encode() for part in found if part[:4] == b"PAR1"
    ]
    return b"\n".join([*found, *tables])


def test_erased_person_is_unknown_in_what_is_pinned_and_in_what_is_pinned_again(house: House) -> None:
    person, gone = house.person, house.rows.loc[house.rows["claimant_id"] == house.person, "claim_id"].unique()
    held = [key for key in KeyRing(house.settings, "motor").find([pseudonym(house)]).values()]
    done = house.erase()
    assert done.created
    assert held[0].key is not None
    assert held[0].key not in everything(house)
    for _ in range(2):
        claims = open_snapshot(house.workspace.snapshot, house.contract).claims().set_index("claim_id")
        assert person not in set(claims["claimant_id"])
        assert claims.loc[claims.index.isin(gone), ["phone_id", "driver_age_years"]].isna().all(axis=None)
        pin_inputs(
            house.settings, house.workspace, dataset="motor", as_of="2024-03-05", code_rev="f" * 40, with_champion=False
        )


def pseudonym(house: House) -> str:
    return KeyRing(house.settings, "motor").pseudonym(house.person)


def test_snapshots_and_models_that_knew_the_person_are_listed_and_verify(house: House) -> None:
    knew = registered(house.settings, "fraud-motor", house.frozen.manifest.digest)
    registered(house.settings, "fraud-motor", "0" * 64)
    told = json.loads(house.command("erase", "motor", "--dry-run", "--json", said=f"{house.person}\n").stdout)
    assert told["snapshots"] == ["2024-03-05"]
    assert [(model["name"], model["version"]) for model in told["models"]] == [("fraud-motor", knew)]
    assert told["rows"] == int((house.rows["claimant_id"] == house.person).sum())
    assert told["erased"] == ""
    assert house.erase().found.snapshots == ("2024-03-05",)
    for version in ("2024-01-02", "2024-03-05"):
        assert verify_version(house.settings, house.contract, version, remote=True).total


def test_erasure_stands_in_the_ledger_once_and_nobody_is_named(house: House) -> None:
    first = house.command("erase", "motor", "-", "--reason", "request 17", "--by", "dpo", "--json", said=house.person)
    assert first.returncode == 0, first.stderr
    again = house.command("erase", "motor", "--reason", "request 17", "--by", "dpo", said=house.person)
    assert "was erased at" in again.stdout
    [entry] = house.ledger.find(kind=EntryKind.ERASED)
    assert (entry.actor, entry.body["reason"]) == ("dpo", "request 17")
    assert entry.body["snapshots"] == ["2024-03-05"]
    said = first.stdout + first.stderr + again.stdout + again.stderr + json.dumps([vars(entry)])
    assert house.person not in said
    assert pseudonym(house) not in said
    assert house.ledger.verify() == ()


def test_command_refuses_whom_it_never_heard_of_without_repeating_the_name(house: House, tmp_path: Path) -> None:
    file = tmp_path / "who.txt"
    file.write_text("nobody-4711\n")
    found = house.command("erase", "motor", "--claimant-file", str(file), "--reason", "request 18")
    assert found.returncode == 2
    assert "nobody of that name" in found.stderr
    assert "4711" not in found.stderr + found.stdout
    assert house.ledger.find(kind=EntryKind.ERASED) == ()
    dead = replace(
        house,
        settings=replace(house.settings, values={**house.settings.values, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}),
    )
    assert dead.command("erase", "motor", "--reason", "x", said=house.person).returncode == 3
    assert not erasure.find(house.settings, house.contract, house.person).erased  # nothing was destroyed
    with pytest.raises(BadInput, match="must say why, and not who"):
        erasure.erase(house.settings, house.contract, house.person, actor="dpo", reason=f"{house.person} asked")


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the key is destroyed": lambda patch: patch.setattr(KeyRing, "destroy", killed),
    "plain copies are purged": lambda patch: patch.setattr(erasure, "purge", killed),
    "the entry is appended": lambda patch: patch.setattr(Ledger, "append", killed),
}


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("step", STEPS)
def test_erasure_that_was_killed_before_a_step_is_finished_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        with pytest.raises(Killed):
            house.erase()
    done = house.erase()
    assert KeyRing(house.settings, "motor").find([pseudonym(house)])[pseudonym(house)].is_erased
    assert house.person not in set(open_snapshot(house.workspace.snapshot, house.contract).claims()["claimant_id"])
    assert [entry.seq for entry in house.ledger.find(kind=EntryKind.ERASED)] == [done.ledger_entry]


def test_earlier_versions_of_the_key_go_too(house: House) -> None:
    store = ObjectStore(house.settings)
    bucket = f"versioned-{uuid.uuid4().hex[:8]}"
    store.make_bucket(f"s3://{bucket}")
    store._client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    there = Settings(house.settings.home, {**house.settings.values, "FRAUD_ML_CLAIMS_URL": f"s3://{bucket}"})
    ring = KeyRing(there, "motor")
    ring.enrol(["ana"])
    name = ring.pseudonym("ana")
    listed = {"Bucket": bucket, "Prefix": f"motor/subject-keys/{name[:2]}"}
    ring.destroy(name)
    [left] = store._client.list_object_versions(**listed)["Versions"]
    assert left["IsLatest"]


def test_plain_copies_go_with_the_person_and_others_stay(house: House, tmp_path: Path) -> None:
    store, root = ObjectStore(house.settings), f"{house.settings.claims_url}/motor"
    lenient = house.contract.model_copy(
        update={"landing": house.contract.landing.model_copy(update={"bad_rows": BadRows.QUARANTINE})}
    )
    broken = house.rows.astype({"witnesses": object}).assign(witnesses="several")
    other = next(who for who in house.rows["claimant_id"] if who != house.person)
    write_rows(broken[broken["claimant_id"].isin([house.person, other])], tmp_path / "broken.csv")
    with pytest.raises(BadInput, match="no row of it"):
        land(house.settings, lenient, tmp_path / "broken.csv")
    letters = {
        name: f'{{"claimant_id": "{who}", "x": 1}}'.encode() for name, who in (("0-1", house.person), ("0-2", other))
    }
    for name, content in letters.items():
        store.write(f"{root}/dead-letters/claims/{name}.json", letter(content))
    windows = windows_of(house, {house.person, other})
    cached = house.settings.dvc_cache / "files" / "md5" / "ab" / "cd"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(windows.read_bytes())

    assert house.person.encode() in everything(house)
    done = house.erase()
    assert done.purged == plain_copies.Purged(
        quarantined_rows=int((house.rows["claimant_id"] == house.person).sum()),
        dead_letters=1,
        key_files=1,
        windows=2,
    )
    left = everything(house)
    assert house.person.encode() not in left
    assert other.encode() in left
    assert not windows.exists()
    assert not cached.exists()
    assert house.erase().purged == plain_copies.Purged(0, 0, 0, 0)


def letter(content: bytes) -> bytes:
    import base64

    return json.dumps({"code": "LAND013", "content_base64": base64.b64encode(content).decode(), "sha256": "-"}).encode()


def windows_of(house: House, people: set[str]) -> Path:
    claims = open_snapshot(house.workspace.snapshot, house.contract).claims()
    mine = claims[claims["claimant_id"].isin(people)]
    frame = mine.assign(key_sha256=mine["claim_id"].map(digest_key), label=0)
    path = house.workspace.features / "train.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_window(frame, path, house.contract)
    return path


def test_run_after_an_erasure_has_another_key_and_other_inputs(house: House) -> None:
    def pin() -> tuple[str, bytes]:
        told = pin_inputs(
            house.settings, house.workspace, dataset="motor", as_of="2024-03-05", code_rev="f" * 40, with_champion=False
        )
        return told.run_key, house.workspace.subject_keys.read_bytes()

    assert pin() == (before := pin())
    house.erase()
    after = pin()
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_readmission_is_recorded_and_lets_the_person_be_landed_again(house: House) -> None:
    with pytest.raises(BadInput, match="is not erased"):
        erasure.readmit(house.settings, house.contract, house.person, actor="dpo", reason="consent 3")
    house.erase()
    told = house.command("erase", "motor", "--readmit", "--reason", "consent 3", "--by", "dpo", said=house.person)
    assert told.returncode == 0, told.stderr
    again = erasure.readmit(house.settings, house.contract, house.person, actor="dpo", reason="consent 3")
    assert [entry.seq for entry in house.ledger.find(kind=EntryKind.READMITTED)] == [again.seq]
    house.erase()
    assert len(house.ledger.find(kind=EntryKind.ERASED)) == 2


def test_dataset_that_identifies_nobody_says_so(house: House) -> None:
    plain = house.contract.model_copy(update={"erasure": None})
    with pytest.raises(BadInput, match="identifies nobody"):
        erasure.find(house.settings, plain, "ana")
