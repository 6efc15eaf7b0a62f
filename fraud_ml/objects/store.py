"""The object store as other rooms see it: listings, small objects whole, big ones in parts that may be gone on with.

Endpoint and credentials come from boto3's own variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
which the settings carry, so the same code reads the embedded server, Amazon S3 and anything between.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects.downloads import StoredObject, fetch_in_parts
from fraud_ml.objects.refusals import translated
from fraud_ml.objects.uploads import upload_in_parts
from fraud_ml.settings import Settings

_CONNECTIONS = 16
_WRITTEN_MEANWHILE = {404, 409, 412}  # S3's answers to a conditional write that lost
_SMALL = 8 * 1024 * 1024  # bytes that go up or come down in one request; more go in parts


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
        with translated(url):
            existing = {found["Name"] for found in self._client.list_buckets()["Buckets"]}
            if bucket not in existing:
                self._client.create_bucket(Bucket=bucket)

    def below(self, url: str) -> list[str]:
        """Return the addresses of all objects below the prefix `url`, sorted."""
        return [found.url for found in self.listing(url)]

    def listing(self, url: str) -> list[StoredObject]:
        """Return all objects below the prefix `url`, sorted by address, however many pages they fill."""
        bucket, prefix = split_url(url)
        with translated(url):
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
        """Write the listed object to `into` as `fetch_in_parts` does; an ETag that is an MD5 is checked.

        When the object was replaced since, what `into` held of it is removed.
        """
        bucket, key = split_url(item.url)

        def read(first: int, last: int) -> bytes:
            with translated(item.url):
                answer = self._client.get_object(
                    Bucket=bucket, Key=key, Range=f"bytes={first}-{last}", IfMatch=f'"{item.etag}"'
                )
                part: bytes = answer["Body"].read()
            return part

        try:
            fetch_in_parts(item, into, read, md5=item.etag if len(item.etag) == 32 else None)
        except Unavailable as error:
            if error.facts.get("code") == "PreconditionFailed":
                into.unlink()
            raise

    def read(self, url: str) -> bytes:
        bucket, key = split_url(url)
        with translated(url):
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def read_many(self, urls: Iterable[str]) -> dict[str, bytes]:
        """Return the content of each address, several read at a time."""
        wanted = list(urls)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return dict(zip(wanted, pool.map(self.read, wanted), strict=True))

    def write(self, url: str, content: bytes, *, media_type: str = "application/octet-stream") -> None:
        bucket, key = split_url(url)
        with translated(url):
            self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=media_type)

    def read_marked(self, url: str) -> tuple[bytes, str] | None:
        """Return the content with the mark (ETag) of these very bytes, or None when there is no such object."""
        from botocore.exceptions import ClientError

        bucket, key = split_url(url)
        with translated(url):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
                return answer["Body"].read(), answer["ETag"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise

    def write_over(self, url: str, content: bytes, mark: str | None, *, media_type: str) -> bool:
        """Write unless somebody else did since: over the content that `mark` is of, or where no object is (None).

        Return False, and write nothing, when another one is there.
        """
        from botocore.exceptions import ClientError

        bucket, key = split_url(url)
        condition = {"IfNoneMatch": "*"} if mark is None else {"IfMatch": mark}
        with translated(url):
            try:
                self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=media_type, **condition)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] in _WRITTEN_MEANWHILE:
                    return False
                raise
        return True

    def forget_earlier(self, url: str) -> int:
        """Delete every earlier version of the object that its bucket kept; return how many."""
        bucket, key = split_url(url)
        with translated(url):
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
            earlier = [
                item["VersionId"]
                for page in pages
                for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if item["Key"] == key and not item["IsLatest"]
            ]
            for version in earlier:
                self._client.delete_object(Bucket=bucket, Key=key, VersionId=version)
        return len(earlier)

    def exists(self, url: str) -> bool:
        return url in self.below(url)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Write each local file to its address, several at a time; a big one as `upload_in_parts` does."""
        self._each([(url, path) for url, path in files.items()], self._upload_one)

    def download(self, files: Mapping[str, Path]) -> None:
        """Write each address to its local file, several at a time.

        A file stands under its name only when it is whole. What a cut-off download of a big one left beside it, under
        a name that begins with a dot, is gone on with as long as the object is the same.
        """
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
        return upload_in_parts(self._client, bucket, key, path)

    def _download_one(self, url: str, path: Path) -> None:
        bucket, key = split_url(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        with translated(url):
            answer = self._client.get_object(Bucket=bucket, Key=key)
            item = StoredObject(url, answer["ContentLength"], answer["ETag"].strip('"'), answer["LastModified"])
            content = answer["Body"].read() if item.size <= _SMALL else None
            answer["Body"].close()
        version = hashlib.sha256(f"{item.etag} {item.size}".encode()).hexdigest()[:16]
        partial = path.with_name(f".{path.name}.{version if content is None else uuid.uuid4().hex}.partial")
        if content is None:
            self.fetch(item, partial)
        else:
            partial.write_bytes(content)
        partial.replace(path)

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
