"""The fault families, one file for each group. To add one: a function under `@family`, in the file where it belongs."""

from benchmarks.corpus.faults import (  # noqa: F401 - each enters its families into the table
    columns,
    csv_files,
    frozen,
    keys,
    labels,
    mix,
    numbers,
    parquet_files,
    requests,
    text,
    times,
    volume,
    words,
)
