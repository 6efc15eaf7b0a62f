"""What it means when S3 refuses or does not answer, as one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from fraud_ml.errors import Unavailable


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise Unavailable for whatever goes wrong with the server while `url` is asked for.

    `facts["code"]` is the server's own word: `NoSuchKey`, `NoSuchUpload`, `PreconditionFailed` …
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code == "PreconditionFailed":
            raise Unavailable(
                f"{url} was replaced while it was being read",
                next_step="try again: it is read anew",
                url=url,
                code=code,
            ) from None
        raise Unavailable(
            f"the object store refused {url} ({code})", next_step="check address and credentials", url=url, code=code
        ) from None
    except BotoCoreError as error:
        raise Unavailable(
            f"the object store does not answer for {url} ({type(error).__name__})",
            next_step="start it (`fraud-ml stack up`) or check AWS_ENDPOINT_URL",
            url=url,
        ) from None
