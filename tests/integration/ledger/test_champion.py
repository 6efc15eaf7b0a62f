"""The champion that is pinned: the same for the same run, byte for byte what was registered, or nothing."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from fraud_ml.artifacts import Champion, ModelManifest, Workspace, load
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.promotion.champion import current_champion, none_champion, pin_champion
from fraud_ml.promotion.opening import open_run
from fraud_ml.promotion.promote import promote
from fraud_ml.settings import Settings

pytestmark = pytest.mark.stack

Deploy = Callable[..., Entry]


@pytest.fixture
def both(place: Settings, s3_settings: Settings) -> Settings:
    """This test's ledger and the shared object store."""
    return replace(place, values={**s3_settings.values, **place.values})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "checkout")


def model_files(model: str) -> dict[str, bytes]:
    return {"weights.bin": f"weights of {model}".encode() * 1000, "assets/words.txt": b"a\nb\n"}


@pytest.fixture
def deployed(both: Settings, ledger: Ledger, registration: Callable, approve_as: Callable) -> Deploy:
    """Register, store, approve, promote and acknowledge a model; returns its PROMOTED entry."""

    def act(model: str = "1", *, acknowledged: bool = True, stored: dict[str, bytes] | None = None) -> Entry:
        files = {name: hashlib.sha256(content).hexdigest() for name, content in model_files(model).items()}
        body = registration(f"{model}-{uuid.uuid4()}", version=model, files=files)
        for name, content in {**model_files(model), **(stored or {})}.items():
            ObjectStore(both).write(f"{body['model_uri']}/{name}", content)
        digest = body["candidate"]["digest"]
        ledger.append(EntryKind.REGISTERED, dataset="motor", subject=digest, actor="registry", body=body)
        approve_as(digest, "ana", "ben")
        entry = promote(both, digest)
        if acknowledged:
            acknowledge(ledger, entry)
        return entry

    return act


def acknowledge(ledger: Ledger, promoted: Entry) -> None:
    ledger.append(
        EntryKind.DEPLOYED,
        dataset="motor",
        subject=promoted.subject,
        actor="scorer-1",
        body={"event_id": promoted.event_id, "scorer": "scorer-1", "sequence": promoted.seq},
    )


def pin(both: Settings, workspace: Workspace, run_key: str = "run1") -> Champion:
    opening = open_run(both, dataset="motor", version="2026-01-31", as_of=date(2026, 1, 31), run_key=run_key)
    return pin_champion(both, workspace, opening.champion)


def contents(workspace: Workspace) -> dict[str, bytes]:
    folder = workspace.champion
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_deployed_model_is_pinned_byte_for_byte(both: Settings, workspace: Workspace, deployed: Deploy) -> None:
    entry = deployed("7")
    champion = pin(both, workspace)
    assert (champion.version, champion.candidate_digest) == ("7", entry.subject)
    assert load(Champion, workspace.champion_record) == champion
    found = contents(workspace)
    assert set(found) == {"champion.json", "model/model.json", "model/weights.bin", "model/assets/words.txt"}
    assert {name: found[f"model/{name}"] for name in model_files("7")} == model_files("7")
    manifest = load(ModelManifest, workspace.champion_model / "model.json")
    assert manifest.model_digest == champion.model_digest
    assert sorted(path.name for path in workspace.champion.parent.iterdir()) == ["champion"]


def test_two_checkouts_of_one_run_hold_equal_bytes(
    both: Settings, workspace: Workspace, deployed: Deploy, tmp_path: Path
) -> None:
    deployed()
    other = Workspace(tmp_path / "other")
    pin(both, workspace)
    pin(both, other)
    assert contents(workspace) == contents(other)


