"""CSV files that were written with other rules, or did not arrive whole."""

import gzip
from typing import TYPE_CHECKING

from benchmarks.corpus.family import Level, family
from benchmarks.corpus.scenes import File, Scene, as_csv

if TYPE_CHECKING:
    import numpy as np

READ = ("LAND013",)


@family(
    why="every row is one cell: no column is known",
    severities={"semicolons": 0, "tabs": 1, "bars": 2},
    codes=READ,
    level=Level.FILE,
)
def other_delimiter(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    text = scene.rows.to_csv(index=False, sep=";\t|"[int(amount)], lineterminator="\n")
    return File("delivery.csv", text.encode())


@family(
    why="a transfer ended early: the last claim is half a claim",
    severities={"in the middle": 0.5, "in the last row": 0.999},
    codes=("LAND013", "LAND001", "LAND003", "LAND005"),
    level=Level.FILE,
)
def cut_off_in_a_row(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    content = as_csv(scene.rows).content
    row = content.rfind(b"\n", 0, int(amount * len(content)))
    return File("delivery.csv", content[: row + 12])


@family(
    why="rows have more or fewer cells than the header: everything behind the fault is another column's",
    severities={"tenth": 0.1, "one": 0.0},
    codes=READ,
    level=Level.FILE,
)
def ragged_rows(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    lines = as_csv(scene.rows).content.rstrip(b"\n").split(b"\n")
    for row in dice.choice(range(1, len(lines)), max(1, int(amount * len(lines))), replace=False):
        lines[row] = lines[row] + b",surplus" if row % 2 else lines[row].rsplit(b",", 1)[0]
    return File("delivery.csv", b"\n".join(lines) + b"\n")


@family(
    why="a quotation mark is never closed: all that follows is one cell",
    severities={"one": 1},
    codes=READ,
    level=Level.FILE,
)
def quote_left_open(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    lines = as_csv(scene.rows).content.rstrip(b"\n").split(b"\n")
    row = int(dice.integers(1, len(lines)))
    cells = lines[row].split(b",")
    cells[1] = b'"' + cells[1]
    lines[row] = b",".join(cells)
    return File("delivery.csv", b"\n".join(lines) + b"\n")


@family(
    why="the packed file did not arrive whole, and unpacking it halfway looks like fewer claims",
    severities={"cut in the middle": 0.5, "cut before its checksum": 0.999},
    codes=READ,
    level=Level.FILE,
)
def gzip_cut_off(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    packed = gzip.compress(as_csv(scene.rows).content, mtime=0)
    return File("delivery.csv.gz", packed[: int(amount * len(packed))])


@family(
    why="a bit turned over on its way: what is unpacked is not what was packed",
    severities={"one byte": 1, "its checksum": 0},
    codes=READ,
    level=Level.FILE,
)
def gzip_damaged(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    packed = bytearray(gzip.compress(as_csv(scene.rows).content, mtime=0))
    at = int(dice.integers(20, len(packed) - 12)) if amount else len(packed) - 6
    packed[at] ^= 0xFF
    return File("delivery.csv.gz", bytes(packed))


@family(
    why="the file is something else under a name that says claims: an error page, an archive, a picture",
    severities={"an error page": 0, "a zip archive": 1, "random bytes": 2},
    codes=READ,
    level=Level.FILE,
)
def something_else(scene: Scene, column: None, amount: float, dice: "np.random.Generator") -> File:
    page = b"<!DOCTYPE html><html><head><title>503</title></head><body>Service Unavailable</body></html>\n"
    return File("delivery.csv", (page, b"PK\x03\x04" + dice.bytes(4096), dice.bytes(20_000))[int(amount)])
