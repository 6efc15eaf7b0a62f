"""The network columns of every claim of a fold, one file an event month, in the fold's order.

<into>/2025-11.parquet    the claim's key, then the contract's `network_features`, all double
"""

# ruff: noqa: S608 - names are quoted, and values are paths and numbers of our own
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import FoldManifest, SnapshotManifest
from fraud_ml.contract import Contract, Network
from fraud_ml.data.duck import connect, quoted, scan, text
from fraud_ml.data.snapshots import Snapshot
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.features.network.counts import count_parties
from fraud_ml.features.network.graph import lay_graph
from fraud_ml.features.network.reach import open_reach, reach_parties
from fraud_ml.features.network.ring import UNIT, open_scores, score_month

if TYPE_CHECKING:
    import pandas as pd

_MEMORY_MIB = 1024  # DuckDB's share; what exceeds it goes to disk
_ROWS_PER_GROUP = 128 * 1024


def write_network(
    snapshot: Path,
    manifest: SnapshotManifest,
    claims: Path,
    fold: FoldManifest,
    contract: Contract,
    keys: SnapshotKeys,
    into: Path,
    *,
    threads: int = 0,
) -> None:
    """Write the columns of each claim of the fold in `claims` into the existing folder `into`; nothing without a
    section `network`.

    snapshot: the folder that the fold was made of, its bytes compared by the caller. threads: 0 for DuckDB's own
    choice; the bytes are the same. Raises Tampered where a personal value is not what was sealed there.
    """
    network = contract.network
    if network is None:
        return
    with (
        tempfile.TemporaryDirectory(prefix="fraud-ml-network-") as scratch,
        connect(files=True, spill=Path(scratch), memory_mib=_MEMORY_MIB, threads=threads) as duck,
    ):
        lay_graph(duck, snapshot, manifest, contract, network, keys)
        count_parties(duck)
        open_reach(duck)
        open_scores(duck)
        for begin, end in _months(duck):
            reach_parties(duck, begin, end)
            score_month(duck, begin, end)
        _gather(duck, contract, network)
        key = quoted(contract.key)
        for name in sorted(fold.files):
            listed = f"SELECT {key} AS key FROM ({scan([claims / name])})"
            duck.execute(
                f"COPY (SELECT key AS {key}, columns(* EXCLUDE (key)) FROM ({listed}) LEFT JOIN gathered USING (key)"
                f" ORDER BY key) TO {text(str(into / name))}"
                f" (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROWS_PER_GROUP})"
            )


def network_of(snapshot: Snapshot) -> "pd.DataFrame":
    """Return the network columns of the snapshot's claims, by key; no column without a section `network`."""
    with tempfile.TemporaryDirectory(prefix="fraud-ml-network-") as scratch:
        claims, into = Path(scratch) / "claims", Path(scratch) / "network"
        fold = snapshot.fold_into(claims, None).manifest
        into.mkdir()
        write_network(snapshot.folder, snapshot.manifest, claims, fold, snapshot.contract, snapshot.keys, into)
        return read_network(into, fold, snapshot.contract)


def read_network(folder: Path, fold: FoldManifest, contract: Contract) -> "pd.DataFrame":
    """Return what `write_network` left in `folder`, by key; no column without a section `network`."""
    import pandas as pd

    if contract.network is None:
        return pd.DataFrame()
    frames = [pd.read_parquet(folder / name) for name in sorted(fold.files)]
    return pd.concat(frames, ignore_index=True).set_index(contract.key)


# --- inside ---------------------------------------------------------------------------------------------------------


def _months(duck: Any) -> Iterator[tuple[datetime, datetime]]:
    """Yield the months in which a claim is scored, each as [first instant, first instant of the next)."""
    begin = "CAST(date_trunc('month', moment) AS TIMESTAMP)"
    found = duck.execute(f"SELECT DISTINCT {begin}, {begin} + INTERVAL 1 MONTH FROM claims ORDER BY ALL").fetchall()
    yield from found


def _gather(duck: Any, contract: Contract, network: Network) -> None:
    """Leave table `gathered`: the key, then all columns in the contract's order."""
    made = []
    for place, name in enumerate(network.parties):
        here = f"FILTER (WHERE place = {place})"
        made += [
            (f"{name}_claims", f"CAST(sum(claims) {here} AS DOUBLE)"),
            (f"{name}_confirmed", f"CAST(sum(confirmed) {here} AS DOUBLE)"),
            (f"{name}_fraud_share", f"CAST(sum(confirmed) {here} AS DOUBLE) / nullif(sum(decided) {here}, 0)"),
        ]
    of_parties = ", ".join(f"{told} AS {quoted(f'network_{name}')}" for name, told in made)
    of_kinds = ", ".join(
        f"CAST(sum(parties) FILTER (WHERE kind = {place}) AS DOUBLE) AS kind_{place}"
        for place in range(len(network.kinds))
    )
    reached = ", ".join(
        f"CASE WHEN known.claim IS NOT NULL THEN coalesce(kind_{place}, 0) END AS {quoted(f'network_{kind}_reached')}"
        for place, kind in enumerate(network.kinds)
    )
    names = ", ".join(quoted(column.name) for column in contract.network_features)
    duck.execute(
        f"CREATE TEMP TABLE gathered AS SELECT key, {names} FROM (SELECT key, known.* EXCLUDE (claim), {reached},"
        f" CASE WHEN known.claim IS NOT NULL THEN coalesce(score, 0) / {UNIT}.0::DOUBLE END AS network_ring_score"
        f" FROM claims LEFT JOIN (SELECT claim, {of_parties} FROM counted GROUP BY claim) AS known USING (claim)"
        f" LEFT JOIN (SELECT claim, {of_kinds} FROM reached GROUP BY claim) AS met USING (claim)"
        " LEFT JOIN scored USING (claim))"
    )
