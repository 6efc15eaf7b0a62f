"""Who was named in which claim, and what was known of it, since when: the log as tables of DuckDB.

    claims   claim (a number of ours), key, moment (its first row: when it is scored)
    own      claim, place (of the column in the contract's section), kind, party: the first row's
    links    claim, party, kind, since (the first row that names the party), expires
    changes  claim, moment, confirmed, decided: by how much the row's outcome differs from that of the row before

Personal values are opened in memory alone. What DuckDB holds of a party, and may spill to disk, is a digest under a key
that is drawn here and kept nowhere, then a number.
"""

# ruff: noqa: S608 - names are quoted, and values are numbers of our own
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import SnapshotManifest
from fraud_ml.contract import Contract, Network
from fraud_ml.data.sealing import ERASED, columns_to_open, open_columns
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.data.tables import RECORDED_AT

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 128 * 1024
CONFIRMED, CLEARED, SILENT = 1, 2, 0


def lay_graph(
    duck: Any, snapshot: Path, manifest: SnapshotManifest, contract: Contract, network: Network, keys: SnapshotKeys
) -> None:
    """Leave the four tables in `duck`, of every row of the snapshot in the folder `snapshot`."""
    duck.execute("CREATE TEMP TABLE told (key VARCHAR, moment TIMESTAMP, outcome TINYINT)")
    duck.execute("CREATE TEMP TABLE named (key VARCHAR, place TINYINT, kind TINYINT, party BLOB, moment TIMESTAMP)")
    secret = secrets.token_bytes(16)
    for rows, opened in _opened(snapshot, manifest, contract, network, keys):
        duck.register("arrived", _outcomes(rows, contract))
        duck.execute("INSERT INTO told SELECT key, moment, outcome FROM arrived")
        for place, name in enumerate(network.parties):
            duck.register("arrived", _parties(rows, opened, name, contract, network, secret))
            kind = network.kinds.index(network.parties[name])
            duck.execute(
                f"INSERT INTO named SELECT key, {place}, {kind}, party, min(moment) FROM arrived GROUP BY key, party"
            )
        duck.unregister("arrived")
    _number(duck, network)


def _opened(
    snapshot: Path, manifest: SnapshotManifest, contract: Contract, network: Network, keys: SnapshotKeys
) -> "Iterator[tuple[pa.Table, pa.Table]]":
    """Yield some log rows at a time, and beside them their parties' columns, opened."""
    import pyarrow as pa
    from pyarrow import parquet

    wanted = list(network.parties)
    columns = [contract.key, RECORDED_AT, contract.label.column, *columns_to_open(contract, wanted)]
    for name in sorted(manifest.files):
        for batch in parquet.ParquetFile(snapshot / name).iter_batches(
            _ROWS_AT_ONCE, columns=list(dict.fromkeys(columns))
        ):
            rows = pa.Table.from_batches([batch])
            yield rows, open_columns(rows, contract, keys, wanted)


def _outcomes(rows: "pa.Table", contract: Contract) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    label = rows[contract.label.column]
    confirmed, cleared = (
        pc.is_in(label, pa.array(words, pa.string())) for words in (contract.label.positive, contract.label.negative)
    )
    outcome = pc.if_else(confirmed, CONFIRMED, pc.if_else(cleared, CLEARED, SILENT)).cast(pa.int8())
    return pa.table(
        {"key": rows[contract.key], "moment": rows[RECORDED_AT].cast(pa.timestamp("us")), "outcome": outcome}
    )


def _parties(
    rows: "pa.Table", opened: "pa.Table", name: str, contract: Contract, network: Network, secret: bytes
) -> "pa.Table":
    """Return one row for each party that a row names in the column: key, moment, and the party's digest."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = opened[name].combine_chunks()
    keys, at = rows[contract.key].combine_chunks(), rows[RECORDED_AT].combine_chunks().cast(pa.timestamp("us"))
    nobody = contract.nobody(name)
    if separator := contract.separator(name):
        known = pc.and_(pc.is_valid(cells), pc.invert(pc.is_in(cells, pa.array(nobody, pa.string()))))
        cells, keys, at = (part.filter(known) for part in (cells, keys, at))
        lists = pc.split_pattern(cells, separator)
        parents = pc.list_parent_indices(lists)
        cells, keys, at = pc.list_flatten(lists), keys.take(parents), at.take(parents)
        nobody = (*nobody, *((ERASED,) if contract.erasure and name in contract.erasure.mentions else ()))
    known = pc.and_(pc.is_valid(cells), pc.invert(pc.is_in(cells, pa.array(["", *nobody], pa.string()))))
    cells, keys, at = (part.filter(known) for part in (cells, keys, at))
    coded = pc.dictionary_encode(cells)
    digests = pa.array(
        [_digest(network.parties[name], party, secret) for party in coded.dictionary.to_pylist()], pa.binary()
    )
    return pa.table({"key": keys, "party": digests.take(coded.indices), "moment": at})


def _digest(kind: str, party: str, secret: bytes) -> bytes:
    return hashlib.blake2b(f"{kind}\0{party}".encode(), digest_size=16, key=secret).digest()


def _number(duck: Any, network: Network) -> None:
    """Replace keys and digests by numbers. Which number is which, nothing that is written depends on."""
    duck.execute(
        "CREATE TEMP TABLE claims AS SELECT CAST(row_number() OVER () AS INTEGER) AS claim, key, moment"
        " FROM (SELECT key, min(moment) AS moment FROM told GROUP BY key)"
    )
    duck.execute(
        "CREATE TEMP TABLE parties AS SELECT party AS digest, CAST(row_number() OVER () AS INTEGER) AS party"
        " FROM (SELECT DISTINCT party FROM named)"
    )
    duck.execute(
        "CREATE TEMP TABLE placed AS SELECT claim, parties.party, kind, place, min(named.moment) AS since,"
        " min(named.moment) = any_value(claims.moment) AS is_own"
        " FROM named JOIN claims USING (key) JOIN parties ON named.party = digest GROUP BY ALL"
    )
    duck.execute("CREATE TEMP TABLE own AS SELECT claim, place, kind, party FROM placed WHERE is_own")
    duck.execute(
        f"CREATE TEMP TABLE links AS SELECT claim, party, kind, min(since) AS since,"
        f" min(since) + INTERVAL {network.window_days} DAY AS expires FROM placed GROUP BY claim, party, kind"
        " ORDER BY since"
    )
    earlier = f"lag(outcome, 1, {SILENT}::TINYINT) OVER (PARTITION BY key ORDER BY moment, outcome)"
    duck.execute(
        f"CREATE TEMP TABLE changes AS SELECT claim, changed.moment,"
        f" CAST((outcome = {CONFIRMED})::INT - (earlier = {CONFIRMED})::INT AS TINYINT) AS confirmed,"
        f" CAST((outcome <> {SILENT})::INT - (earlier <> {SILENT})::INT AS TINYINT) AS decided"
        f" FROM (SELECT key, moment, outcome, {earlier} AS earlier FROM told) AS changed"
        " JOIN claims USING (key) WHERE outcome <> earlier"
    )
    for table in ("told", "named", "parties", "placed"):
        duck.execute(f"DROP TABLE {table}")
