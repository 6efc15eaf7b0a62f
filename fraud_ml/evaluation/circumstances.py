"""What is known of a window's claims beside their features: who claims, how much, and whom the evaluation tells apart.

It is looked up among the judged claims by the SHA-256 of the key, so that no window has to carry it. Nothing of it
reaches a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Contract, Slice
from fraud_ml.data.duck import connect, quoted, scan
from fraud_ml.data.fold import verify_fold
from fraud_ml.errors import Tampered

if TYPE_CHECKING:
    import pandas as pd

UNKNOWN = "not known"


@dataclass(frozen=True)
class Circumstances:
    """Of each claim of a window, in the window's order; each array (n_claims,)."""

    keys: NDArray  # the claim's name at its source: only ever looked at to see whether names tell something
    months: NDArray  # of the event, such as 1996-04
    groups: NDArray | None  # who claims; None where the contract names no such column
    amounts: NDArray[np.float64] | None  # NaN where not known; None where the contract names no such column
    slices: Mapping[str, NDArray]  # column -> the words, or the bands, that claims are told apart by


class JudgedClaims:
    """The fold that was judged, asked for more about claims of its windows. Its bytes are proven once."""

    def __init__(self, folder: Path, contract: Contract, *, snapshot_digest: str) -> None:
        """Raises Tampered when a file is not the one that the fold names, or the fold is of another snapshot."""
        manifest = verify_fold(folder)
        if manifest.snapshot_digest != snapshot_digest:
            raise Tampered(
                f"{folder} holds the claims of another snapshot",
                expected=snapshot_digest[:12],
                arrived=manifest.snapshot_digest[:12],
                next_step="run the validate stage again",
                path=str(folder),
            )
        self._folder, self._files, self._contract = folder, frozenset(manifest.files), contract

    def of(self, window: "pd.DataFrame") -> Circumstances:
        """Return the circumstances of the window's claims. Raises Tampered when one of them was not judged."""
        contract = self._contract
        months = window["event_time"].dt.strftime("%Y-%m").to_numpy(dtype=object)
        extra = [name for name in (contract.group, contract.amount, *(s.column for s in contract.slices)) if name]
        wanted = dict.fromkeys((contract.key, *extra))
        files = [self._folder / f"{month}.parquet" for month in sorted(set(months))]
        files = [path for path in files if path.name in self._files]
        found = self._read(files, list(wanted)).set_index("key_sha256") if files else None
        if found is None or not window["key_sha256"].isin(found.index).all():
            raise Tampered(
                f"{self._folder}: a claim of the window is not among the judged claims",
                next_step="run the stages again (`dvc repro`)",
                path=str(self._folder),
            )
        rows = found.loc[window["key_sha256"]]
        return Circumstances(
            keys=_words(rows[contract.key]),
            months=months,
            groups=_groups(rows[contract.group], window["key_sha256"]) if contract.group else None,
            amounts=rows[contract.amount].to_numpy(dtype=np.float64, na_value=np.nan) if contract.amount else None,
            slices={one.column: _told_apart(rows[one.column], one) for one in contract.slices},
        )

    def _read(self, files: list[Path], columns: list[str]) -> "pd.DataFrame":
        names = ", ".join(quoted(name) for name in columns)
        with connect(files=True) as duck:
            query = f"SELECT {names}, sha256({quoted(self._contract.key)}) AS key_sha256 FROM ({scan(files)})"  # noqa: S608
            frame: pd.DataFrame = duck.execute(query).df()
        return frame


def _words(values: "pd.Series") -> NDArray:
    return values.astype(object).where(values.notna(), UNKNOWN).to_numpy(dtype=object)


def _groups(values: "pd.Series", keys: "pd.Series") -> NDArray:
    """A claim of nobody in particular stands alone, under its own key."""
    named = values.notna().to_numpy()
    return np.where(named, values.astype(object).to_numpy(), keys.to_numpy(dtype=object))


def _told_apart(values: "pd.Series", one: Slice) -> NDArray:
    if not one.edges:
        return _words(values)
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    edges = [f"{edge:g}" for edge in one.edges]
    bands = [
        f"below {edges[0]}",
        *(f"{a} to {b}" for a, b in pairwise(edges)),
        f"{edges[-1]} and up",
    ]
    told = np.array(bands, dtype=object)[np.searchsorted(one.edges, numbers, side="right").clip(0, len(bands) - 1)]
    return np.where(np.isnan(numbers), UNKNOWN, told)
