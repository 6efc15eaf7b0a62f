"""Big files into S3 in parts: what an upload that was cut off, even by a kill, has sent is not sent again.

Nothing is noted on this side: S3 itself lists a key's unfinished uploads and the ETag of each of their parts, which is
the part's MD5. (Under SSE-KMS it is not; there nothing is recognised, and everything is sent anew.)
Of one key, the unfinished uploads that hold other bytes are given up: whoever still works at one is told so. Those of
keys that nobody writes again stay until the bucket's rule on incomplete uploads ends them.
"""

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fraud_ml.errors import Unavailable
from fraud_ml.objects.refusals import translated

_PART = 8 * 1024 * 1024  # bytes; S3 demands at least 5 MiB
_MOST_PARTS = 10_000  # S3's limit
_AT_ONCE = 4  # parts of one file under way
_FORGOTTEN = timedelta(days=1)  # after which an upload without any part is nobody's


def upload_in_parts(client: Any, bucket: str, key: str, path: Path) -> None:
    """Write the file to `s3://bucket/key`, going on with an unfinished upload of the same bytes.

    Afterwards the object is the file, and no unfinished upload of that key holds any part. Raises Unavailable when the
    server does not answer (what was sent stays there), when the file changed meanwhile, or when the upload was ended
    by somebody else.
    """
    url = f"s3://{bucket}/{key}"
    with path.open("rb") as opened:
        file = _File(opened.fileno(), os.fstat(opened.fileno()).st_size)
        before = _state(file.descriptor)
        target = {"Bucket": bucket, "Key": key}
        same, other = _unfinished(client, target, file)
        with translated(url):
            for given_up in other:
                _abort(client, target, given_up)
        upload, etags = max(same.items(), key=lambda item: len(item[1]), default=("", {}))
        try:
            with translated(url):
                upload = upload or client.create_multipart_upload(**target)["UploadId"]
                etags = _send(client, {**target, "UploadId": upload}, file, etags)
                if _state(file.descriptor) != before:
                    raise Unavailable(f"{path.name} was changed while it was sent to {url}", next_step="try again")
                _complete(client, {**target, "UploadId": upload}, etags)
        except Unavailable as ended:
            if ended.facts.get("code") != "NoSuchUpload" or not _stands(client, target, file):
                raise _told(url, ended) from None
        with translated(url):
            for twin in same.keys() - {upload}:
                _abort(client, target, twin)


def part_size(size: int) -> int:
    """Return how many bytes each part of a file holds, the last one apart; equal sizes are cut alike at any time.

    >>> part_size(10**9) // 2**20, part_size(5 * 2**40) // 2**20
    (8, 525)
    """
    mib = 1024 * 1024
    return max(_PART, math.ceil(size / _MOST_PARTS / mib) * mib)


@dataclass(frozen=True)
class _File:
    """A file as parts, counted from 1."""

    descriptor: int
    size: int

    @property
    def numbers(self) -> range:
        return range(1, math.ceil(self.size / part_size(self.size)) + 1)

    def read(self, number: int) -> bytes:
        step = part_size(self.size)
        return os.pread(self.descriptor, step, (number - 1) * step)

    def holds(self, part: dict[str, Any]) -> bool:
        """Say whether a part as S3 lists it is this file's."""
        content = self.read(part["PartNumber"])
        return part["Size"] == len(content) and part["ETag"].strip('"') == _md5(content).hex()

    def etag(self) -> str:
        """Return the ETag of the object that is made of these parts: the MD5 of their MD5s, and how many."""
        return f"{_md5(b''.join(_md5(self.read(number)) for number in self.numbers)).hex()}-{len(self.numbers)}"


def _unfinished(client: Any, target: dict[str, str], file: _File) -> tuple[dict[str, dict[int, str]], list[str]]:
    """Return the unfinished uploads of the key that hold parts of the file, with their ETags, and those to give up."""
    listed = _listed(client, "list_multipart_uploads", "Uploads", Bucket=target["Bucket"], Prefix=target["Key"])
    same, other = {}, []
    for item in listed:
        if item["Key"] != target["Key"]:
            continue
        parts = _listed(client, "list_parts", "Parts", **target, UploadId=item["UploadId"])
        if parts and all(file.holds(part) for part in parts):
            same[item["UploadId"]] = {part["PartNumber"]: part["ETag"] for part in parts}
        elif parts or datetime.now(UTC) - item["Initiated"] > _FORGOTTEN:  # one without parts may have just begun
            other.append(item["UploadId"])
    return same, other


def _listed(client: Any, call: str, what: str, **asked: str) -> list[dict[str, Any]]:
    """Return all pages of a listing; nothing where this account may write but not list, or the upload just ended."""
    try:
        with translated(f"s3://{asked['Bucket']}/{asked.get('Key') or asked['Prefix']}"):
            return [item for page in client.get_paginator(call).paginate(**asked) for item in page.get(what, ())]
    except Unavailable as refused:
        if refused.facts.get("code") not in ("AccessDenied", "NotImplemented", "NoSuchUpload"):
            raise
        return []


def _send(client: Any, upload: dict[str, str], file: _File, held: dict[int, str]) -> dict[int, str]:
    """Send the parts that are not held yet, each with its checksum; return the ETags of all."""

    def send(number: int) -> tuple[int, str]:
        return number, client.upload_part(**upload, PartNumber=number, Body=file.read(number))["ETag"]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return held | dict(pool.map(send, [number for number in file.numbers if number not in held]))


def _complete(client: Any, upload: dict[str, str], etags: dict[int, str]) -> None:
    """Make the parts one object. S3 refuses when a part was replaced since, as its ETag is another then."""
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def _abort(client: Any, target: dict[str, str], upload: str) -> None:
    """Give an upload up; one that this account may not give up stays."""
    from botocore.exceptions import ClientError

    try:
        client.abort_multipart_upload(**target, UploadId=upload)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in ("AccessDenied", "NoSuchUpload"):
            raise


def _stands(client: Any, target: dict[str, str], file: _File) -> bool:
    """Say whether the object is the file already: somebody else finished an upload of the same bytes."""
    from botocore.exceptions import ClientError

    try:
        found = client.head_object(**target)
    except ClientError:
        return False
    return (found["ContentLength"], found["ETag"].strip('"')) == (file.size, file.etag())


def _told(url: str, error: Unavailable) -> Unavailable:
    if error.facts.get("code") not in ("NoSuchUpload", "InvalidPart"):
        return error
    return Unavailable(
        f"the upload of {url} was ended by another one of other bytes", next_step="try again, one at a time", url=url
    )


def _state(descriptor: int) -> tuple[int, int]:
    stat = os.fstat(descriptor)
    return stat.st_size, stat.st_mtime_ns


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
