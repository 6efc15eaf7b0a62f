"""Files in S3 by `s3://bucket/key` address; the one owner of boto3.

`store.py` is what other rooms call; `uploads.py` sends a big file in parts, `downloads.py` reads one in ranges, and
both go on where an earlier try was cut off; `refusals.py` says what a server's refusal means.
"""

from fraud_ml.objects.downloads import StoredObject, fetch_in_parts
from fraud_ml.objects.store import ObjectStore, split_url

__all__ = ["ObjectStore", "StoredObject", "fetch_in_parts", "split_url"]
