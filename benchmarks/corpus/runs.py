"""The corpus as a whole, or a part of it: which snapshots there are, and what came of each."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.corpus import faults  # noqa: F401 - fills the table
from benchmarks.corpus.clean import CHANGES
from benchmarks.corpus.family import DATASETS, FAMILIES
from benchmarks.corpus.judging import Tried, TriedClean, try_clean, try_family
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


@dataclass(frozen=True)
class CleanCase:
    """One harmless change of the corpus, by name."""

    change: str
    dataset: str
    seed: int


def clean_cases(datasets: Sequence[str] = DATASETS, *, seeds: Sequence[int]) -> list[CleanCase]:
    """Return every harmless change of each data set, for each seed."""
    return [CleanCase(change, dataset, seed) for dataset in datasets for seed in seeds for change in CHANGES]


def run_clean(wanted: Iterable[CleanCase], *, processes: int = 2) -> Iterator[TriedClean]:
    """Yield what was said of each."""
    by_scene: dict[tuple[str, int], list[CleanCase]] = {}
    for case in wanted:
        by_scene.setdefault((case.dataset, case.seed), []).append(case)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for tried in pool.map(_run_clean_scene, by_scene.values()):
            yield from tried


def _run_clean_scene(wanted: list[CleanCase]) -> list[TriedClean]:
    return [try_clean(case.change, case.dataset, case.seed) for case in wanted]


def _run_scene(wanted: list[Case]) -> list[Tried]:
    return [try_family(case.family, case.severity, case.dataset, case.seed) for case in wanted]
