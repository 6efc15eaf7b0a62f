"""Where claims come from. Each source hands over the columns of a contract as they were written, nothing parsed yet.

To add one: a module with a `ClaimsSource` (see `port.py`), and a row in SOURCES; the contract suite then tests it.
"""

import importlib
from typing import Any

from fraud_ml.contract import Contract
from fraud_ml.data.sources.port import ClaimsSource, DeadLetter, Delivery
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings

__all__ = ["SOURCES", "ClaimsSource", "DeadLetter", "Delivery", "is_path", "open_source"]

# how an address begins -> where the source stands; every other address is a path
SOURCES = {
    "s3://": "fraud_ml.data.sources.s3:S3Source",
    "gs://": "fraud_ml.data.sources.gcs:GcsSource",
    "kafka://": "fraud_ml.data.sources.kafka:KafkaSource",
    "pubsub://": "fraud_ml.data.sources.pubsub:PubSubSource",
    "simulator:": "fraud_ml.data.sources.simulated:SimulatedSource",
}
_PATH = "fraud_ml.data.sources.folder:FolderSource"


def is_path(address: str) -> bool:
    """Say whether the address is a path on this machine."""
    return "://" not in address and not address.startswith(tuple(SOURCES))


def open_source(address: str, contract: Contract, settings: Settings) -> ClaimsSource:
    """Return the source of that address: a path, `s3://…`, `gs://…`, `kafka://…`, `pubsub://…` or `simulator:…`.

    Nothing is read yet. Raises BadInput when the address is not spelled as its source demands.
    """
    if not is_path(address) and not address.startswith(tuple(SOURCES)):
        raise BadInput(
            f"no source of claims for {address.partition('://')[0]}:// addresses",
            expected=f"a path, or an address that begins with {', '.join(SOURCES)}",
        )
    place = next((place for begin, place in SOURCES.items() if address.startswith(begin)), _PATH)
    module, name = place.split(":")
    source: Any = getattr(importlib.import_module(module), name)
    opened: ClaimsSource = source(address, contract, settings)
    return opened
