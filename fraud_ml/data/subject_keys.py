"""The keys under which people's values are sealed: one random key a person, in the object store, destroyed on request.

    s3://claims/<dataset>/subject-keys/secret.json    the secret by which people are given pseudonyms
    s3://claims/<dataset>/subject-keys/<ab>.json      those whose pseudonym begins so: key, sealed name, or erased when

A pseudonym is HMAC-SHA-256 of the person's identifier under the secret, so the store names nobody. Each object is
written only over the bytes that were read (conditional put): of two landings at once one reads again and finds the
other's keys, so a person never has two. Keys stand before any row that needs them is written. An erasure replaces key
and name by the time of it, in one write; what stays is the pseudonym, by which a returning person is recognised.
"""

import base64
import hashlib
import hmac
import json
import os
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract
from fraud_ml.errors import Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 32  # AES-128 in SIV mode takes two keys of 16 bytes (RFC 5297)
_PSEUDONYM = 32  # hex digits: 128 bits
_AT_ONCE = 16  # objects of the ring that are read or written at once
_ATTEMPTS = 60
NAME_BOUND_TO = [b"name"]  # what a sealed name is bound to


@dataclass(frozen=True)
class SubjectKey:
    """What the ring knows of a person. Without a key the person was erased; `name` is the identifier, sealed."""

    key: bytes | None = field(repr=False)
    name: bytes | None = field(repr=False)
    erased: str = ""  # ISO 8601, UTC: of the latest erasure
    readmitted: str = ""

    @property
    def is_erased(self) -> bool:
        return self.key is None and bool(self.erased) and not self.readmitted


@dataclass(frozen=True)
class Enrolled:
    """People who may stand in rows, by identifier: all have a pseudonym, those who are not erased a key."""

    pseudonyms: Mapping[str, str]
    keys: Mapping[str, bytes] = field(repr=False)
    erased: frozenset[str]
    readmitted: frozenset[str]


class KeyRing:
    """The keys of one dataset's people. Every method raises Unavailable when the object store does not answer."""

    def __init__(self, settings: Settings, dataset: str) -> None:
        self._store = ObjectStore(settings)
        self._root = f"{settings.claims_url.rstrip('/')}/{dataset}/subject-keys"
        self._known: bytes | None = None

    def pseudonym(self, person: str) -> str:
        """Return the name by which the log knows the person, whether or not they are in it."""
        return hmac.digest(self._secret(), person.encode(), "sha256").hex()[:_PSEUDONYM]

    def enrol(self, people: Iterable[str]) -> Enrolled:
        """Give everybody who has none a key; afterwards the keys stand in the store. Who is erased gets none."""
        pseudonyms = {person: self.pseudonym(person) for person in set(people)}
        shards: dict[str, dict[str, str]] = defaultdict(dict)
        for person, pseudonym in pseudonyms.items():
            shards[pseudonym[:2]][pseudonym] = person

        def complete(shard: str) -> dict[str, SubjectKey]:
            def add_keys(held: dict[str, SubjectKey]) -> bool:
                new = {
                    pseudonym: person
                    for pseudonym, person in shards[shard].items()
                    if pseudonym not in held or (held[pseudonym].key is None and not held[pseudonym].is_erased)
                }
                for pseudonym, person in new.items():
                    key = secrets.token_bytes(KEY_BYTES)
                    before = held.get(pseudonym, SubjectKey(None, None))
                    held[pseudonym] = replace(before, key=key, name=cipher(key).encrypt(person.encode(), NAME_BOUND_TO))
                return bool(new)

            return self._change(shard, add_keys)

        held = self._each(shards, complete)
        return Enrolled(
            pseudonyms,
            {person: key for person, name in pseudonyms.items() if (key := held[name].key) is not None},
            frozenset(person for person, name in pseudonyms.items() if held[name].is_erased),
            frozenset(person for person, name in pseudonyms.items() if held[name].readmitted),
        )

    def find(self, pseudonyms: Collection[str]) -> dict[str, SubjectKey]:
        """Return what the ring holds of each pseudonym; those it does not know are left out."""
        held = self._each({pseudonym[:2] for pseudonym in pseudonyms}, self._held)
        return {pseudonym: held[pseudonym] for pseudonym in pseudonyms if pseudonym in held}

    def destroy(self, pseudonym: str) -> SubjectKey:
        """Replace key and name by the time of it, and delete every earlier version. Again, it changes nothing."""

        def erase(held: dict[str, SubjectKey]) -> bool:
            known = held.get(pseudonym, SubjectKey(None, None))
            if known.is_erased:
                return False
            held[pseudonym] = SubjectKey(None, None, erased=_now())
            return True

        left = self._change(pseudonym[:2], erase)[pseudonym]
        self._store.forget_earlier(self._url(pseudonym[:2]))
        return left

    def readmit(self, pseudonym: str) -> SubjectKey:
        """Let the person be landed again, under a new key; what was erased stays unreadable."""

        def allow(held: dict[str, SubjectKey]) -> bool:
            if not held[pseudonym].is_erased:
                return False
            held[pseudonym] = replace(held[pseudonym], readmitted=_now())
            return True

        return self._change(pseudonym[:2], allow)[pseudonym]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _secret(self) -> bytes:
        """Return the secret, made by whoever comes first. Raises Unavailable when it is gone and keys are there."""
        if self._known is not None:
            return self._known
        url = f"{self._root}/secret.json"
        found = self._store.read_marked(url)
        if found is None:
            keys = self._store.below(f"{self._root}/")
            found = self._store.read_marked(url)  # whoever wrote those keys has written the secret before
            if found is None and keys:
                raise Unavailable(
                    f"{url} is gone, but keys that were found by it are there", next_step="restore it from a backup"
                )
        if found is None:
            made = json.dumps({"secret": _told(secrets.token_bytes(32))}).encode()
            self._store.write_over(url, made, None, media_type="application/json")
            found = self._store.read_marked(url)
        if found is None:
            raise Unavailable(f"{url} was written and is not there", next_step="look at the object store")
        try:
            self._known = base64.b64decode(json.loads(found[0])["secret"], validate=True)
        except (ValueError, KeyError, TypeError):
            raise Tampered(f"{url} is not what was written", next_step="restore it", path=url) from None
        return self._known

    def _each(self, shards: Iterable[str], act: Callable[[str], Mapping[str, SubjectKey]]) -> dict[str, SubjectKey]:
        self._secret()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return {name: entry for part in pool.map(act, sorted(shards)) for name, entry in part.items()}

    def _change(self, shard: str, act: Callable[[dict[str, SubjectKey]], bool]) -> dict[str, SubjectKey]:
        """Let `act` change the shard in place and write it, as often as somebody else was quicker; return it."""
        url = self._url(shard)
        for attempt in range(_ATTEMPTS):
            found = self._store.read_marked(url)
            held = _read_shard(url, found[0]) if found else {}
            if not act(held):
                return held
            content = _shard_content(held)
            if self._store.write_over(url, content, found[1] if found else None, media_type="application/json"):
                return held
            time.sleep(random.uniform(0, 0.02 * min(attempt + 1, 20)))  # noqa: S311 - who waits longer is no secret
        raise Unavailable(f"{url} is written by others all the time", next_step="try again later")

    def _held(self, shard: str) -> dict[str, SubjectKey]:
        found = self._store.read_marked(self._url(shard))
        return _read_shard(self._url(shard), found[0]) if found else {}

    def _url(self, shard: str) -> str:
        return f"{self._root}/{shard}.json"


