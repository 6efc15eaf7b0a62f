"""Claims as producers send them and as files pack them, and a log to land them in."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from fraud_ml.contract import Contract
from fraud_ml.data.landing import Landed, Refused, land_source
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.sources import open_source
from fraud_ml.data.tables import merge_files
from fraud_ml.settings import Settings


@dataclass
class Place:
    """A log of one's own, and what stands in it."""

    settings: Settings
    contract: Contract

    def land(self, address: str) -> list[Landed | Refused]:
        return list(land_source(self.settings, self.contract, open_source(address, self.contract, self.settings)))

    def rows(self, folder: Path) -> pa.Table:
        """Return the distinct rows of the log."""
        log = ClaimLog(self.settings, self.contract)
        wanted = [(batch, item) for batch in log.batches() for item in batch.objects]
        folder.mkdir(exist_ok=True)
        return merge_files(log.fetch(wanted, folder), self.contract)

    @property
    def written(self) -> int:
        """How many rows all batches hold, doubled ones counted twice."""
        return sum(batch.rows for batch in ClaimLog(self.settings, self.contract).batches())


def messages(rows: pd.DataFrame) -> list[bytes]:
    """Return each row as the JSON object that a producer would send."""
    return rows.to_json(orient="records", lines=True, date_format="iso").encode().splitlines()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return sink.getvalue().to_pybytes()


def claim(row: dict[str, object], **changed: object) -> bytes:
    """Return one row as a message, with some cells changed."""
    return json.dumps({**row, **changed}).encode()
