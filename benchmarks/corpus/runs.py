"""The corpus as a whole, or a part of it: which snapshots there are, and what came of each."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.corpus import faults  # noqa: F401 - fills the table
from benchmarks.corpus.family import DATASETS, FAMILIES
from benchmarks.corpus.judging import Tried, try_family
from benchmarks.corpus.scenes import scene


@dataclass(frozen=True)
class Case:
    """One snapshot of the corpus, by name."""

    family: str
    severity: str
    dataset: str
    seed: int


def cases(datasets: Sequence[str] = DATASETS, *, seeds: Sequence[int], hardest_only: bool = False) -> list[Case]:
    """Return every family that concerns the data set, in each of its severities, for each seed."""
    found = []
    for dataset in datasets:
        for family in FAMILIES.values():
            if family.concerns(scene(dataset, seeds[0])):
                severities = list(family.severities)[: 1 if hardest_only else None]
                found += [Case(family.name, severity, dataset, seed) for severity in severities for seed in seeds]
    return found


def run(wanted: Iterable[Case], *, processes: int = 2) -> Iterator[Tried]:
    """Yield what came of each case; a scene's cases run in one process, which imports and reads once."""
    by_scene: dict[tuple[str, int], list[Case]] = {}
    for case in wanted:
        by_scene.setdefault((case.dataset, case.seed), []).append(case)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for tried in pool.map(_run_scene, by_scene.values()):
            yield from tried


def _run_scene(wanted: list[Case]) -> list[Tried]:
    return [try_family(case.family, case.severity, case.dataset, case.seed) for case in wanted]
