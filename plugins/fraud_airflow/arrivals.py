"""Waits, deferred, for claims: until the log holds a batch recorded on or after a date, or objects lie at a source.

A trigger only wakes its task; the task asks the object store again before it goes on.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from fraud_airflow.polling import Polling
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings

_POLLING = Polling(longest_pause_s=300)


class ArrivalTrigger(BaseTrigger):
    """Wakes its task when the claims are there."""

    def __init__(
        self, dataset: str, recorded_from: str, prefix: str, newer_than: str, poll_s: float, other_than: str = ""
    ) -> None:
        super().__init__()
        self.asked = {
            "dataset": dataset,
            "recorded_from": recorded_from,
            "prefix": prefix,
            "newer_than": newer_than,
            "other_than": other_than,
        }
        self.poll_s = poll_s
        self._passed: set[str] = set()  # manifests that were read and are not it: they never change

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "fraud_airflow.arrivals.ArrivalTrigger", {**self.asked, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await _POLLING.until(lambda: arrived(**self.asked, passed=self._passed) is not None, self.poll_s)
        yield TriggerEvent(self.asked)


class ClaimsArrived(BaseOperator):
    """Waits without a worker, then returns what arrived: `{"batch": …}`, or `{"object": …, "listing": …}`.

    Either `recorded_from` (an ISO date, such as the run's partition key): a batch of `dataset` holds a row recorded on
    that day or later. Or `prefix` (`s3://bucket/begin of a key`, or a key with `*` for anything): an object there was
    written after `newer_than`, an ISO moment, such as `{{ data_interval_start }}`; without an offset it is UTC, and
    empty means any time.

    With `landed`, the asset under which landings are announced, a prefix whose listing is the one that was landed last
    holds nothing new. No clock is asked, so nothing is passed over. The run's parameter `wait: false` goes on at once.
    """

    template_fields = ("dataset", "recorded_from", "prefix", "newer_than")
    ui_color = "#e3f0e6"

    def __init__(
        self,
        *,
        dataset: str = "",
        recorded_from: str = "",
        prefix: str = "",
        newer_than: str = "",
        landed: Asset | None = None,
        poll_s: float = 15.0,
        waits_at_most: timedelta,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs, inlets=[landed] if landed else None)
        self.dataset = dataset
        self.recorded_from = recorded_from
        self.prefix = prefix
        self.newer_than = newer_than
        self.landed = landed
        self.poll_s = poll_s
        self.waits_at_most = waits_at_most

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, str]:  # noqa: ARG002 - Airflow's names
        asked = (self.dataset, self.recorded_from, self.prefix, self.newer_than)
        other_than = last_listing(context, self.landed, self.prefix) if self.landed else ""
        found = arrived(*asked, other_than=other_than)
        if found is None and not (context.get("params") or {}).get("wait", True):
            self.log.info("Nothing new; going on all the same, as the run's parameters say")
            return {}
        if found is None:
            self.log.info("Not there yet: %s", self.prefix or f"{self.dataset} recorded from {self.recorded_from}")
            trigger = ArrivalTrigger(*asked, self.poll_s, other_than)
            self.defer(trigger=trigger, method_name="execute", timeout=self.waits_at_most)
            raise AssertionError("defer() does not return")
        return found


def last_listing(context: Context, landed: Asset, prefix: str) -> str:
    """Return the listing of `prefix` that was landed last, as its event tells; empty when it never was."""
    for event in context["inlet_events"][landed].ascending(False).limit(1):
        told = event.extra or {}
        if told.get("source") == prefix:
            return str(told.get("listing", ""))
    return ""


def arrived(
    dataset: str,
    recorded_from: str,
    prefix: str,
    newer_than: str,
    other_than: str = "",
    passed: set[str] | None = None,
) -> dict[str, str] | None:
    """Return the batch or object that is waited for, or None as long as there is none.

    A prefix whose listing is `other_than` holds nothing new.

    Manifests in `passed` are not read; those that were read in vain are added to it.
    Raises BadInput when neither or both are asked for or a time cannot be read, Unavailable when S3 is not there.
    """
    if bool(prefix) == bool(dataset and recorded_from):
        raise BadInput("nothing to wait for", expected="either `dataset` and `recorded_from`, or `prefix`")
    try:
        day = date.fromisoformat(recorded_from) if recorded_from else None
        since = datetime.fromisoformat(newer_than) if newer_than else None
    except ValueError:
        raise BadInput("the time to wait for cannot be read", expected="an ISO date, or date-time") from None
    if day is not None:
        return _batch_from(dataset, day, set() if passed is None else passed)
    return _object_since(prefix, since, other_than)


def _batch_from(dataset: str, day: date, passed: set[str]) -> dict[str, str] | None:
    from fraud_ml.objects import ObjectStore

    settings = Settings.load()
    store = ObjectStore(settings)
    listed = store.listing(f"{settings.claims_url.rstrip('/')}/{dataset}/batches/")
    unread = [item for item in listed if item.url not in passed]
    for item in sorted(unread, key=lambda item: item.modified, reverse=True):  # the newest first: most likely it
        batch = json.loads(store.read(item.url))
        if batch["last_recorded"][:10] >= day.isoformat():
            return {"batch": str(batch["id"]), "last_recorded": str(batch["last_recorded"])}
        passed.add(item.url)
    return None


def _object_since(prefix: str, since: datetime | None, other_than: str) -> dict[str, str] | None:
    from fraud_ml.artifacts import digest_of
    from fraud_ml.objects import ObjectStore

    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    begin, star, _ = prefix.partition("*")
    named = re.compile(".*".join(map(re.escape, prefix.split("*"))) + ("" if star else ".*"))
    found = ObjectStore(Settings.load()).listing(begin)
    listed = [item for item in found if named.fullmatch(item.url) and not _is_mark(item.url)]
    new = [item for item in listed if since is None or item.modified > since]
    newest = max(new, key=lambda item: item.modified, default=None)
    listing = digest_of({item.url: [item.etag, item.size] for item in listed})[:16]
    if newest is None or listing == other_than:
        return None
    return {"object": newest.url, "modified": newest.modified.isoformat(), "listing": listing}


def _is_mark(url: str) -> bool:
    """Say whether the object only marks something: `…/_SUCCESS`, a folder's own entry, a hidden file."""
    return url.rpartition("/")[2][:1] in ("", "_", ".")
