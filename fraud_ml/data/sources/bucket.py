"""Objects in a bucket as a source: one object, all below a prefix, or those that a pattern names; each is a delivery.

A download that was cut off goes on where it ended, as long as the object is the same; size and digest are checked.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fraud_ml.contract import Contract
from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.files import SourceTable, can_read, read_content
from fraud_ml.data.sources.port import Delivery
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import StoredObject
from fraud_ml.settings import Settings


class Bucket(Protocol):
    """A store of objects, as far as a source needs it."""

    def listing(self, url: str) -> list[StoredObject]:
        """Return all objects below the prefix `url`, sorted by address."""
        ...

    def fetch(self, item: StoredObject, into: Path) -> None:
        """Write exactly the listed object to `into`, going on behind what is there."""
        ...


class BucketSource:
    """`…://bucket/key`, `…://bucket/folder/` or `…://bucket/day=2025-*`; `*` stands for anything, slashes too."""

    is_stream = False

    def __init__(self, address: str, contract: Contract, settings: Settings, bucket: Bucket) -> None:
        name = address.partition("://")[2].partition("/")[0]
        if not name or "*" in name:
            raise BadInput("not the address of objects in one bucket", expected="…://bucket/key, or a prefix*")
        self._address, self._contract = address, contract
        self._bucket = bucket
        self._partial = settings.home / "downloads"

    def deliveries(self) -> Iterator[Delivery]:
        """Yield each object in order of its address. Raises BadInput when there is none."""
        found = self._found()
        if not found:
            raise BadInput(
                f"{self._address}: no such object",
                expected="claims files (.csv, .jsonl.gz, .parquet …) there",
                next_step="check the address",
                code=str(Code.ABSENT),
            )
        for item in found:
            yield Delivery(item.url, lambda item=item: self._read(item))  # type: ignore[misc]

    def confirm(self, delivery: Delivery) -> None:
        """Nothing to do: an object that is landed again adds nothing."""

    def close(self) -> None:
        """Nothing to do: what a cut-off download left stays, to be gone on with."""

    def _found(self) -> list[StoredObject]:
        begin, _, pattern = self._address.partition("*")
        listed = self._bucket.listing(begin)
        if pattern or self._address.endswith("*"):
            named = re.compile(".*".join(map(re.escape, self._address.split("*"))))
            return [item for item in listed if named.fullmatch(item.url) and can_read(item.url)]
        exact = [item for item in listed if item.url == self._address]
        folder = self._address.rstrip("/") + "/"
        return exact or [item for item in listed if item.url.startswith(folder) and can_read(item.url)]

    def _read(self, item: StoredObject) -> SourceTable:
        file = self._file_of(item)
        try:
            self._bucket.fetch(item, file)
        except Unavailable:
            if not any(listed == item for listed in self._bucket.listing(item.url)):
                file.unlink(missing_ok=True)
                raise BadInput(
                    f"{item.url}: listed, but gone or replaced when it was read",
                    next_step="land the source again",
                    code=str(Code.ABSENT),
                ) from None
            raise
        raw = file.read_bytes()
        file.unlink()
        return read_content(item.url, raw, self._contract)

    def _file_of(self, item: StoredObject) -> Path:
        name = hashlib.sha256(f"{item.url} {item.etag} {item.size}".encode()).hexdigest()[:32]
        return self._partial / f"{name}.partial"
