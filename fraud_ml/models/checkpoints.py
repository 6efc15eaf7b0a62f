"""What an interrupted fit had learned, kept so that a killed training goes on from there and ends at the same bits.

A checkpoint is one file: a line of JSON that says which version of code and libraries wrote it and what the rest must
hash to, then arrays. It appears by one rename, so a reader finds the one before, or the whole new one. It holds what
was learned, never a claim.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud_ml.errors import BadInput, Tampered
from fraud_ml.models.environment import running_version

SUFFIX = ".checkpoint"
_ANEW = "remove it to train from the start"


@dataclass(frozen=True)
class Checkpoint:
    """The place of one fit's checkpoint, or of the parts that a longer training consists of; None keeps nothing.

    The place must say everything that decides what is learned there, apart from code and libraries.
    """

    place: Path | None = None

    def part(self, name: str) -> "Checkpoint":
        return Checkpoint(self.place / name if self.place else None)

    def save(self, learned: Mapping[str, NDArray]) -> None:
        """Keep `learned` instead of what was kept before; afterwards it outlives this process, and a power cut."""
        if self.place is None:
            return
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **learned)
        content = packed.getvalue()
        header = {"version": running_version(), "sha256": hashlib.sha256(content).hexdigest()}
        path = self._path(self.place)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with partial.open("wb") as stream:
            stream.write(json.dumps(header).encode() + b"\n" + content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)

    def load(self) -> dict[str, NDArray] | None:
        """Return what was kept, or None.

        Raises BadInput when another version of code or libraries wrote it: going on from there would end at a model
        that neither version makes. Raises Tampered when its bytes are not those that were written.
        """
        if self.place is None or not self._path(self.place).exists():
            return None
        path = self._path(self.place)
        line, _, content = path.read_bytes().partition(b"\n")
        try:
            header = json.loads(line)
            written, sha256 = header["version"], header["sha256"]
        except (ValueError, TypeError, KeyError):
            raise Tampered(f"{path}: not a checkpoint", next_step=_ANEW, path=str(path)) from None
        running = running_version()
        if written != running:
            raise BadInput(
                f"{path}: a checkpoint of another version",
                expected=_spelled(running),
                arrived=_spelled(written),
                next_step=f"{_ANEW}, or go on with the version that wrote it",
                path=str(path),
            )
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Tampered(f"{path}: its bytes differ from its own digest", next_step=_ANEW, path=str(path))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)

    @staticmethod
    def _path(place: Path) -> Path:
        return place.with_name(place.name + SUFFIX)


NOWHERE = Checkpoint()


def _spelled(version: object) -> str:
    return ", ".join(f"{name} {value}" for name, value in version.items()) if isinstance(version, dict) else "none"
