"""Objects in S3, or in what speaks its protocol, as a source."""

from fraud_ml.contract import Contract
from fraud_ml.data.sources.bucket import BucketSource
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings


class S3Source(BucketSource):
    """`s3://bucket/prefix*`; endpoint and credentials are those of the settings."""

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:
        super().__init__(address, contract, settings, ObjectStore(settings))
