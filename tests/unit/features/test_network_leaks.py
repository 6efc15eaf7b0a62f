"""The leak check computes network columns a second time: honest ones pass, and each planted leak is named by column."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.data.snapshots import Snapshot
from fraud_ml.features.leakcheck import LeakReport, check_leaks
from fraud_ml.features.network import network_of
from fraud_ml.features.network_replay import NetworkReplay
from tests.network_oracle import Row, network_by_hand
from tests.village import busy_village, frozen, village

ROWS = busy_village(90, days=90)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return frozen(ROWS, village(), tmp_path_factory.mktemp("village") / "snapshot")


def named(report: LeakReport) -> set[str | None]:
    return {found.column for found in report.verdict.stopping if found.code == "LEAK001"}


def test_the_slow_way_gives_the_same_columns(snapshot: Snapshot) -> None:
    contract = village()
    rows = pd.DataFrame(ROWS).sort_values("recorded_at", kind="stable")
    assert contract.network
    replay = NetworkReplay(rows, contract, contract.network)
    fast = network_of(snapshot)
    slow = pd.DataFrame({key: replay.of(key) for key in fast.index}).T[list(fast.columns)]
    pd.testing.assert_frame_equal(fast, slow, check_dtype=False, check_names=False, check_exact=True)
    assert (fast["network_ring_score"] > 0).sum() > 10
    assert (fast["network_phone_confirmed"] > 0).sum() > 10


def test_honest_columns_pass(snapshot: Snapshot) -> None:
    report = check_leaks(snapshot, sample=90)
    assert report.verdict.stopping == ()
    assert {"network_phone_claims", "network_ring_score"} <= {probe.column for probe in report.probes}


def test_rows_of_the_very_moment_are_a_leak(snapshot: Snapshot) -> None:
    def at_the_moment_too(moment: datetime, now: datetime) -> bool:
        return moment <= now

    report = check_leaks(snapshot, sample=90, connect=lambda _: network_by_hand(ROWS, village(), at_the_moment_too))
    assert "network_garage_claims" in named(report)
    assert all(str(column).startswith("network_") for column in named(report))


def test_an_outcome_that_was_known_later_is_a_leak(snapshot: Snapshot, tmp_path: Path) -> None:
    """As where today's table of claims is joined: who shared a telephone with a fraud is right, and too early."""
    last = {told["claim"]: told["outcome"] for told in ROWS}
    restated: list[Row] = [{**told, "outcome": last[told["claim"]]} for told in ROWS]
    too_early = network_of(frozen(restated, village(), tmp_path / "snapshot"))

    found = named(check_leaks(snapshot, sample=90, connect=lambda _: too_early))
    assert {"network_phone_confirmed", "network_phone_fraud_share", "network_ring_score"} <= found
    assert not any(str(column).endswith(("_claims", "_reached")) for column in found)
