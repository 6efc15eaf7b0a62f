"""What it costs to freeze and fold ten million claims, and the next day after that.

A log of 16 million rows (motor's contract, three years, one claim in two hundred moved to another month later) is written into an S3 server of its own, frozen, and folded; the next recorded day is frozen and folded after it.

- `fold_over_copy`: the fold against DuckDB copying the same Parquet into one file, in turns.
- `fold_over_pandas`: the fold against pandas (read, sort, last row a claim, write by month), in turns, on a part of the
  log that pandas can hold.
- `peak_gib`: the larger peak of a freeze and of a fold, each in a process of its own.
- `next_day_over_first`: freezing and folding the next day against freezing and folding the first, both from nothing else.
- `new_bytes_over_changed_bytes`: what the snapshot cache grows by, against the Parquet of the rows of that day.
- `backfill_over_work`: 36 monthly freezes in turn against one freeze of their last date into an empty registry, which
  lays out the same rows once.
- `replay_identical`: 1 when the first date, frozen and folded again in an empty place, gives the same bytes.
"""

from datetime import date

CLAIMS, QUICK_CLAIMS = 10_000_000, 200_000
FIRST, NEXT = date(2025, 12, 17), date(2025, 12, 18)
PANDAS_ROWS = 1_500_000