def test_pinning_again_touches_nothing_and_asks_for_no_file(
    both: Settings, workspace: Workspace, deployed: Deploy
) -> None:
    deployed()
    champion = pin(both, workspace)
    files = workspace.champion_record, workspace.champion_model / "weights.bin"
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    away = replace(both, values={**both.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert pin(away, workspace) == champion
    assert [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files] == before


def test_a_run_opened_before_keeps_its_champion(
    both: Settings, workspace: Workspace, ledger: Ledger, deployed: Deploy
) -> None:
    assert pin(both, workspace, "early") == Champion()
    deployed("1")
    first = pin(both, workspace, "middle")
    deployed("2")
    assert pin(both, workspace, "late").version == "2"
    assert pin(both, workspace, "middle") == first
    assert pin(both, workspace, "early") == Champion()
    assert set(contents(workspace)) == {"champion.json"}
    assert [entry.subject for entry in ledger.find(kind=EntryKind.RUN_OPENED)] == ["early", "middle", "late"]


def test_only_what_a_scorer_acknowledged_is_champion(ledger: Ledger, deployed: Deploy) -> None:
    first = deployed("1")
    deployed("2", acknowledged=False)
    assert current_champion(ledger, "motor").candidate_digest == first.subject
    assert current_champion(ledger, "home") == Champion()


def test_a_late_answer_to_an_earlier_promotion_does_not_bring_it_back(ledger: Ledger, deployed: Deploy) -> None:
    first = deployed("1", acknowledged=False)
    second = deployed("2")
    acknowledge(ledger, first)
    assert current_champion(ledger, "motor").candidate_digest == second.subject


def test_a_changed_byte_in_the_object_store_is_named_and_nothing_is_pinned(
    both: Settings, workspace: Workspace, deployed: Deploy
) -> None:
    good = model_files("2")["weights.bin"]
    none_champion(workspace)
    before = contents(workspace)
    deployed("2", stored={"weights.bin": good[:-1] + b"X"})
    with pytest.raises(Tampered, match=r"weights\.bin is not the file that was registered"):
        pin(both, workspace)
    assert contents(workspace) == before


@pytest.mark.parametrize("damage", ["change", "remove", "add", "record"])
def test_a_pinned_champion_that_was_touched_is_pinned_anew(
    both: Settings, workspace: Workspace, deployed: Deploy, damage: str
) -> None:
    deployed()
    pin(both, workspace)
    whole = contents(workspace)
    weights = workspace.champion_model / "weights.bin"
    if damage == "change":
        weights.write_bytes(b"x" * 10)
    elif damage == "remove":
        weights.unlink()
    elif damage == "add":
        (workspace.champion_model / "more.bin").write_bytes(b"x")
    else:
        workspace.champion_record.write_text("{}")
    pin(both, workspace)
    assert contents(workspace) == whole


def test_an_object_store_that_is_away_leaves_what_was_pinned(
    both: Settings, workspace: Workspace, deployed: Deploy
) -> None:
    none_champion(workspace)
    deployed()
    away = replace(both, values={**both.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with pytest.raises(Unavailable):
        pin(away, workspace)
    assert set(contents(workspace)) == {"champion.json"}
    assert pin(both, workspace).exists


@pytest.mark.parametrize("name", ["../escaped.bin", "/tmp/escaped.bin", "a/../../escaped.bin", "model.json"])
def test_a_model_file_outside_its_folder_is_refused(
    both: Settings, workspace: Workspace, ledger: Ledger, registration: Callable, approve_as: Callable, name: str
) -> None:
    body = registration(files={name: "0" * 64})
    digest = body["candidate"]["digest"]
    ledger.append(EntryKind.REGISTERED, dataset="motor", subject=digest, actor="registry", body=body)
    approve_as(digest, "ana", "ben")
    acknowledge(ledger, promote(both, digest))
    with pytest.raises(BadInput, match="must lie in its folder"):
        pin(both, workspace)
    assert not list(workspace.root.rglob("escaped.bin"))


def test_no_champion_is_one_record_and_no_model(workspace: Workspace) -> None:
    workspace.champion_model.mkdir(parents=True)
    (workspace.champion_model / "weights.bin").write_bytes(b"of an earlier champion")
    assert none_champion(workspace) == Champion()
    assert set(contents(workspace)) == {"champion.json"}
    assert not load(Champion, workspace.champion_record).exists
