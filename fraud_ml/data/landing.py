"""Land all that a source delivers: each delivery is one idempotent batch, and none stops another.

    s3://claims/<dataset>/dead-letters/<place>.json     a message that holds no claim, and why

A message's place is `<topic>/<partition>-<offset>` in Kafka and `<project>/<subscription>/<message id>` in Pub/Sub.

The order that keeps every claim, whatever is killed when: dead letters, the batch with its manifest, then the word to
the source.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from fraud_ml.contract import BadRows, Contract
from fraud_ml.data.log import Batch, ClaimLog
from fraud_ml.data.set_aside import Code, SetAside
from fraud_ml.data.sources import ClaimsSource, DeadLetter, Delivery
from fraud_ml.data.tables import parse_rows
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings


@dataclass(frozen=True)
class Refused:
    """A delivery that broke its contract as a whole; nothing of it was landed."""

    source: str
    code: str
    reason: str


@dataclass(frozen=True)
class Landed:
    """A delivery that was landed; `batch` is None when it held dead letters only."""

    source: str
    batch: Batch | None
    dead_letters: int


def land_source(
    settings: Settings, contract: Contract, source: ClaimsSource, *, now: datetime | None = None
) -> Iterator[Landed | Refused]:
    """Yield what became of each delivery, in turn. Afterwards each of its rows is in the log once, or set aside.

    A delivery that is refused stops no other, except of a stream. One that touches rows which the log has lost
    (LAND015) cannot be compared with them: it is refused too, and the delivery that they came from restores them.
    Raises Unavailable when the source or the object store does not answer: what was yielded until then stands, the rest
    is given again.
    """
    log = ClaimLog(settings, contract)
    with closing(source):
        for delivery in source.deliveries():
            try:
                yield _land(settings, log, contract, source, delivery, now)
            except BadInput as broken:
                yield Refused(delivery.name, str(broken.facts.get("code", Code.UNREADABLE)), str(broken))
            except Unavailable as away:
                if source.is_stream or away.facts.get("code") != Code.LOST:
                    raise
                yield Refused(delivery.name, str(Code.LOST), str(away))


def _land(
    settings: Settings,
    log: ClaimLog,
    contract: Contract,
    source: ClaimsSource,
    delivery: Delivery,
    now: datetime | None,
) -> Landed:
    table = delivery.read()
    batch = None
    if delivery.dead_letters:
        _bury(settings, contract, delivery.dead_letters)
    if table is not None:
        may_set_aside = source.is_stream or contract.landing.bad_rows is BadRows.QUARANTINE
        aside = SetAside() if may_set_aside else None
        rows = parse_rows(table, contract, aside=aside, now=now, first_wins=source.is_stream)
        batch = log.append(rows, table, aside, only_new=source.is_stream)
    source.confirm(delivery)
    return Landed(delivery.name, batch, len(delivery.dead_letters))


def _bury(settings: Settings, contract: Contract, letters: tuple[DeadLetter, ...]) -> None:
    """Write each dead letter with its reason under a name of its own: writing it again changes nothing."""
    store = ObjectStore(settings)
    for letter in letters:
        content = {
            "code": str(letter.code),
            "reason": letter.reason,
            "sha256": hashlib.sha256(letter.content).hexdigest(),
            "content_base64": base64.b64encode(letter.content).decode(),
        }
        url = f"{settings.claims_url.rstrip('/')}/{contract.dataset}/dead-letters/{letter.place}.json"
        store.write(url, json.dumps(content, indent=2).encode() + b"\n", media_type="application/json")
