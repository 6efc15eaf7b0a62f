"""Files in S3 by `s3://bucket/key` address; the one owner of boto3.

Endpoint and credentials come from boto3's own variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
which the settings carry, so the same code reads the embedded server, Amazon S3 and anything between.
"""

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings

_CONNECTIONS = 16
_SMALL = 8 * 1024 * 1024  # bytes that go up in one request; more go in parts
_PART = 8 * 1024 * 1024  # bytes that come down in one request of a resumable download


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing tells of it."""

    url: str
    size: int  # bytes
    etag: str  # of these very bytes; in S3 the MD5 of an object that went up in one request
    modified: datetime


class ObjectStore:
    """Reads and writes objects. Every method raises Unavailable when the server does not answer or lacks the object."""

    def __init__(self, settings: Settings, *, page_size: int = 1000) -> None:
        import boto3
        from botocore.config import Config

        self._page_size = page_size  # objects in one answer to a listing; S3 gives 1,000 at most
        values = settings.values
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=values.get("AWS_ENDPOINT_URL"),
            aws_access_key_id=values.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=values.get("AWS_SECRET_ACCESS_KEY"),
            region_name=values.get("AWS_DEFAULT_REGION", "us-east-1"),
            config=Config(
                connect_timeout=5, read_timeout=60, max_pool_connections=_CONNECTIONS, retries={"max_attempts": 3}
            ),
        )

    def make_bucket(self, url: str) -> None:
        """Create the bucket of `url` unless it is there."""
        bucket, _ = split_url(url)
        with _translated(url):
            existing = {found["Name"] for found in self._client.list_buckets()["Buckets"]}
            if bucket not in existing:
                self._client.create_bucket(Bucket=bucket)

    def below(self, url: str) -> list[str]:
        """Return the addresses of all objects below the prefix `url`, sorted."""
        return [found.url for found in self.listing(url)]

    def listing(self, url: str) -> list[StoredObject]:
        """Return all objects below the prefix `url`, sorted by address, however many pages they fill."""
        bucket, prefix = split_url(url)
        with _translated(url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page_size}
            )
            found = [item for page in pages for item in page.get("Contents", ())]
        return sorted(
            (
                StoredObject(
                    f"s3://{bucket}/{item['Key']}", item["Size"], item["ETag"].strip('"'), item["LastModified"]
                )
                for item in found
            ),
            key=lambda item: item.url,
        )

    def fetch(self, item: StoredObject, into: Path) -> None:
        """Write the listed object to `into` as `fetch_in_parts` does; an ETag that is an MD5 is checked."""
        bucket, key = split_url(item.url)

        def read(first: int, last: int) -> bytes:
            with _translated(item.url):
                answer = self._client.get_object(
                    Bucket=bucket, Key=key, Range=f"bytes={first}-{last}", IfMatch=f'"{item.etag}"'
                )
                part: bytes = answer["Body"].read()
            return part

        fetch_in_parts(item, into, read, md5=item.etag if len(item.etag) == 32 else None)

    def read(self, url: str) -> bytes:
        bucket, key = split_url(url)
        with _translated(url):
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def read_many(self, urls: Iterable[str]) -> dict[str, bytes]:
        """Return the content of each address, several read at a time."""
        wanted = list(urls)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return dict(zip(wanted, pool.map(self.read, wanted), strict=True))

    def write(self, url: str, content: bytes, *, media_type: str = "application/octet-stream") -> None:
        bucket, key = split_url(url)
        with _translated(url):
            self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=media_type)

    def exists(self, url: str) -> bool:
        return url in self.below(url)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Write each local file to its address, several at a time."""
        self._each([(url, path) for url, path in files.items()], self._upload_one)

    def download(self, files: Mapping[str, Path]) -> None:
        """Write each address to its local file, several at a time."""
        self._each([(url, path) for url, path in files.items()], self._download_one)

    def download_folder(self, url: str, into: Path) -> None:
        """Write every object below `url` into the same relative place below `into`."""
        prefix = url.rstrip("/") + "/"
        found = self.below(prefix)
        if not found:
            raise Unavailable(f"{url} holds no objects", next_step="check the address and the object store", url=url)
        self.download({item: into / item.removeprefix(prefix) for item in found})

    def _upload_one(self, url: str, path: Path) -> None:
        if path.stat().st_size <= _SMALL:
            return self.write(url, path.read_bytes())
        bucket, key = split_url(url)
        with _translated(url):
            self._client.upload_file(str(path), bucket, key)
        return None

    def _download_one(self, url: str, path: Path) -> None:
        bucket, key = split_url(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _translated(url):
            self._client.download_file(bucket, key, str(path))

    @staticmethod
    def _each(pairs: Iterable[tuple[str, Path]], act: Any) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for future in [pool.submit(act, url, path) for url, path in pairs]:
                future.result()


def split_url(url: str) -> tuple[str, str]:
    """Return (bucket, key) of s3://bucket/key."""
    if not url.startswith("s3://"):
        raise BadInput("not an S3 address", expected="s3://bucket/key", arrived=url.split("://", maxsplit=1)[0])
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


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


@contextmanager
def _translated(url: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        reason = error.response.get("Error", {}).get("Code", "unknown")
        raise Unavailable(
            f"the object store refused {url} ({reason})", next_step="check address and credentials"
        ) from None
    except BotoCoreError as error:
        raise Unavailable(
            f"the object store does not answer for {url} ({type(error).__name__})",
            next_step="start it (`fraud-ml stack up`) or check AWS_ENDPOINT_URL",
        ) from None
