"""Do labels arrive, mean what they meant, and leave the features and keys to say something of their own?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

from fraud_ml.contract import Column, Kind
from fraud_ml.validation.evidence import ENOUGH_MONTHS, ENOUGH_ROWS, MATURE_SHARE, MONTHS_BEFORE, Evidence, next_month
from fraud_ml.validation.profile import Profile, merge
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import Z, rise, share_gap

_STOPPED = 0.5  # a labelled share below so much of before
_VANISHED = 1 / 3
_SORTED = 0.3  # distance of the ranks' AUC from one half
_GIVEN_AWAY = 0.97  # AUC of one column alone
_FEW_VALUES, _ENOUGH_POSITIVES = 50, 20
_NEWLY = 0.15  # by how much more a column tells of the label than before
_NEW_VALUES, _NEW_POSITIVES = 12, 10  # of a month: its best order of more values would be found by chance
_OFTEN = 1.5  # times the highest positive share of any month before
_Z = NormalDist().inv_cdf(1 - 1e-4)  # of labels there is one comparison a month, not one for each column and value


def stopped(evidence: Evidence) -> Iterator[Broken]:
    """Break on mature months whose labelled share fell by half or more, beyond chance."""
    yield from worst(_stopped(evidence))


def _stopped(evidence: Evidence) -> Iterator[Broken]:
    for month, now, before in _mature(evidence):
        share, usual = now.labelled / now.rows, before.labelled / before.rows
        gap = share_gap(now.rows - now.labelled, now.rows, before.rows - before.labelled, before.rows)
        if gap > 0 and share < _STOPPED * usual:
            told = f"{now.labelled:,} of {now.rows:,} mature claims are labelled ({share:.2%}), before {usual:.2%}"
            column = evidence.contract.label.column
            yield Broken(told, column, month, now.labelled, share, size=gap)


def positives_vanished(evidence: Evidence) -> Iterator[Broken]:
    """Break on mature months whose positive share fell below a third of before, beyond chance."""
    yield from worst(_positives_vanished(evidence))


def _positives_vanished(evidence: Evidence) -> Iterator[Broken]:
    for month, now, before in _mature(evidence):
        if now.labelled < ENOUGH_ROWS or not before.labelled:
            continue
        share, usual = now.positive / now.labelled, before.positive / before.labelled
        gap = rise(now.negative, now.labelled, before.negative, before.labelled)
        if gap > _Z and share < _VANISHED * usual:
            told = f"{now.positive:,} of {now.labelled:,} labels are positive ({share:.2%}), before {usual:.2%}"
            yield Broken(told, evidence.contract.label.column, month, now.positive, share, size=gap)


def swapped(evidence: Evidence) -> Iterator[Broken]:
    """Break on a month whose positive share is nearer to the usual negative one, and where most are positive."""
    column = evidence.contract.label.column
    whole = evidence.whole
    if share_gap(whole.positive, whole.labelled, whole.negative, whole.labelled) > 0:
        share = whole.positive / whole.labelled
        told = f"{whole.positive:,} of {whole.labelled:,} labels are positive ({share:.2%})"
        yield Broken(told, column, None, whole.positive, share)
        return
    yield from worst(_swapped(evidence, column))


def _swapped(evidence: Evidence, column: str) -> Iterator[Broken]:
    for month in evidence.complete:
        now = evidence.months[month]
        if now.labelled < ENOUGH_ROWS:
            continue
        others = _labels(evidence, [one for one in evidence.complete if one != month])
        if not others.labelled:
            continue
        share, usual = now.positive / now.labelled, others.positive / others.labelled
        nearer = abs(share - (1 - usual)) < abs(share - usual)
        if usual < 0.4 and nearer and share_gap(now.positive, now.labelled, others.positive, others.labelled) > 0:
            told = f"{now.positive:,} of {now.labelled:,} labels are positive ({share:.2%}), otherwise {usual:.2%}"
            yield Broken(told, column, month, now.positive, share, size=share)


def multiplied(evidence: Evidence) -> Iterator[Broken]:
    """Break on mature months whose positive share is far above that of every month before, beyond chance."""
    yield from worst(_multiplied(evidence))


def _multiplied(evidence: Evidence) -> Iterator[Broken]:
    column, most = evidence.contract.label.column, Profile(0, {})
    for place, (month, now) in enumerate(_judged(evidence)):
        if now.labelled < ENOUGH_ROWS:
            continue
        share = now.positive / now.labelled
        if place >= ENOUGH_MONTHS and most.positive:
            usual = most.positive / most.labelled
            if share > _OFTEN * usual and rise(now.positive, now.labelled, most.positive, most.labelled) > _Z:
                told = (
                    f"{now.positive:,} of {now.labelled:,} labels are positive ({share:.2%}), never above {usual:.2%}"
                )
                yield Broken(told, column, month, now.positive, share, size=share)
        if not most.labelled or share > most.positive / most.labelled:
            most = replace(now, columns={})


def sorted_by_label(evidence: Evidence) -> Iterator[Broken]:
    """Break where positives' keys stand together at one end of a month, or of all months a little.

    The ranks' AUC must be far from one half and beyond chance. Source: Mann and Whitney 1947, summed over months
    (van Elteren 1960 with equal weights).
    """
    outages = evidence.contract.label.outages
    beside = {*outages, *(next_month(month) for month in outages)}  # recording stops, and starts again, within a month
    months = [month for month in evidence.months if month not in beside and next_month(month) not in outages]
    whole = list(_sorted(evidence, months, None))
    yield from whole or worst(one for month in months for one in _sorted(evidence, [month], month))


def _sorted(evidence: Evidence, months: Sequence[str], month: str | None) -> Iterator[Broken]:
    sums, pairs, variance = 0.0, 0, 0.0
    for profile in (evidence.months[one] for one in months):
        p, n = profile.positive, profile.negative
        if p and n:
            sums += profile.positive_ranks - p * (p + 1) / 2 - p * n / 2
            pairs += p * n
            variance += p * n * (p + n + 1) / 12
    if variance and abs(sums) > Z * math.sqrt(variance) and abs(sums) / pairs > _SORTED:
        told = f"the order of keys ranks labels with an AUC of {0.5 + sums / pairs:.2f} within months"
        labelled = sum(evidence.months[one].labelled for one in months)
        yield Broken(told, evidence.contract.key, month, labelled, size=abs(sums) / pairs)


def given_away(evidence: Evidence) -> Iterator[Broken]:
    """Break on a feature that alone ranks nearly every positive above the others, in the best order of its values."""
    whole = evidence.whole
    if whole.positive < _ENOUGH_POSITIVES or whole.positive == whole.rows:
        return
    for column in evidence.columns(Kind.CATEGORY, Kind.NUMBER, features_only=True):
        profile = whole.columns[column.name]
        if not profile.counts or (column.kind is Kind.CATEGORY and len(profile.counts) > _FEW_VALUES):
            continue
        reached = _auc(profile.counts, profile.positives, by_rate=column.kind is Kind.CATEGORY)
        if reached >= _GIVEN_AWAY:
            yield Broken(f"alone it ranks labels with an AUC of {reached:.3f}", column.name, None, whole.positive)
        else:
            yield from worst(_newly_given_away(evidence, column))


def _newly_given_away(evidence: Evidence, column: Column) -> Iterator[Broken]:
    """Yield months in which the column tells far more of the label than in those before, beyond chance.

    The standard error of an AUC of one half is the root of (p + n + 1) / 12pn; the best order of k values found in the
    same rows reaches somewhat more, of which 0.02 a value is an upper limit for the counts asked for.
    """
    by_rate = column.kind is Kind.CATEGORY
    for pair in evidence.compared(column.name, settled=False):
        p = sum(pair.now.positives.values())
        n = pair.now.known - p
        values = len(pair.now.counts or ())
        enough = p >= _NEW_POSITIVES and n >= _NEW_POSITIVES and pair.before.positives
        if not enough or not pair.now.counts or not pair.before.counts or (by_rate and values > _NEW_VALUES):
            continue
        reached = _auc(pair.now.counts, pair.now.positives, by_rate=by_rate)
        before = _auc(pair.before.counts, pair.before.positives, by_rate=by_rate)
        chance = Z * math.sqrt((p + n + 1) / (12 * p * n)) + (0.02 * values if by_rate else 0)
        if reached - before > max(chance, _NEWLY):
            told = f"alone it ranks labels with an AUC of {reached:.2f}, before {before:.2f}"
            yield Broken(told, column.name, pair.month, p, size=reached - before)


def _auc(counts: Mapping[str, int], positives: Mapping[str, int], *, by_rate: bool) -> float:
    """Return the AUC of positives against all other rows, ties counting half; numbers in their order, either way."""
    order = sorted(counts, key=lambda value: positives.get(value, 0) / counts[value] if by_rate else int(value))
    below = won = 0.0
    for value in order:
        p = positives.get(value, 0)
        rest = counts[value] - p
        won += p * (below + rest / 2)
        below += rest
    pairs = below * sum(positives.values())
    share = won / pairs if pairs else 0.5
    return max(share, 1 - share)


def _mature(evidence: Evidence) -> Iterator[tuple[str, Profile, Profile]]:
    """Yield each month whose labels are judged, with those before it."""
    months = list(_judged(evidence))
    for place, (month, now) in enumerate(months):
        earlier = [one for one, _ in months[max(0, place - MONTHS_BEFORE) : place]]
        if len(earlier) >= ENOUGH_MONTHS and now.rows >= ENOUGH_ROWS:
            yield month, now, _labels(evidence, earlier)


def _judged(evidence: Evidence) -> Iterator[tuple[str, Profile]]:
    """Yield the months of most of whose claims the labels count, but for the known outages."""
    outages = evidence.contract.label.outages
    for month in evidence.complete:
        if month not in outages and evidence.mature_share(month) >= MATURE_SHARE:
            yield month, evidence.months[month]


def _labels(evidence: Evidence, months: Sequence[str]) -> Profile:
    """Return the months' rows and labels, without their columns."""
    return merge(replace(evidence.months[month], columns={}) for month in months)
