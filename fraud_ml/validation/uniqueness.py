"""Which rows share a value that each row should have alone: told from hashes, which are kept per month and merged.

A value is told by 128 bits: two values of ten million share them with a chance below 1e-24. Hashes lie sorted in files,
and are compared one range after another, so that memory holds a few million at a time, however long the table is.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_AT_ONCE = 2_000_000  # hashes in memory


def hashes_of(values: "pd.Series") -> "NDArray[np.uint64]":
    """Return (n, 2): the hashes of the known values, sorted by the first and then the second half."""
    import numpy as np
    import pandas as pd

    known = values[values.notna()]
    if isinstance(known.dtype, pd.StringDtype):
        plain = known.to_numpy(object)
    elif pd.api.types.is_numeric_dtype(known.dtype) or pd.api.types.is_datetime64_any_dtype(known.dtype):
        plain = known.to_numpy()
    else:
        plain = np.array([repr(value) for value in known], object)
    halves = [
        pd.util.hash_array(plain, hash_key=key, categorize=False) for key in ("claims of fraud1", "claims of fraud2")
    ]
    found: NDArray[np.uint64] = np.stack(halves, axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def less(hashes: "NDArray[np.uint64]", left: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return sorted hashes without those of some of the rows. Raises ValueError where one of them is not there."""
    import numpy as np

    gone = np.zeros(len(hashes), bool)
    for first, (one, other) in zip(np.searchsorted(hashes[:, 0], left[:, 0]).tolist(), left, strict=True):
        place = first
        while place < len(hashes) and hashes[place, 0] == one and (gone[place] or hashes[place, 1] != other):
            place += 1
        if place == len(hashes) or hashes[place, 0] != one:
            raise ValueError("these rows were never there")
        gone[place] = True
    return hashes[~gone]


def together(hashes: "NDArray[np.uint64]", came: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return the sorted hashes of both."""
    import numpy as np

    both = np.concatenate([hashes, came])
    both = both[np.argsort(both[:, 0], kind="stable")]  # of two sorted runs: far cheaper than sorting by both halves
    if (both[1:, 0] == both[:-1, 0]).any():
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return both


def repeated_in(values: "pd.Series") -> int:
    """Return how many rows hold a known value that another row holds too."""
    return _repeated(hashes_of(values))


class Seen:
    """The hashes of some columns, month by month, as files in `folder`; about `at_once` of them are held at a time."""

    def __init__(self, folder: Path, *, at_once: int = _AT_ONCE) -> None:
        self._folder, self._at_once = folder, at_once
        self._files: dict[str, list[Path]] = {}

    def add(self, column: str, hashes: "NDArray[np.uint64]") -> None:
        """Keep a month's sorted hashes of the column."""
        import numpy as np

        mine = self._files.setdefault(column, [])
        names = list(self._files)
        path = self._folder / f"{names.index(column)}-{len(mine)}.npy"
        np.save(path, hashes)
        mine.append(path)

    def repeated(self, column: str) -> int:
        """Return how many rows of all months hold a known value of the column that another row holds too."""
        import numpy as np

        months = [np.load(path, mmap_mode="r") for path in self._files.get(column, [])]
        return sum(_repeated(_sorted(part)) for part in _ranges(months, self._at_once))


# --- inside ---------------------------------------------------------------------------------------------------------


def _ranges(months: "Sequence[NDArray[np.uint64]]", at_once: int) -> "Iterator[NDArray[np.uint64]]":
    """Yield all hashes, one range of their first half after another."""
    import numpy as np

    parts = max(1, math.ceil(sum(len(month) for month in months) / at_once))
    edges = [np.uint64((2**64 - 1) * part // parts) for part in range(1, parts)]
    cuts = [[0, *np.searchsorted(month[:, 0], edges), len(month)] for month in months]
    for part in range(parts):
        held = [month[cut[part] : cut[part + 1]] for month, cut in zip(months, cuts, strict=True)]
        if held:
            yield np.concatenate(held)


def _sorted(hashes: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return the hashes whose first half occurs more than once, sorted: the others are alone."""
    import numpy as np

    first = np.sort(hashes[:, 0])
    twice = first[1:][first[1:] == first[:-1]]
    if not len(twice):
        return hashes[:0]
    suspects = hashes[np.isin(hashes[:, 0], twice)]
    return suspects[np.lexsort((suspects[:, 1], suspects[:, 0]))]


def _repeated(ordered: "NDArray[np.uint64]") -> int:
    """Return how many of the sorted hashes equal a neighbour."""
    import numpy as np

    if len(ordered) < 2:
        return 0
    alike = (ordered[1:] == ordered[:-1]).all(axis=1)
    return int(np.count_nonzero(np.append(alike, False) | np.insert(alike, 0, False)))
