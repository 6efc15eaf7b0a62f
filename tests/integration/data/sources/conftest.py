"""Sources of every kind that hold the same claims, each opened by its address."""

import gzip
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.integration.data.sources.deliveries import Place, messages, zstd
from tests.integration.data.sources.subscriptions import Subscription

Send = Callable[..., None]
Fill = Callable[[dict[str, bytes]], str]
SIMULATED = "simulator:?claims=30&seed=5&from=2024-01-01&to=2024-03-12"  # the rows of `motor_rows`


@pytest.fixture
def send(kafka: str, topic: str) -> Send:
    """Produce messages, each to the partition that its key chooses, and wait for their acknowledgement."""
    from confluent_kafka import Producer

    def produce(*values: bytes | None, to: str = topic) -> None:
        producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True})
        for number, value in enumerate(values):
            producer.produce(to, value, key=str(number))
        assert producer.flush(20) == 0

    return produce


@pytest.fixture
def subscription(pubsub: str) -> Iterator[Subscription]:
    """A new topic of Google Pub/Sub and its one subscription."""
    opened = Subscription.new(pubsub)
    yield opened
    opened.close()


@pytest.fixture
def fill_gcs(gcs: str) -> Fill:
    """Write objects into a new bucket of Google Cloud Storage and return the pattern that names them."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    def fill(objects: dict[str, bytes]) -> str:
        client = storage.Client("none", AnonymousCredentials(), client_options={"api_endpoint": gcs})
        bucket = client.create_bucket(f"claims-{uuid.uuid4().hex[:8]}")
        for name, content in objects.items():
            bucket.blob(f"in/{name}").upload_from_string(content)
        return f"gs://{bucket.name}/in/day=*"

    return fill


@pytest.fixture
def log(place: Settings, motor: Contract, request: pytest.FixtureRequest) -> Place:
    kind = request.node.callspec.params.get("address") if hasattr(request.node, "callspec") else None
    emulators = {}
    if "fill_gcs" in request.fixturenames or kind == "gcs":
        emulators["STORAGE_EMULATOR_HOST"] = request.getfixturevalue("gcs")
    if "pubsub" in request.fixturenames or kind == "pubsub":
        emulators["PUBSUB_EMULATOR_HOST"] = request.getfixturevalue("pubsub")
    return Place(Settings(home=place.home, values={**place.values, **emulators}), motor)


@pytest.fixture(
    params=[
        "gcs",
        "file",
        "folder",
        "json lines",
        "parquet",
        "gzip",
        "zstd",
        "s3 object",
        "s3 pattern",
        "kafka",
        "pubsub",
        "simulator",
    ]
)
def address(
    request: pytest.FixtureRequest, motor_rows: pd.DataFrame, tmp_path: Path, store: ObjectStore, place: Settings
) -> str:
    """The address of a source that holds `motor_rows`."""
    kind: str = request.param
    text = motor_rows.to_csv(index=False).encode()
    folder = tmp_path / "deliveries"
    (folder / "2024").mkdir(parents=True)
    halves = [part.to_csv(index=False).encode() for part in (motor_rows.iloc[::2], motor_rows.iloc[1::2])]
    if kind == "simulator":
        return SIMULATED
    if kind == "kafka":
        request.getfixturevalue("send")(*messages(motor_rows))
        topic = request.getfixturevalue("topic")
        return f"kafka://{request.getfixturevalue('kafka')}/{topic}?group={topic}"
    if kind == "pubsub":
        subscription: Subscription = request.getfixturevalue("subscription")
        subscription.publish(*messages(motor_rows))
        return subscription.address
    if kind == "folder":
        (folder / "2024" / "a.csv").write_bytes(halves[0])
        (folder / "b.csv.zst").write_bytes(zstd(halves[1]))
        (folder / "README.txt").write_text("no claims")
        (folder / ".hidden.csv").write_text("no claims")
        return str(folder)
    if kind == "gcs":
        return request.getfixturevalue("fill_gcs")({"day=1/a.csv": halves[0], "day=2/b.csv": halves[1]})
    if kind.startswith("s3"):
        sent = f"s3://claims/sent-{place.claims_url.rsplit('/', 1)[1]}"
        if kind == "s3 object":
            store.write(f"{sent}/claims.csv", text)
            return f"{sent}/claims.csv"
        for name, half in zip(("day=1/a.csv", "day=2/b.csv"), halves, strict=True):
            store.write(f"{sent}/{name}", half)
        store.write(f"{sent}/other/day=1/c.csv", b"never,read\n")
        return f"{sent}/day=*.csv"
    parquet = io.BytesIO()
    motor_rows.to_parquet(parquet, index=False)
    name, content = {
        "file": ("claims.csv", text),
        "json lines": ("claims.jsonl", b"\n".join(messages(motor_rows))),
        "parquet": ("claims.parquet", parquet.getvalue()),
        "gzip": ("claims.csv.gz", gzip.compress(text)),
        "zstd": ("claims.jsonl.zst", zstd(b"\n".join(messages(motor_rows)))),
    }[kind]
    (folder / name).write_bytes(content)
    return str(folder / name)
