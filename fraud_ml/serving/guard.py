"""The outermost layer of the HTTP side: bounds what comes in, times it, and keeps values out of logs and answers.

An error that nobody foresaw may carry a claim's values in its message, so it is answered and logged by its type alone.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.requests import MOST_BYTES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            body = await _whole_body(scope, receive)
            if body is None:
                await _answer(watched, 413, f"the request is larger than {MOST_BYTES // 1024 // 1024} MiB")
            else:
                await self._app(scope, _replayed(body, receive), watched)
        except Exception as error:
            _log.error("a request to %s failed: %s", _route(scope), type(error).__name__)
            if status == 500:
                await _answer(watched, 500, "the scorer failed; its log names the kind of error")
        finally:
            self._metrics.requests.add(route=_route(scope), status=str(status))
            self._metrics.latency.observe(time.perf_counter() - began, route=_route(scope))


async def _whole_body(scope: Message, receive: Receive) -> bytes | None:
    """Return the request's body, or None as soon as it is known to be too large."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > MOST_BYTES:
        return None
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        part, more = message.get("body", b""), message.get("more_body", False)
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            return None
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


async def _answer(send: Send, status: int, error: str) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": error}).encode()})


def _route(scope: Message) -> str:
    """Return the route's template; a path of the caller's own making is no label."""
    return str(getattr(scope.get("route"), "path", "other"))
