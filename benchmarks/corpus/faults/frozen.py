"""What may happen to a frozen snapshot on its way to the judge: files lost, exchanged, damaged or added."""

import json
import shutil
from typing import TYPE_CHECKING

from benchmarks.corpus.family import TAMPERED, Level, family

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def _partitions(folder: "Path") -> "list[Path]":
    return sorted(folder.rglob("*.parquet"))


@family(
    why="a month's file lies under another month's name: one month counts twice, and the other is gone",
    severities={"the last over the first": 0, "one over its neighbour": 1},
    codes=(TAMPERED,),
    level=Level.FROZEN,
)
def partition_exchanged(folder: "Path", amount: float, dice: "np.random.Generator") -> None:
    files = _partitions(folder)
    at = int(dice.integers(len(files) - 1))
    source, target = (files[at], files[at + 1]) if amount else (files[-1], files[0])
    shutil.copyfile(source, target)


@family(
    why="a partition was lost: its month looks like a month without claims",
    severities={"one": 1},
    codes=(TAMPERED,),
    level=Level.FROZEN,
)
def partition_missing(folder: "Path", amount: float, dice: "np.random.Generator") -> None:
    _partitions(folder)[int(dice.integers(len(_partitions(folder))))].unlink()


@family(
    why="bytes turned over on the disk, and other claims are read than were frozen",
    severities={"half of a file": 0.5, "one bit": 0.0},
    codes=(TAMPERED,),
    level=Level.FROZEN,
)
def partition_damaged(folder: "Path", amount: float, dice: "np.random.Generator") -> None:
    file = _partitions(folder)[int(dice.integers(len(_partitions(folder))))]
    content = bytearray(file.read_bytes())
    if amount:
        content = content[: int(amount * len(content))]
    else:
        content[int(dice.integers(len(content)))] ^= 1 << int(dice.integers(8))
    file.write_bytes(bytes(content))


@family(
    why="a file was laid beside the frozen ones: claims that nobody froze would be judged with them",
    severities={"a copy of another": 1},
    codes=(TAMPERED,),
    level=Level.FROZEN,
)
def partition_added(folder: "Path", amount: float, dice: "np.random.Generator") -> None:
    last = _partitions(folder)[-1]
    shutil.copyfile(last, last.with_name(f"x-{last.name}"))


@family(
    why="the list of what was frozen was changed to fit what lies there",
    severities={"a file struck off": 0, "its date": 1},
    codes=(TAMPERED,),
    level=Level.FROZEN,
)
def manifest_edited(folder: "Path", amount: float, dice: "np.random.Generator") -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    if amount:
        content["as_of"] = "2031-01-31"
    else:
        name = sorted(content["files"])[0]
        del content["files"][name]
        (folder / name).unlink()
    path.write_text(json.dumps(content), encoding="utf-8")
