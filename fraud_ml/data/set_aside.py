"""Why a row or a message cannot enter the log, as codes, and the rows that are set aside instead.

What is set aside goes to the object store as JSON lines, so that people can mend it and land it again:
`{"code": "LAND005", "row": 3, "key_sha256": "…", "cells": {…}}`. Sentences, counts and manifests name codes only.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


class Code(StrEnum):
    """What is wrong."""

    NOT_ITS_KIND = "LAND001"  # a cell is not what its column is declared
    NO_KEY = "LAND002"
    NO_EVENT_TIME = "LAND003"
    NO_RECORDED_TIME = "LAND004"
    RECORDED_BEFORE_EVENT = "LAND005"
    RECORDED_IN_FUTURE = "LAND006"
    OTHER_TIME_ZONE = "LAND007"  # an offset the contract does not allow, or none where it demands one
    TWO_TRUTHS = "LAND008"  # one key and moment, two contents, in one delivery
    OTHER_TRUTH = "LAND009"  # a moment that the log holds already, told differently
    UNKNOWN_EVENT_KIND = "LAND010"
    OTHER_UNIT = "LAND011"  # another currency or unit than the contract's
    OUT_OF_BOUNDS = "LAND012"
    UNREADABLE = "LAND013"  # a file or message that does not parse, or has other columns
    ABSENT = "LAND014"  # listed, but not there when it was read
    LOST = "LAND015"  # a batch's manifest lists rows that the object store does not hold any more
    NO_SUBJECT = "LAND016"  # nobody's key could seal it
    ERASED = "LAND017"  # the person was erased; only the claim's hashed key is kept of the row


class SetAside:
    """The rows of one delivery that are not landed."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, code: Code, rows: "pa.Table", key: str, numbers: Iterable[int] | None = None) -> None:
        """Take rows as they stand; `numbers` are their places (from 1) in the delivery, where they are known."""
        places = list(numbers) if numbers is not None else [None] * rows.num_rows
        for place, cells in zip(places, rows.to_pylist(), strict=True):
            told = {name: value if value is None else str(value) for name, value in cells.items()}
            self._rows.append({"code": str(code), "row": place, "key_sha256": hashed(told.get(key)), "cells": told})

    def add_hashed(self, code: Code, keys: Iterable[str]) -> None:
        """Take rows of which nothing may be kept but that they were there: each by the hash of its claim's key."""
        self._rows += [{"code": str(code), "row": None, "key_sha256": hashed(key), "cells": {}} for key in keys]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each code set aside."""
        return dict(sorted(Counter(row["code"] for row in self._rows).items()))

    def content(self) -> bytes:
        """Return the rows as JSON lines; equal rows give equal bytes."""
        lines = sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in self._rows)
        return "".join(line + "\n" for line in lines).encode()


def hashed(key: str | None) -> str | None:
    """Return the SHA-256 of a claim's key, by which it may be named."""
    return None if key is None else hashlib.sha256(key.encode()).hexdigest()
