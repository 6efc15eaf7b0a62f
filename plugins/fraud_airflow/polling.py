"""How a trigger asks again and again: one question at a time in the whole triggerer, and less often when in trouble."""

import asyncio
import logging
from collections.abc import Callable

from fraud_ml.errors import FraudMLError, Unavailable

_LOG = logging.getLogger(__name__)


class Polling:
    """The pace of all triggers of a kind, however many runs wait: they share one connection at a time."""

    def __init__(self, *, longest_pause_s: float) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)
        self._longest_pause_s = longest_pause_s

    async def until(self, ask: Callable[[], bool], poll_s: float) -> None:
        """Return once `ask`, which may block, says yes, or an error that asking again will not mend.

        The task that is woken then meets the same error, and says it where people look. While the service that is asked
        is Unavailable, pauses double, up to the longest.
        """
        pause_s = poll_s
        while True:
            try:
                async with self._one_at_a_time:
                    if await asyncio.to_thread(ask):
                        return
                pause_s = poll_s
            except Unavailable as error:
                pause_s = min(2 * pause_s, self._longest_pause_s)
                _LOG.warning("Asking again in %.0f s: %s", pause_s, error)
            except FraudMLError:
                return
            await asyncio.sleep(pause_s)
