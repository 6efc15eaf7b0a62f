"""A comparison that was cut short goes on: what was answered once is computed again only if what decides it changed."""

from pathlib import Path

import numpy as np

from benchmarks._quality_answers import Answers, Kept


def test_answers_are_computed_once_for_all_that_decides_them(tmp_path: Path) -> None:
    computed = []

    def compute() -> Answers:
        computed.append(1)
        return Answers((np.array([0.1, 0.2]), np.array([0.3])), 1.5)

    first = Kept.below(tmp_path, "motor", {"trees": 3}).answers("ours-1", compute)
    again = Kept.below(tmp_path, "motor", {"trees": 3}).answers("ours-1", compute)
    assert len(computed) == 1
    assert again.train_cpu_s == 1.5
    for ours, theirs in zip(first.by_round, again.by_round, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    Kept.below(tmp_path, "motor", {"trees": 4}).answers("ours-1", compute)
    Kept.below(tmp_path, "motor", {"trees": 3}).answers("ours-2", compute)
    assert len(computed) == 3
