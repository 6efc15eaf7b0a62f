"""S3 by SeaweedFS, with one pair of keys and the platform's four buckets."""

import json
import shutil

from fraud_ml.errors import FraudMLError, Unavailable
from fraud_ml.settings import Settings
from fraud_ml.stack.component import Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place, write_private

BUCKETS = ("claims", "snapshots", "mlflow", "reports")
_PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "http", "grpc")


def _prepare(place: Place) -> Launch:
    weed = shutil.which("weed", path=place.base_environment()["PATH"])
    if weed is None:
        raise Unavailable("SeaweedFS's wheel is not installed", next_step="install requirements/main.txt")
    folder = place.folder_of("s3")
    (folder / "data").mkdir(exist_ok=True)
    keys = {"accessKey": place.secret("s3_access_key"), "secretKey": place.secret("s3_secret_key")}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = {"identities": [{"name": "platform", "credentials": [keys], "actions": actions}]}
    write_private(folder / "s3.json", json.dumps(identities))
    port = {name: place.port(f"s3.{name}") for name in _PORTS}
    command = (
        *(weed, "server", f"-dir={folder / 'data'}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}"),
        *(
            f"-master.port={port['master']}",
            f"-master.port.grpc={port['master.grpc']}",
            "-master.volumeSizeLimitMB=1024",
        ),
        *(f"-volume.port={port['volume']}", f"-volume.port.grpc={port['volume.grpc']}", "-volume.max=1000"),
        *("-volume.preStopSeconds=0", f"-filer.port={port['filer']}", f"-filer.port.grpc={port['filer.grpc']}"),
        *("-s3", f"-s3.port={port['http']}", f"-s3.port.grpc={port['grpc']}", f"-s3.config={folder / 's3.json'}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    )
    return Launch(command=command, folder=folder)


def _settings(place: Place) -> dict[str, str]:
    endpoint = f"http://{LOOPBACK}:{place.port('s3.http')}"
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": place.secret("s3_access_key"),
        "AWS_SECRET_ACCESS_KEY": place.secret("s3_secret_key"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "FRAUD_ML_CLAIMS_URL": "s3://claims",
        "FRAUD_ML_SNAPSHOT_REMOTE": "s3://snapshots",
        "FRAUD_ML_REPORTS_URL": "s3://reports",
    }


def _check(place: Place) -> None:
    """List with our keys; afterwards the buckets stand, and the store has answered for each of them."""
    import socket

    from fraud_ml.objects import ObjectStore

    try:
        socket.create_connection((LOOPBACK, place.port("s3.http")), timeout=2).close()
        store = ObjectStore(Settings(home=place.home, values=_settings(place)))
        for bucket in BUCKETS:
            store.make_bucket(f"s3://{bucket}")
        store.below(f"s3://{BUCKETS[0]}/")
    except (OSError, FraudMLError) as error:
        raise NotReady(f"no answer to an authenticated request ({type(error).__name__})") from None


S3 = Component(
    name="s3",
    prepare=_prepare,
    check=_check,
    settings=_settings,
    ports=tuple(f"s3.{name}" for name in _PORTS),
    outside=("AWS_ENDPOINT_URL", "FRAUD_ML_CLAIMS_URL"),
    stop_wait_s=3,  # asked to end it waits 15 s for connections; what it acknowledged is written and survives a kill
)
