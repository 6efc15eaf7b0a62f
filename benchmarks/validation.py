"""What the validation room notices of a corpus of broken snapshots, what it lets pass of clean ones, and its cost.

The corpus (benchmarks/corpus) breaks deliveries of three data sets (public car claims, public card transactions, the
simulated motor insurer) by families of faults, each in several severities down to a single row where a careful person
would still want to know. Each delivery goes through landing, fold and verdict, TFDV left out. Rules and limits were
tuned on the scenes of other seeds (101, 102) than those measured here (203, 204): other quarters, other customers,
another insurer.

- `corpus_total`, `corpus_caught`: broken snapshots, and those refused at landing, found tampered with, rejected, or
  flagged by a finding that the family expects.
- `corpus_right_code`: those of them whose finding has a code (and column) that the family expects.
- `clean_total`, `false_rejects`: deliveries with harmless changes (growth, seasons, sampling, another order, a new
  column by contract, another file form), and those of them that were refused or rejected.
"""

from benchmarks._validation_corpus import corpus_figures
from benchmarks.harness import Figures


def run(*, quick: bool) -> Figures:
    """Measure; `quick` takes one seed and each family's hardest severity."""
    return corpus_figures(quick=quick)
