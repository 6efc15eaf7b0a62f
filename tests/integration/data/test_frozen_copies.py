"""What is frozen from a copy of the log on this disk is byte for byte what the log in the object store gives."""

from datetime import date
from pathlib import Path

import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.log import land
from fraud_ml.data.snapshots import freeze
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.settings import Settings

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("as_of", [date(2024, 1, 31), date(2024, 2, 14)])
def test_a_copy_freezes_to_the_digest_of_the_log(
    place: Settings, motor: Contract, motor_file: Path, tmp_path: Path, as_of: date
) -> None:
    land(place, motor, motor_file)
    rows = parse_rows(read_file(motor_file, motor), motor).to_pandas()

    assert freeze_copy(rows, motor, as_of, tmp_path / "copy").digest == freeze(place, motor, as_of).manifest.digest
