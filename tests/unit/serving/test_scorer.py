"""Which model answers after promotions, restarts and damage."""

from dataclasses import replace
from pathlib import Path

import pytest

from fraud_ml.errors import Rejected, Tampered, Unavailable
from fraud_ml.serving.deployment import Deployment
from fraud_ml.serving.scorer import Change, Scorer
from fraud_ml.serving.shelf import Shelf
from fraud_ml.settings import Settings
from tests.toy_models import deployment_of, put_on_shelf
from tests.unit.serving.conftest import Exported

URI = "s3://mlflow/x/model"


@pytest.fixture
def home(tmp_path: Path, forest: Exported, other_forest: Exported) -> Path:
    for each in (forest, other_forest):
        put_on_shelf(tmp_path / "scorer", each.folder, each.manifest)
    return tmp_path / "scorer"


def start(home: Path, settings: Settings) -> Scorer:
    scorer = Scorer(Shelf(home, settings))
    scorer.restore()
    return scorer


def live(scorer: Scorer) -> Deployment:
    return scorer.live["motor"].deployment


def test_promoted_model_is_live_after_a_restart(home: Path, nowhere: Settings, forest: Exported) -> None:
    first = start(home, nowhere)
    assert first.deploy(deployment_of(forest.manifest, model_uri=URI, version="4")) is Change.DEPLOYED
    again = start(home, nowhere)
    assert again.is_ready
    assert live(again) == live(first)
    assert live(again).version == "4"


def test_later_promotion_replaces_and_the_earlier_files_go(
    home: Path, nowhere: Settings, forest: Exported, other_forest: Exported
) -> None:
    scorer = start(home, nowhere)
    scorer.deploy(deployment_of(forest.manifest, model_uri=URI, sequence=1))
    put_on_shelf(home, other_forest.folder, other_forest.manifest)
    scorer.deploy(deployment_of(other_forest.manifest, model_uri=URI, sequence=5))
    assert live(scorer).manifest == other_forest.manifest
    assert [folder.name for folder in (home / "models").iterdir()] == [other_forest.manifest.artifact_digest]


def test_repeated_promotion_loads_nothing(home: Path, nowhere: Settings, forest: Exported) -> None:
    scorer = start(home, nowhere)
    wanted = deployment_of(forest.manifest, model_uri=URI)
    scorer.deploy(wanted)
    before = scorer.live["motor"]
    assert scorer.deploy(wanted) is Change.REPEATED
    assert scorer.live["motor"] is before


def test_earlier_promotion_never_displaces_a_later_one(
    home: Path, nowhere: Settings, forest: Exported, other_forest: Exported
) -> None:
    scorer = start(home, nowhere)
    early = deployment_of(forest.manifest, model_uri=URI, sequence=3)
    scorer.deploy(early)
    put_on_shelf(home, other_forest.folder, other_forest.manifest)
    scorer.deploy(deployment_of(other_forest.manifest, model_uri=URI, sequence=8))
    assert scorer.deploy(early) is Change.REPEATED  # it was served once, and is acknowledged again
    with pytest.raises(Rejected, match="later promotion"):
        scorer.deploy(deployment_of(forest.manifest, model_uri=URI, sequence=5))  # it never was
    assert live(scorer).sequence == 8


def test_other_candidate_under_the_live_sequence_is_rejected(
    home: Path, nowhere: Settings, forest: Exported, other_forest: Exported
) -> None:
    scorer = start(home, nowhere)
    scorer.deploy(deployment_of(forest.manifest, model_uri=URI))
    with pytest.raises(Rejected):
        scorer.deploy(deployment_of(other_forest.manifest, model_uri=URI))


def test_model_that_cannot_be_fetched_leaves_the_old_one(
    home: Path, nowhere: Settings, forest: Exported, other_forest: Exported
) -> None:
    scorer = start(home, nowhere)
    scorer.deploy(deployment_of(forest.manifest, model_uri=URI))
    with pytest.raises(Unavailable):
        scorer.deploy(deployment_of(other_forest.manifest, model_uri=URI, sequence=2))
    assert live(scorer).manifest == forest.manifest
    assert live(start(home, nowhere)).manifest == forest.manifest


def test_damaged_copy_that_cannot_be_fetched_again_is_not_served(
    home: Path, nowhere: Settings, forest: Exported
) -> None:
    start(home, nowhere).deploy(deployment_of(forest.manifest, model_uri=URI))
    kept = home / "models" / forest.manifest.artifact_digest / "forest.skops"
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    scorer = start(home, nowhere)
    assert not scorer.is_ready
    assert isinstance(scorer.missing["motor"], Unavailable)
    with pytest.raises(Unavailable):
        scorer.model("motor")


def test_damaged_record_is_not_served(home: Path, nowhere: Settings, forest: Exported) -> None:
    start(home, nowhere).deploy(deployment_of(forest.manifest, model_uri=URI))
    record = home / "live" / "motor.json"
    record.write_text(record.read_text().replace('"as_of": "2024-07-01"', '"as_of": "2024-07-02"'))
    scorer = start(home, nowhere)
    assert not scorer.is_ready
    assert isinstance(scorer.missing["motor"], Tampered)
    scorer.deploy(deployment_of(forest.manifest, model_uri=URI, sequence=2))  # the next promotion mends it
    assert scorer.is_ready


def test_promotion_that_comes_again_mends_a_missing_model(home: Path, nowhere: Settings, forest: Exported) -> None:
    wanted = deployment_of(forest.manifest, model_uri=URI)
    start(home, nowhere).deploy(wanted)
    kept = home / "models" / forest.manifest.artifact_digest
    kept.rename(home / "away")
    scorer = start(home, nowhere)
    assert "motor" in scorer.missing
    (home / "away").rename(kept)
    assert scorer.deploy(wanted) is Change.DEPLOYED
    assert scorer.is_ready
    assert live(scorer).deployed == (1,)


def test_half_written_download_is_never_read(home: Path, nowhere: Settings, forest: Exported) -> None:
    digest = forest.manifest.artifact_digest
    (home / "models" / digest).rename(home / "models" / f"{digest}.partial")
    with pytest.raises(Unavailable):  # it is fetched again from the start
        start(home, nowhere).deploy(deployment_of(forest.manifest, model_uri=URI))


def test_datasets_have_their_own_models(
    home: Path, nowhere: Settings, forest: Exported, other_forest: Exported
) -> None:
    scorer = start(home, nowhere)
    scorer.deploy(deployment_of(forest.manifest, model_uri=URI, dataset="motor"))
    put_on_shelf(home, other_forest.folder, other_forest.manifest)
    scorer.deploy(deployment_of(other_forest.manifest, model_uri=URI, dataset="home"))
    again = start(home, nowhere)
    assert {name: model.deployment.manifest for name, model in again.live.items()} == {
        "motor": forest.manifest,
        "home": other_forest.manifest,
    }


def test_manifest_that_differs_from_the_promised_one_is_not_loaded(
    home: Path, nowhere: Settings, forest: Exported
) -> None:
    promised = replace(forest.manifest, features=("region",))
    with pytest.raises(Unavailable):  # the copy is refused and, here, cannot be fetched again
        start(home, nowhere).deploy(deployment_of(promised, model_uri=URI))
