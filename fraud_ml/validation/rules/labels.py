"""Do labels arrive, mean what they meant, and leave the features and keys to say something of their own?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fraud_ml.contract import Kind
from fraud_ml.validation.evidence import ENOUGH_MONTHS, ENOUGH_ROWS, MONTHS_BEFORE, Evidence
from fraud_ml.validation.profile import Profile, merge
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import Z, share_gap

_STOPPED = 0.5  # a labelled share below so much of before
_VANISHED = 1 / 3
_SORTED = 0.3  # distance of the ranks' AUC from one half
_GIVEN_AWAY = 0.97  # AUC of one column alone
_FEW_VALUES, _ENOUGH_POSITIVES = 50, 20


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
        gap = share_gap(now.negative, now.labelled, before.negative, before.labelled)
        if gap > 0 and share < _VANISHED * usual:
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


def sorted_by_label(evidence: Evidence) -> Iterator[Broken]:
    """Break where positives' keys stand together at one end of their month.

    The ranks' AUC must be far from one half and beyond chance. Source: Mann and Whitney 1947, summed over months
    (van Elteren 1960 with equal weights).
    """
    sums, pairs, variance = 0.0, 0, 0.0
    for profile in evidence.months.values():
        p, n = profile.positive, profile.negative
        if p and n:
            sums += profile.positive_ranks - p * (p + 1) / 2 - p * n / 2
            pairs += p * n
            variance += p * n * (p + n + 1) / 12
    if variance and abs(sums) > Z * math.sqrt(variance) and abs(sums) / pairs > _SORTED:
        told = f"the order of keys ranks labels with an AUC of {0.5 + sums / pairs:.2f} within months"
        yield Broken(told, evidence.contract.key, None, evidence.whole.labelled)


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
    """Yield each month all of whose claims' labels count, with the mature months before it."""
    months = [month for month in evidence.complete if evidence.is_mature(month)]
    for place, month in enumerate(months):
        earlier = months[max(0, place - MONTHS_BEFORE) : place]
        now = evidence.months[month]
        if len(earlier) >= ENOUGH_MONTHS and now.rows >= ENOUGH_ROWS:
            yield month, now, _labels(evidence, earlier)


def _labels(evidence: Evidence, months: Sequence[str]) -> Profile:
    """Return the months' rows and labels, without their columns."""
    return merge(replace(evidence.months[month], columns={}) for month in months)
