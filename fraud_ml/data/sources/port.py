"""What every source of claims offers: deliveries, each landed as one batch, and a word back when that batch stands."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.files import SourceTable


@dataclass(frozen=True)
class DeadLetter:
    """A message that holds no claim; `place` names it (topic, partition and offset) and never changes."""

    place: str
    code: Code
    reason: str  # a sentence without the message's content
    content: bytes


@dataclass(frozen=True)
class Delivery:
    """Claims that arrive together. Reading them again gives the same rows and the same digest."""

    name: str  # the path, the address, or what names the messages; unique within its source
    read: Callable[[], SourceTable | None]  # None when every message is a dead letter; raises BadInput or Unavailable
    dead_letters: tuple[DeadLetter, ...] = ()


class ClaimsSource(Protocol):
    """Gives deliveries until there are no more for now.

    A delivery that was not confirmed is given again when the source is opened anew; one that was may be given again,
    which the log answers by adding nothing. So each claim is in the log once, whatever is killed between.
    """

    is_stream: bool  # whether a bad row is set aside alone, because nobody can send its delivery again

    def deliveries(self) -> Iterator[Delivery]:
        """Yield what is there, oldest or first in name first. Raises Unavailable when the source does not answer."""
        ...

    def confirm(self, delivery: Delivery) -> None:
        """Take note that the delivery's batch and dead letters stand in the log."""
        ...

    def close(self) -> None:
        """Let go of connections and temporary files. What was not confirmed stays to be given."""
        ...
