"""A claim is scored with the network columns that its window held: learned from and asked about alike."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from fraud_ml.artifacts import FoldManifest, Workspace, load
from fraud_ml.contract import Contract
from fraud_ml.data.fold import MANIFEST as FOLD
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.errors import BadInput
from fraud_ml.features import build_windows
from fraud_ml.features.network import write_network
from fraud_ml.features.windows import read_window
from fraud_ml.models import export_model, fit_family, load_model
from fraud_ml.models.family import Calibration, Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.params import FeatureParams
from fraud_ml.scoring.batch import Scored, score_fold, takes_network
from fraud_ml.scoring.model import BatchModel
from fraud_ml.scoring.months import ScoresFolder
from fraud_ml.training.train import accepted_windows
from fraud_ml.validation.quarantine import digest_key
from tests.toy_claims import toy_params
from tests.toy_models import seal
from tests.village import busy_village, village, village_workspace

NOBODY = SnapshotKeys("", {})


@dataclass(frozen=True)
class House:
    workspace: Workspace
    contract: Contract
    windows: pd.DataFrame
    model: BatchModel

    def network(self, into: Path) -> Path:
        """Compute the columns for scoring: a second time, from the snapshot."""
        into.mkdir()
        snapshot = open_snapshot(self.workspace.snapshot, self.contract)
        write_network(
            snapshot.folder, snapshot.manifest, self.workspace.claims, self.fold, self.contract, NOBODY, into, threads=1
        )
        return into

    @property
    def fold(self) -> FoldManifest:
        return load(FoldManifest, self.workspace.claims / FOLD)

    def score(self, out: Path, network: Path | None) -> Scored:
        place = ScoresFolder(out)
        return score_fold(
            self.workspace.claims,
            self.fold,
            self.contract,
            NOBODY,
            self.model,
            place,
            lambda _: None,
            reasons=3,
            network=network,
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    contract, root = village(), tmp_path_factory.mktemp("village")
    workspace = village_workspace(root, busy_village(300), contract)
    build_windows(workspace, FeatureParams(test_months=3, validation_months=2, min_positives=2))
    _, features = accepted_windows(workspace)
    train = read_window(workspace.features, "train")
    inputs = describe_inputs(train, features)
    examples = Examples(read_columns(train, inputs), train["label"].to_numpy(np.int8))
    fitted = fit_family(
        "boosted_trees", inputs, examples, examples, toy_params().training, progress=lambda _: None, fitted={}
    )
    manifest = export_model(root / "model", "boosted_trees", fitted, inputs, Calibration())
    windows = pd.concat([read_window(workspace.features, name) for name in ("train", "validation", "test")])
    model = BatchModel("3", seal(manifest, dataset="village"), 0.3, load_model(root / "model"))
    return House(workspace, contract, windows, model)


def test_batch_scores_are_those_of_the_windows(house: House, tmp_path: Path) -> None:
    assert takes_network(house.model, house.contract)
    house.score(tmp_path / "scores", house.network(tmp_path / "network"))
    rows = pd.concat([parquet.read_table(file).to_pandas() for file in sorted((tmp_path / "scores").glob("*.parquet"))])
    scored = rows.set_index(rows["claim"].map(digest_key)).loc[house.windows["key_sha256"]]
    asked = house.model.predictor.predict(house.windows)
    np.testing.assert_allclose(scored["probability"], asked, atol=1e-6)
    assert np.ptp(asked) > 0.2
    said = set(rows["reasons"].explode().dropna())
    assert any("of the same phone speaks" in word for word in said)


def test_scores_are_made_again_when_the_network_differs(house: House, tmp_path: Path) -> None:
    network = house.network(tmp_path / "network")
    house.score(tmp_path / "scores", network)
    assert house.score(tmp_path / "scores", network).scored == 0
    changed = sorted(network.iterdir())[0]
    frame = pd.read_parquet(changed)
    frame.assign(network_phone_claims=frame["network_phone_claims"] + 1).to_parquet(changed, index=False)
    assert house.score(tmp_path / "scores", network).scored == 1


def test_a_model_of_the_network_is_not_asked_without_it(house: House, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="what the network of parties tells"):
        house.score(tmp_path / "scores", None)


def test_columns_of_other_claims_are_refused(house: House, tmp_path: Path) -> None:
    network = house.network(tmp_path / "network")
    first, second = sorted(network.iterdir())[:2]
    second.replace(first)
    with pytest.raises(BadInput, match="those of other claims"):
        house.score(tmp_path / "scores", network)


def test_columns_of_the_same_claims_in_another_order_are_refused(house: House, tmp_path: Path) -> None:
    network = house.network(tmp_path / "network")
    changed = sorted(network.iterdir())[0]
    told = parquet.read_table(changed)
    assert told.num_rows > 1
    parquet.write_table(told.sort_by([("claim", "descending")]), changed)
    with pytest.raises(BadInput, match="those of other claims"):
        house.score(tmp_path / "scores", network)
