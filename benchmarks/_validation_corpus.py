"""What the validation room notices of the corpus' broken snapshots, and which of its clean ones it stops."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.corpus import MEASURING_SEEDS
from benchmarks.corpus.clean import CLEAN_SEEDS
from benchmarks.corpus.judging import Tried, TriedClean
from benchmarks.corpus.runs import cases, clean_cases, run, run_clean
from benchmarks.harness import Figure, Figures, say


def corpus_figures(*, quick: bool) -> Figures:
    """Measure on the measuring seeds; `quick` takes one of them and each family's hardest severity."""
    broken = cases(seeds=MEASURING_SEEDS[: 1 if quick else None], hardest_only=quick)
    clean = clean_cases(seeds=CLEAN_SEEDS["measuring"][: 1 if quick else None])
    return figures_of(list(run(broken)), list(run_clean(clean)))


def figures_of(tried: Sequence[Tried], clean: Sequence[TriedClean]) -> Figures:
    """Return the figures, and say on standard error which snapshots were missed, misnamed or stopped for nothing."""
    for one in tried:
        if not one.right_code:
            what = "other code" if one.caught else "missed"
            say(f"{what}: {one.dataset} {one.seed} {one.family} ({one.severity}) {one.column or ''}")
    for sound in clean:
        if sound.noticed.rejected:
            codes = sorted({told.code for told in sound.noticed.findings})
            say(f"stopped for nothing: {sound.dataset} {sound.seed} {sound.change} {', '.join(codes)}")
    families = len({one.family for one in tried})
    changes = len({sound.change for sound in clean})
    return {
        "corpus_total": Figure(len(tried), "snapshots", note=f"{families} families, on seeds not tuned on"),
        "corpus_caught": Figure(sum(one.caught for one in tried), "snapshots", note=_by_dataset(tried)),
        "corpus_right_code": Figure(sum(one.right_code for one in tried), "snapshots"),
        "clean_total": Figure(len(clean), "snapshots", note=f"{changes} harmless changes"),
        "false_rejects": Figure(sum(sound.noticed.rejected for sound in clean), "snapshots"),
    }


def _by_dataset(tried: Sequence[Tried]) -> str:
    total = Counter(one.dataset for one in tried)
    caught = Counter(one.dataset for one in tried if one.caught)
    return ", ".join(f"{name} {caught[name]}/{total[name]}" for name in total)
