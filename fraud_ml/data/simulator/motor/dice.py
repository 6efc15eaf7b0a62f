"""Chance that can be asked again: a stream for a purpose and a place, a number for a thing, from the seed alone.

Streams serve what happens once (a claim's amount); their first n draws are the same however many follow. Numbers serve
what must be found again without being kept (who insures slot 17 of book 3): they are hashes, not draws.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_48_BITS = np.uint64((1 << 48) - 1)


@dataclass(frozen=True)
class Dice:
    """All chance of one simulation. Equal seeds throw equally, in any order, process and amount."""

    seed: int
    series: str  # six hex digits that stand in every id: two simulations share none

    def stream(self, purpose: str, *place: int) -> np.random.Generator:
        """Return the stream of `purpose` at `place` (numbers >= 0), from its beginning."""
        key = np.random.SeedSequence(self.seed, spawn_key=(_word(purpose) >> 32, *place))
        return np.random.Generator(np.random.PCG64(key))

    def of(self, purpose: str, *things: np.ndarray) -> np.ndarray:
        """Return one number in [0, 1) for each thing, a tuple of whole numbers (n,): the same whenever it is asked."""
        state = np.full(1, _word(f"{self.seed} {purpose}"), dtype=np.uint64)
        for part in things:
            state = _mixed(state ^ (np.asarray(part).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))
        shares: np.ndarray = (state >> np.uint64(11)) * 2.0**-53
        return shares

    def opaque(self, kind: str, numbers: np.ndarray) -> np.ndarray:
        """Return each 48-bit number in disguise: different numbers stay different, and their order is lost."""
        key = np.uint64(_word(f"{self.seed} {self.series} {kind}") >> 16)
        hidden = (numbers.astype(np.uint64) ^ key) & _48_BITS
        for factor, shift in ((0x9E3779B97F4B, 25), (0xBF58476D1CE5, 23)):  # odd factors and xor-shifts lose nothing
            hidden = (hidden * np.uint64(factor)) & _48_BITS
            hidden = hidden ^ (hidden >> np.uint64(shift))
        return hidden


def picked(shares: np.ndarray, weights: "tuple[float, ...] | np.ndarray") -> np.ndarray:
    """Return for each number in [0, 1) the index that it falls on, when index i is as wide as weights[i] (any sum)."""
    edges = np.cumsum(weights)
    return np.searchsorted(edges[:-1] / edges[-1], shares, side="right").astype(np.int16)


def spelled(prefix: str, numbers: np.ndarray) -> "pa.StringArray":
    """Return prefix + twelve hex digits for each 48-bit number."""
    letters = _letters(prefix, numbers)
    return texts(letters, np.full(len(numbers), letters.shape[1]))


def numbered(prefix: str, numbers: np.ndarray, digits: int) -> "pa.StringArray":
    """Return prefix + the number in so many decimal digits."""
    letters = np.empty((len(numbers), len(prefix) + digits), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    for place in range(digits):
        letters[:, -1 - place] = ord("0") + numbers // 10**place % 10
    return texts(letters, np.full(len(numbers), letters.shape[1]))


def joined(prefix: str, numbers: np.ndarray, counts: np.ndarray, *, nobody: str) -> "pa.StringArray":
    """Return for row i its first counts[i] ids, joined by "+", or `nobody`; numbers: (n, most)."""
    rows, most = numbers.shape
    one = _letters(prefix, numbers.reshape(-1))
    width = one.shape[1] + 1
    letters = np.full((rows, most, width), ord("+"), dtype=np.uint8)
    letters[:, :, :-1] = one.reshape(rows, most, width - 1)
    letters = letters.reshape(rows, most * width)
    letters[counts == 0, : len(nobody)] = np.frombuffer(nobody.encode(), dtype=np.uint8)
    return texts(letters, np.where(counts == 0, len(nobody), counts * width - 1))


def texts(letters: np.ndarray, lengths: np.ndarray) -> "pa.StringArray":
    """Return the first lengths[i] bytes of each row of `letters`, (n, width), as text."""
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    if len(lengths) and (lengths == letters.shape[1]).all():
        body = np.ascontiguousarray(letters)
    else:
        body = letters[np.arange(letters.shape[1]) < lengths[:, None]]
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(ends), pa.py_buffer(body))


def _letters(prefix: str, numbers: np.ndarray) -> np.ndarray:
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    letters = np.empty((len(numbers), len(prefix) + 12), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    for place in range(12):
        nibble = (numbers >> np.uint64(44 - 4 * place)) & np.uint64(15)
        letters[:, len(prefix) + place] = digits[nibble.astype(np.intp)]
    return letters


def _mixed(state: np.ndarray) -> np.ndarray:
    """Return the finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit in changes half the bits out."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed


@cache
def _word(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
