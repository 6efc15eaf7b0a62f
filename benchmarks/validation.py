"""What the validation room notices of a corpus of broken snapshots, what it lets pass of clean ones, and its cost.

The corpus (benchmarks/corpus) breaks deliveries of three data sets (public car claims, public card transactions, the
simulated motor insurer) by families of faults, each in several severities down to a single row where a careful person
would still want to know. Each delivery goes through landing, fold and verdict. Rules and limits were tuned on the
scenes of other seeds than those measured here: other quarters, other customers, another insurer.

- `corpus_total`, `corpus_caught`: broken snapshots, and those refused at landing, found tampered with, rejected, or
  flagged by a finding that the family expects.
- `corpus_right_code`: those of them whose finding has a code (and column) that the family expects.
- `rows_per_s`, `peak_gib`: the whole verdict (own checks, suite, TFDV, Data Docs, report) on ten million folded claims
  of 35 columns that nothing is kept of, in a process of its own, its imports included.
- `next_day_over_full`: the same for the fold of the next day, of which the unchanged months were judged before.
- `over_gx_pandas`: Great Expectations alone, validating the suite on one pandas frame, over the whole verdict on the
  same Parquet, each in a process of its own, in turns; on as many claims as pandas can hold. Above 1 we are faster.
- `over_scan_limit`: DuckDB reading each column of the same Parquet once, over the whole verdict.
- `empty_reject_s`: `fraud-ml validate` on a snapshot without a row, from its start to its end.
"""

import sys
from collections import Counter

from benchmarks._validation_cost import costs
from benchmarks.corpus import MEASURING_SEEDS
from benchmarks.corpus.judging import Tried
from benchmarks.corpus.runs import cases
from benchmarks.corpus.runs import run as run_cases
from benchmarks.harness import Figure, Figures


def run(*, quick: bool) -> Figures:
    """Measure on the measuring half; `quick` takes one seed and each family's hardest severity."""
    wanted = cases(seeds=MEASURING_SEEDS[: 1 if quick else None], hardest_only=quick)
    return {**_corpus(list(run_cases(wanted))), **costs(quick=quick)}


def _corpus(tried: list[Tried]) -> Figures:
    for one in tried:
        if not one.right_code:
            _say(
                f"{'other code' if one.caught else 'missed'}: {one.dataset} {one.family} ({one.severity}) {one.column}"
            )
    total, caught = Counter(one.dataset for one in tried), Counter(one.dataset for one in tried if one.caught)
    return {
        "corpus_total": Figure(len(tried), "snapshots", note=f"{len({one.family for one in tried})} families"),
        "corpus_caught": Figure(
            sum(caught.values()), "snapshots", note=", ".join(f"{name} {caught[name]}/{total[name]}" for name in total)
        ),
        "corpus_right_code": Figure(sum(one.right_code for one in tried), "snapshots"),
        "seconds_per_snapshot": Figure.median_of([one.seconds for one in tried][:1] or [0.0], "s"),
    }


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
