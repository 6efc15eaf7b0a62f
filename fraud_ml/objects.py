"""Files in S3 by `s3://bucket/key` address; the one owner of boto3.

Endpoint and credentials come from boto3's own variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
which the settings carry, so the same code reads the embedded server, Amazon S3 and anything between.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings

_CONNECTIONS = 16
_SMALL = 8 * 1024 * 1024  # bytes that go up in one request; more go in parts


class ObjectStore:
    """Reads and writes objects. Every method raises Unavailable when the server does not answer or lacks the object."""

    def __init__(self, settings: Settings) -> None:
        import boto3
        from botocore.config import Config

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
        bucket, prefix = split_url(url)
        with _translated(url):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return [f"s3://{bucket}/{key}" for key in sorted(keys)]

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