def cipher(key: bytes) -> "AESSIV":
    """Return AES-SIV (RFC 5297) under the key: equal values give equal bytes, and nothing else is told of them."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    return AESSIV(key)


def _read_shard(url: str, content: bytes) -> dict[str, SubjectKey]:
    try:
        return {
            name: SubjectKey(
                _bytes(entry.get("key")),
                _bytes(entry.get("name")),
                entry.get("erased", ""),
                entry.get("readmitted", ""),
            )
            for name, entry in json.loads(content).items()
        }
    except (ValueError, AttributeError, TypeError):
        raise Tampered(f"{url} is not what was written", next_step="restore it", path=url) from None


def _shard_content(held: Mapping[str, SubjectKey]) -> bytes:
    told = {
        name: {
            field: _told(value) if isinstance(value, bytes) else value
            for field, value in asdict(entry).items()
            if value
        }
        for name, entry in sorted(held.items())
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _told(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


# --- the keys of one snapshot, in a file beside it -------------------------------------------------------------------


@dataclass(frozen=True)
class SnapshotKeys:
    """The keys of everybody who stands in one snapshot."""

    snapshot_digest: str
    people: Mapping[str, SubjectKey] = field(repr=False)

    def without(self, pseudonym: str, erased: str) -> "SnapshotKeys":
        """Return the same, that person's key and name left out."""
        return replace(self, people={**self.people, pseudonym: SubjectKey(None, None, erased=erased)})


def write_keys(keys: SnapshotKeys, path: Path) -> None:
    """Write the file whole or not, readable by its owner alone. Equal keys give equal bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    names = sorted(keys.people)
    entries = [keys.people[name] for name in names]
    table = pa.table(
        {
            "subject": pa.array(names, pa.string()),
            "key": pa.array([entry.key for entry in entries], pa.binary()),
            "name": pa.array([entry.name for entry in entries], pa.binary()),
            "erased": pa.array([entry.erased for entry in entries], pa.string()),
        }
    ).replace_schema_metadata({"snapshot_digest": keys.snapshot_digest})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        parquet.write_table(table, stream, compression="none", use_dictionary=False)
    partial.replace(path)


def read_keys(path: Path, contract: Contract, *, snapshot_digest: str | None) -> SnapshotKeys:
    """Return the keys of the snapshot with that digest (None: of whichever it is); nobody's where nobody is erased.

    Raises Unavailable when the file is absent, Tampered when it is another snapshot's or damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if contract.erasure is None:
        return SnapshotKeys(snapshot_digest or "", {})
    pin = f"pin it again: fraud-ml pin {contract.dataset} AS_OF"
    if not path.is_file():
        raise Unavailable(f"{path} is not there: no key opens the snapshot's personal values", next_step=pin)
    try:
        table = parquet.read_table(path)
        found = table.schema.metadata[b"snapshot_digest"].decode()
        columns = [table[name].to_pylist() for name in ("subject", "key", "name", "erased")]
    except (pa.ArrowException, KeyError, TypeError):
        raise Tampered(f"{path} is not what was pinned", next_step=pin, path=str(path)) from None
    if snapshot_digest not in (None, found):
        raise Tampered(
            f"{path} holds the keys of another snapshot",
            expected=f"{str(snapshot_digest)[:12]}…",
            arrived=f"{found[:12]}…",
            next_step=pin,
            path=str(path),
        )
    people = {name: SubjectKey(key, told, erased) for name, key, told, erased in zip(*columns, strict=True)}
    return SnapshotKeys(found, people)


def digest_of_pseudonym(pseudonym: str) -> str:
    """Return the SHA-256 by which records outside the log may speak of the person."""
    return hashlib.sha256(pseudonym.encode()).hexdigest()
