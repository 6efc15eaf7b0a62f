"""Objects of Google Cloud Storage are told apart by generation, and a cut-off download goes on where it ended."""

from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.data.landing import Landed, Refused, land_source
from fraud_ml.data.sources import open_source
from fraud_ml.data.sources.gcs import _GcsBucket
from fraud_ml.errors import Unavailable
from fraud_ml.objects import StoredObject
from tests.integration.data.sources.conftest import Fill
from tests.integration.data.sources.deliveries import Place

pytestmark = pytest.mark.stack


def test_cut_off_download_goes_on_where_it_ended(
    fill_gcs: Fill, log: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 400
    prefix = fill_gcs({"day=1.csv": content}).removesuffix("*")
    bucket = _GcsBucket(log.settings)
    [item] = bucket.listing(prefix)
    monkeypatch.setattr("fraud_ml.objects.downloads._PART", 30_000)
    file = tmp_path / "partial"
    file.write_bytes(content[:70_001])
    bucket.fetch(item, file)

    assert item.size == len(content)
    assert file.read_bytes() == content
    file.write_bytes(b"wrong")
    with pytest.raises(Unavailable, match="arrived otherwise than it was listed"):
        bucket.fetch(item, file)


def test_generation_that_was_replaced_is_not_read(fill_gcs: Fill, log: Place, tmp_path: Path) -> None:
    prefix = fill_gcs({"day=1.csv": b"old"}).removesuffix("*")
    bucket = _GcsBucket(log.settings)
    [item] = bucket.listing(prefix)
    earlier = StoredObject(item.url, item.size, "1", item.modified)

    with pytest.raises(Unavailable, match="was replaced since it was listed"):
        bucket.fetch(earlier, tmp_path / "a")


def test_object_that_is_gone_stops_no_other(fill_gcs: Fill, log: Place, motor_rows: pd.DataFrame) -> None:
    text = motor_rows.to_csv(index=False).encode()
    pattern = fill_gcs({"day=1/a.csv": text, "day=2/b.csv": text, "day=3/c.csv": text})
    outcomes = land_source(log.settings, log.contract, open_source(pattern, log.contract, log.settings))
    first = next(outcomes)
    name = pattern.removeprefix("gs://").partition("/")[0]
    _GcsBucket(log.settings)._client().bucket(name).blob("in/day=2/b.csv").delete()
    second, third = outcomes

    assert isinstance(first, Landed)
    assert isinstance(second, Refused)
    assert second.code == "LAND014"
    assert isinstance(third, Landed)


def test_bucket_that_does_not_exist_is_unavailable(fill_gcs: Fill, log: Place) -> None:
    with pytest.raises(Unavailable, match="does not answer for gs://none-such"):
        log.land("gs://none-such/claims*")
