"""What holds for every source of claims, whatever it reads from."""

from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.data.landing import Landed, land_source
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.sources import ClaimsSource, open_source
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from tests.integration.data.sources.deliveries import Place

pytestmark = pytest.mark.stack


def test_every_claim_is_in_the_log_once(log: Place, address: str, motor_rows: pd.DataFrame, tmp_path: Path) -> None:
    write_rows(motor_rows, tmp_path / "expected.parquet")
    expected = parse_rows(read_file(tmp_path / "expected.parquet", log.contract), log.contract)
    landed = log.land(address)

    assert all(isinstance(what, Landed) and not what.dead_letters for what in landed)
    assert log.rows(tmp_path / "rows").equals(expected)
    assert log.written == len(motor_rows)


def test_landing_again_adds_nothing(log: Place, address: str) -> None:
    log.land(address)
    before = ClaimLog(log.settings, log.contract).batches()
    again = log.land(address)

    assert ClaimLog(log.settings, log.contract).batches() == before
    assert not any(isinstance(what, Landed) and what.batch and what.batch.created for what in again)


def test_delivery_names_itself_in_the_batch_and_is_the_same_when_read_again(log: Place, address: str) -> None:
    source = open_source(address, log.contract, log.settings)
    with closing(source):
        delivery = next(iter(source.deliveries()))
        first, second = delivery.read(), delivery.read()
    landed = log.land(address)

    assert first is not None
    assert second is not None
    assert (first.digest, first.name) == (second.digest, second.name)
    assert first.columns.equals(second.columns)
    assert first.columns.column_names == list(log.contract.names)
    sources = {batch.source: batch.source_digest for batch in ClaimLog(log.settings, log.contract).batches()}
    assert sources[first.name] == first.digest
    assert len({what.source for what in landed}) == len(landed)


def test_what_was_landed_but_not_confirmed_comes_again_and_adds_nothing(
    log: Place, address: str, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    """The consumer dies between the manifest and its word to the source."""
    deaf = _Deaf(open_source(address, log.contract, log.settings))
    first = next(iter(land_source(log.settings, log.contract, deaf)))
    deaf.close()
    assert isinstance(first, Landed)
    again = log.land(address)

    assert again[0].source.startswith(first.source.split("[")[0])
    assert log.written == log.rows(tmp_path / "rows").num_rows == len(motor_rows)


def test_delivery_never_read_is_given_again(log: Place, address: str, motor_rows: pd.DataFrame, tmp_path: Path) -> None:
    with closing(open_source(address, log.contract, log.settings)) as source:
        next(iter(source.deliveries()))
    log.land(address)

    assert log.rows(tmp_path / "rows").num_rows == len(motor_rows)


class _Deaf:
    """A source whose consumer dies before it confirms."""

    def __init__(self, source: ClaimsSource) -> None:
        self._source, self.is_stream = source, source.is_stream
        self.deliveries, self.close = source.deliveries, source.close

    def confirm(self, delivery: object) -> None:
        """Too late."""
