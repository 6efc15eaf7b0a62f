"""Do callers ask about claims like those that the next model would learn from?

A model is only as good online as the claims that it is asked about are like those it learned. These rules warn: faulty
requests are mended at the caller, and must not keep a model from learning from sound claims. Words and numbers are
compared, and never told.
"""

import math
from collections.abc import Iterator, Mapping

from fraud_ml.contract import Column, Kind
from fraud_ml.validation.evidence import ENOUGH_ASKED, OTHER_WORDS, Compared, Evidence
from fraud_ml.validation.rules.broken import Broken
from fraud_ml.validation.rules.numbers import factor_between, shift_by_tenths
from fraud_ml.validation.rules.tails import above
from fraud_ml.validation.shifts import Z, aligned, rise, stability_index

_MISSING = 0.02  # share of claims by which more, or fewer, lack the column
_UNSEEN = 0.01  # share of values that are words which neither the claims nor the live model know
_USUAL = 0.01  # a word of at least that share among the claims is missed
_WARNS = 0.1  # stability index beyond chance
_ONE_MOVED = 0.05  # share by which one word, or one number, moved
_TIMES_MOVED, _TIMES = 0.02, 2.0  # or so much, where that is so many times over
_RANKED = 0.05  # distance from one half of the chance that a number asked about is greater than one of a claim
_ENOUGH = 100  # values, of which quartiles are compared


def unsent(evidence: Evidence) -> Iterator[Broken]:
    """Break where callers leave out what claims tell, or send what claims lack, beyond chance.

    Where people were erased, claims rightly lack what callers still send.
    """
    erases = evidence.contract.erasure is not None
    for column, pair in _asked(evidence, Kind.CATEGORY, Kind.NUMBER):
        assert evidence.served is not None
        told = evidence.served.columns[column.name]
        missing, missing_before = told.asked - told.known, pair.rows_before - pair.before.known
        share, before = missing / told.asked, missing_before / pair.rows_before
        moved = rise(missing, told.asked, missing_before, pair.rows_before)
        if erases and column.personal and moved < 0:
            continue
        if abs(share - before) >= _MISSING and abs(moved) > Z:
            arrived = (
                f"{missing:,} of {told.asked:,} claims asked about lack it ({share:.2%}), of the claims {before:.2%}"
            )
            yield Broken(arrived, column.name, None, missing, share)


def unknown_words(evidence: Evidence) -> Iterator[Broken]:
    """Break on words that neither claims nor the live model know, and on words of claims that callers never send."""
    for column, pair in _asked(evidence, Kind.CATEGORY):
        now, before = pair.now.counts or {}, pair.before.counts or {}
        n, m = pair.now.known, sum(before.values())
        if not n or not m:
            continue
        told = []
        unseen, unseen_before = now.get(OTHER_WORDS, 0), before.get(OTHER_WORDS, 0)
        share = unseen / n
        if share - unseen_before / m >= _UNSEEN and rise(unseen, n, unseen_before, m) > Z:
            told.append(f"{unseen:,} of {n:,} values are words that the live model does not know ({share:.2%})")
        gone = _gone(now, before)
        if gone:
            lost = sum(before[word] for word in gone) / m
            told.append(f"{len(gone)} categories that {lost:.2%} of the claims have were never sent in {n:,} values")
        if told:
            yield Broken("; ".join(told), column.name, None, unseen or None, share if unseen else None)


def shares_moved(evidence: Evidence) -> Iterator[Broken]:
    """Break where words that both know are more, or less, frequent among callers, beyond chance."""
    for column, pair in _asked(evidence, Kind.CATEGORY):
        now, before = pair.now.counts or {}, pair.before.counts or {}
        left_out = {OTHER_WORDS, *_gone(now, before)}
        both = [{word: rows for word, rows in of.items() if word not in left_out} for of in (now, before)]
        if told := _moved(both[0], both[1], "category"):
            yield Broken(told, column.name, None, pair.now.known)


def numbers_moved(evidence: Evidence) -> Iterator[Broken]:
    """Break where callers' numbers lie elsewhere, or one of them is far more frequent, beyond chance."""
    for column, pair in _asked(evidence, Kind.NUMBER):
        now, before = pair.now.counts or {}, pair.before.counts or {}
        if not now or not before or _unit(pair) is not None:
            continue
        shift = shift_by_tenths(now, before)
        step, chance = above(now, before, Z)
        if shift.beyond_chance > _WARNS:
            told: str | None = f"stability index {shift.index:.2f}, of which chance explains {shift.bound:.2f}"
        elif abs(step) > max(_RANKED, chance):
            told = f"a number asked about is greater than one of a claim in {0.5 + step:.1%} of all pairs"
        else:
            told = _one_moved(now, before, "number")
        if told:
            yield Broken(told, column.name, None, pair.now.known)


def other_unit(evidence: Evidence) -> Iterator[Broken]:
    """Break where one factor lies between all quartiles of callers' numbers and of claims'."""
    for column, pair in _asked(evidence, Kind.NUMBER):
        factor = _unit(pair)
        if factor is not None:
            told = f"all quartiles are about {math.exp(factor):.3g} times those of the claims"
            yield Broken(told, column.name, None, pair.now.known)


def looked_at(evidence: Evidence) -> str:
    """Return what a rule that nobody breaks has seen."""
    served = evidence.served
    if served is None or not served.claims:
        return "no request on record"
    if served.claims < ENOUGH_ASKED:
        return f"fewer than {ENOUGH_ASKED} claims asked about: too few to compare"
    return f"nothing else in {served.claims:,} claims asked about"


# --- inside ---------------------------------------------------------------------------------------------------------


def _asked(evidence: Evidence, *kinds: Kind) -> Iterator[tuple[Column, Compared]]:
    for column in evidence.columns(*kinds, features_only=True):
        pair = evidence.asked(column.name)
        if pair is not None:
            yield column, pair


def _gone(now: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """Return the words that are usual among claims and that no caller sent, beyond chance."""
    n, m = sum(now.values()), sum(before.values())
    return [
        word for word, rows in before.items() if not now.get(word) and rows >= _USUAL * m and rise(0, n, rows, m) < -Z
    ]


def _moved(now: Mapping[str, int], before: Mapping[str, int], what: str) -> str | None:
    shift = stability_index(*aligned(now, before))
    if shift.beyond_chance > _WARNS:
        return f"stability index {shift.index:.2f}, of which chance explains {shift.bound:.2f}"
    return _one_moved(now, before, what)


def _one_moved(now: Mapping[str, int], before: Mapping[str, int], what: str) -> str | None:
    """Tell by how much the share moved of the one that moved most beyond chance."""
    n, m = sum(now.values()), sum(before.values())
    if not n or not m:
        return None
    most, told = 0.0, None
    for value in sorted({*now, *before}):
        share, was = now.get(value, 0) / n, before.get(value, 0) / m
        least = _TIMES_MOVED if max(share, was) >= _TIMES * min(share, was) else _ONE_MOVED
        if abs(share - was) >= max(least, most) and abs(rise(now.get(value, 0), n, before.get(value, 0), m)) > Z:
            most, told = abs(share - was), f"one {what} has {share:.1%} of {n:,} values, among the claims {was:.1%}"
    return told


def _unit(pair: Compared) -> float | None:
    """Return the logarithm of the factor, where there is one and the numbers lie elsewhere beyond chance."""
    now, before = pair.now.counts or {}, pair.before.counts or {}
    if sum(now.values()) < _ENOUGH or shift_by_tenths(now, before).beyond_chance <= _WARNS:
        return None
    return factor_between(pair)
