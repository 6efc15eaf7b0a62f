"""The features stage lays network columns beside the others, where the contract asks for them, and nowhere else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import Workspace
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.errors import Tampered
from fraud_ml.features import build_windows
from fraud_ml.features.leakcheck import check_leaks
from fraud_ml.features.network import network_of
from fraud_ml.features.windows import read_window
from fraud_ml.params import FeatureParams
from fraud_ml.training.train import accepted_windows
from fraud_ml.validation.quarantine import digest_key
from tests.tampering import flip_a_byte
from tests.village import busy_village, village, village_workspace

PARAMS = FeatureParams(test_months=3, validation_months=2, min_positives=2)
ROWS = busy_village(150)


def windows_in(workspace: Workspace) -> pd.DataFrame:
    return pd.concat([read_window(workspace.features, name) for name in ("train", "validation", "test")])


def test_windows_hold_the_columns_of_the_network_as_numbers(tmp_path: Path) -> None:
    contract = village()
    workspace = village_workspace(tmp_path, ROWS, contract)
    report = build_windows(workspace, PARAMS)
    snapshot = open_snapshot(workspace.snapshot, contract)
    network, windows = network_of(snapshot), windows_in(workspace)

    assert report.features[0] == "amount"
    assert set(report.features[1:]) <= {column.name for column in contract.network_features}
    assert {"network_phone_claims", "network_phone_fraud_share", "network_ring_score"} <= set(report.features)
    told = network.set_axis(network.index.map(digest_key)).loc[windows["key_sha256"], list(report.features[1:])]
    np.testing.assert_array_equal(told.to_numpy(), windows[list(report.features[1:])].to_numpy())
    assert [column.name for column in accepted_windows(workspace)[1]] == list(report.features)
    assert check_leaks(snapshot, sample=50, windows=windows).verdict.stopping == ()


def test_a_column_that_says_the_same_of_all_is_left_out(tmp_path: Path) -> None:
    """Nobody was ever at this garage twice, so there is nothing to learn from how often."""
    rows = [{**told, "garage": told["claim"]} for told in ROWS]
    report = build_windows(village_workspace(tmp_path, rows, village()), PARAMS)
    assert not any(name.startswith("network_garage_claims") for name in report.features)
    assert "network_phone_claims" in report.features


def test_without_the_section_windows_are_what_they_were(tmp_path: Path) -> None:
    bare = village().model_copy(update={"network": None})
    workspace = village_workspace(tmp_path / "bare", ROWS, bare)
    report = build_windows(workspace, PARAMS)
    assert report.features == ("amount",)
    assert list(windows_in(workspace).columns) == ["amount", "key_sha256", "event_time", "label"]


def test_a_changed_log_row_is_noticed(tmp_path: Path) -> None:
    workspace = village_workspace(tmp_path, ROWS, village())
    path = sorted((workspace.snapshot / "log").iterdir())[0]
    flip_a_byte(path)
    with pytest.raises(Tampered) as noticed:
        build_windows(workspace, PARAMS)
    assert noticed.value.facts["path"] == str(path)
