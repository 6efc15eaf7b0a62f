"""Objects in Google Cloud Storage as a source; the one owner of google-cloud-storage.

Tested against fake-gcs-server, never yet against Google's own service. Credentials are the environment's (Application
Default Credentials); with STORAGE_EMULATOR_HOST set there are none.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fraud_ml.contract import Contract
from fraud_ml.data.sources.bucket import BucketSource
from fraud_ml.errors import Unavailable
from fraud_ml.objects import StoredObject, fetch_in_parts
from fraud_ml.settings import Settings


class GcsSource(BucketSource):
    """`gs://bucket/prefix*`."""

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:
        super().__init__(address, contract, settings, _GcsBucket(settings))


class _GcsBucket:
    """Lists and reads objects; one that is replaced gets a new generation, by which it is told apart."""

    def __init__(self, settings: Settings) -> None:
        self._emulator = settings.values.get("STORAGE_EMULATOR_HOST")
        self._made: Any = None

    def listing(self, url: str) -> list[StoredObject]:
        """Return all objects below the prefix `url`, sorted by address, however many pages they fill."""
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        with _translated(url):
            found = list(self._client().list_blobs(bucket, prefix=prefix))
        listed = (
            StoredObject(f"gs://{bucket}/{blob.name}", blob.size, str(blob.generation), blob.updated) for blob in found
        )
        return sorted(listed, key=lambda item: item.url)

    def fetch(self, item: StoredObject, into: Path) -> None:
        """Write the listed generation to `into` as `fetch_in_parts` does, checked by Google's MD5 where it has one."""
        bucket, _, key = item.url.removeprefix("gs://").partition("/")
        with _translated(item.url):
            blob = self._client().bucket(bucket).get_blob(key)
        if blob is None or str(blob.generation) != item.etag:
            raise Unavailable(f"{item.url} is gone, or was replaced since it was listed", url=item.url)

        def read(first: int, last: int) -> bytes:
            with _translated(item.url):
                part: bytes = blob.download_as_bytes(
                    start=first, end=last, if_generation_match=blob.generation, checksum=None, raw_download=True
                )
            return part

        md5 = base64.b64decode(blob.md5_hash).hex() if blob.md5_hash else None
        fetch_in_parts(item, into, read, md5=md5)

    def _client(self) -> Any:
        if self._made is None:
            from google.auth.credentials import AnonymousCredentials
            from google.cloud import storage

            self._made = (
                storage.Client(
                    project="none",
                    credentials=AnonymousCredentials(),
                    client_options={"api_endpoint": self._emulator},
                )
                if self._emulator
                else storage.Client()
            )
        return self._made


@contextmanager
def _translated(url: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        raise Unavailable(
            f"Google Cloud Storage does not answer for {url} ({type(error).__name__})",
            next_step="check the address and the credentials",
        ) from None
