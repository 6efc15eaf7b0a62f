"""What the validation room notices of a corpus of broken snapshots, what it lets pass of clean ones, and its cost.

The corpus (benchmarks/corpus) breaks deliveries of three data sets (public car claims, public card transactions, the
simulated motor insurer) by families of faults, each in several severities down to a single row where a careful person
would still want to know. Each delivery goes through landing, fold and verdict, TFDV left out. Rules and limits were
tuned on the scenes of other seeds (101, 102, and 303, 304, once measured here) than those measured here (505, 606; of
clean deliveries 707 too): other quarters, other customers, another insurer.

- `corpus_total`, `corpus_caught`: broken snapshots, and those refused at landing, found tampered with, rejected, or
  flagged by a finding that the family expects.
- `corpus_right_code`: those of them whose finding has a code (and column) that the family expects.
- `clean_total`, `false_rejects`: deliveries with harmless changes (growth, seasons, sampling, another order, a new
  column by contract, another file form), and those of them that were refused or rejected.
- `rows_per_s`, `peak_gib`: the whole verdict (own checks, suite, TFDV, Data Docs, report) on ten million folded claims
  of 35 columns that nothing is kept of, in a process of its own, its imports included.
- `next_day_over_full`: the same for the fold of the next day, of which the unchanged months were judged before.
- `over_gx_pandas`: Great Expectations alone, validating the suite on one pandas frame, over the whole verdict on the
  same Parquet, each in a process of its own, in turns; on as many claims as pandas can hold. Above 1 we are faster.
- `over_pandera`: the same for pandera, asked what the suite asks.
- `over_scan_limit`: DuckDB reading each column of the same Parquet once, over the whole verdict.
- `empty_reject_s`: `fraud-ml validate` on a snapshot without a row, from its start to its end.
"""

from benchmarks._validation_corpus import corpus_figures
from benchmarks._validation_cost import costs
from benchmarks.harness import Figures


def run(*, quick: bool) -> Figures:
    """Measure; `quick` takes one seed and each family's hardest severity."""
    return {**corpus_figures(quick=quick), **costs(quick=quick)}
