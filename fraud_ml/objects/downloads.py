"""Reading an object in ranges of exactly one version, going on behind the bytes that an earlier try left."""

import fcntl
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fraud_ml.errors import Unavailable

_PART = 8 * 1024 * 1024  # bytes that come down in one request of a resumable download


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells of it."""

    url: str
    size: int  # bytes
    etag: str  # of these very bytes; in S3 the MD5 of an object that went up in one request
    modified: datetime


def fetch_in_parts(item: StoredObject, into: Path, read: Callable[[int, int], bytes], *, md5: str | None) -> None:
    """Write the object to `into`, going on behind the bytes that an earlier try left there.

    `read` returns the bytes from the first to the last place, of exactly the listed object. Afterwards the file has the
    listed size and the MD5 (hex), where one is known. Raises Unavailable when it does not (the file is removed then),
    and while another process writes that file.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with into.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"{item.url} is being fetched by another process", next_step="try again later") from None
        held = file.tell()
        if held > item.size:
            file.truncate(held := 0)
        while held < item.size and (part := read(held, min(held + _PART, item.size) - 1)):
            file.write(part)
            file.flush()
            held += len(part)
    with into.open("rb") as content:
        arrived = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if held != item.size or md5 not in (None, arrived):
        into.unlink()
        raise Unavailable(
            f"{item.url} arrived otherwise than it was listed",
            expected=f"{item.size:,} bytes, ETag {item.etag[:12]}…",
            next_step="try again: the download starts anew",
            url=item.url,
        )
