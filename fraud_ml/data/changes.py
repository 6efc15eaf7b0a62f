"""What changed between two snapshots: rows and labels that appeared, changed or vanished, by day; only counts."""

# ruff: noqa: S608 - names are quoted, and values are paths of our own
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import SnapshotManifest
from fraud_ml.contract import Contract
from fraud_ml.data.duck import connect, quoted, scan
from fraud_ml.data.tables import EVENT_TIME, RECORDED_AT, log_columns

_MEMORY_MIB = 1024


@dataclass(frozen=True)
class Changes:
    """Counts of one recorded day, or of all.

    A row is a claim's moment (key, recorded time): it changed when the same moment is told otherwise. A label is what
    a claim's latest row says: it appeared when the claim had none before, vanished when it has none any more.
    """

    rows_appeared: int = 0
    rows_changed: int = 0
    rows_vanished: int = 0
    labels_appeared: int = 0
    labels_changed: int = 0
    labels_vanished: int = 0


@dataclass(frozen=True)
class Difference:
    """From `before` to `after`, by the day on which the row that made the change was recorded."""

    dataset: str
    before: str
    after: str
    total: Changes
    days: dict[str, Changes]


def compare(
    before: tuple[Path, SnapshotManifest],
    after: tuple[Path, SnapshotManifest],
    contract: Contract,
    *,
    names: tuple[str, str],
) -> Difference:
    """Return what differs between two verified snapshot folders. Partitions whose bytes they share are not compared."""
    (old, old_manifest), (new, new_manifest) = before, after
    shared = set(old_manifest.files.items()) & set(new_manifest.files.items())
    only_old = [old / name for name, sha in sorted(old_manifest.files.items()) if (name, sha) not in shared]
    only_new = [new / name for name, sha in sorted(new_manifest.files.items()) if (name, sha) not in shared]
    all_old = [old / name for name in sorted(old_manifest.files)]
    all_new = [new / name for name in sorted(new_manifest.files)]
    if not only_old and not only_new:
        return Difference(contract.dataset, *names, Changes(), {})
    key, label = quoted(contract.key), quoted(contract.label.column)
    columns = ", ".join(quoted(name) for name in log_columns(contract))
    nothing = f"SELECT {columns} FROM ({scan(all_old)}) WHERE false"
    was = f"SELECT {columns} FROM ({scan(only_old)})" if only_old else nothing
    now = f"SELECT {columns} FROM ({scan(only_new)})" if only_new else nothing
    with (
        tempfile.TemporaryDirectory(prefix="fraud-ml-compare-") as spill,
        connect(files=True, spill=Path(spill), memory_mib=_MEMORY_MIB) as duck,
    ):
        for table, rows in (("gained", f"{now} EXCEPT {was}"), ("lost", f"{was} EXCEPT {now}")):
            duck.execute(
                f"CREATE TEMP TABLE {table} AS SELECT {key} AS claim, {RECORDED_AT} AS known FROM ({rows}) AS found"
            )
        duck.execute("CREATE TEMP TABLE touched AS SELECT claim FROM gained UNION SELECT claim FROM lost")
        for table, files in (("latest_before", all_old), ("latest_after", all_new)):
            duck.execute(
                f"CREATE TEMP TABLE {table} AS SELECT {key} AS claim, {label} AS label, {RECORDED_AT} AS known"
                f" FROM ({scan(files)}) WHERE {key} IN (FROM touched) QUALIFY row_number() OVER (PARTITION BY {key}"
                f" ORDER BY {RECORDED_AT} DESC, {EVENT_TIME} DESC, {label} DESC NULLS LAST) = 1"
            )
        found = duck.execute(_COUNTED).fetchall()
    days = {day: Changes(*(int(count) for count in counts)) for day, *counts in found}
    total = Changes(*(sum(getattr(day, name) for day in days.values()) for name in Changes.__dataclass_fields__))
    return Difference(contract.dataset, *names, total, days)


_COUNTED = """
WITH one AS (
  SELECT known, 'rows_' || CASE WHEN lost.claim IS NULL THEN 'appeared' ELSE 'changed' END AS what
  FROM gained LEFT JOIN lost USING (claim, known)
  UNION ALL SELECT known, 'rows_vanished' FROM lost ANTI JOIN gained USING (claim, known)
  UNION ALL SELECT coalesce(a.known, b.known), 'labels_' || CASE WHEN b.label IS NULL THEN 'appeared'
    WHEN a.label IS NULL THEN 'vanished' ELSE 'changed' END
  FROM latest_before AS b FULL JOIN latest_after AS a ON a.claim = b.claim WHERE a.label IS DISTINCT FROM b.label)
SELECT strftime(known, '%Y-%m-%d') AS day, count(*) FILTER (what = 'rows_appeared'),
  count(*) FILTER (what = 'rows_changed'), count(*) FILTER (what = 'rows_vanished'),
  count(*) FILTER (what = 'labels_appeared'), count(*) FILTER (what = 'labels_changed'),
  count(*) FILTER (what = 'labels_vanished')
FROM one GROUP BY day ORDER BY day
"""
