"""An address names its source; what it cannot name is refused in one sentence."""

from pathlib import Path

import pyarrow as pa
import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.sources import open_source
from fraud_ml.data.sources.files import read_file
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings


def settings(home: Path, **values: str) -> Settings:
    return Settings(home=home, values=values)


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ftp://bucket/claims", "no source of claims for ftp:// addresses"),
        ("s3:///key", "not the address of objects in one bucket"),
        ("kafka://host:9092", "not the address of a topic"),
        ("kafka://host:9092/claims?grup=x", "unknown setting `grup`"),
        ("kafka://me:secret@host:9092/claims", "credentials belong into KAFKA_… variables"),
        ("kafka://host:9092/claims?batch=many", "are numbers"),
        ("pubsub://insurer", "not the address of a subscription"),
        ("pubsub://insurer/claims/more", "not the address of a subscription"),
        ("pubsub://insurer/claims?pace=1", "unknown setting `pace`"),
        ("pubsub://me:secret@insurer/claims", "credentials come from the environment"),
        ("pubsub://insurer/claims?lease=ten", "are numbers"),
        ("pubsub://insurer/claims?lease=900", "1 to 600 seconds"),
        ("simulator:?claims=many", "not settings of the simulator"),
        ("simulator:?clams=1", "unknown setting `clams`"),
    ],
)
def test_address_that_is_none_is_refused(contract: Contract, tmp_path: Path, address: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        open_source(address, contract, settings(tmp_path))
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


def test_kafka_without_a_broker_is_unavailable(contract: Contract, tmp_path: Path) -> None:
    source = open_source("kafka://127.0.0.1:9/claims?patience=1", contract, settings(tmp_path))
    with pytest.raises(Unavailable, match=r"Kafka at 127\.0\.0\.1:9 does not answer"):
        next(iter(source.deliveries()))


def test_kafka_options_come_from_the_environment(tmp_path: Path) -> None:
    given = settings(tmp_path, KAFKA_SASL_PASSWORD="x", KAFKA_SECURITY_PROTOCOL="SASL_SSL", OTHER="y")
    assert given.kafka_options == {"sasl.password": "x", "security.protocol": "SASL_SSL"}


def test_pubsub_that_does_not_answer_is_unavailable(contract: Contract, tmp_path: Path) -> None:
    """An empty subscription and an absent network both end a pull at its deadline; only one of them is no error."""
    nowhere = settings(tmp_path, PUBSUB_EMULATOR_HOST="127.0.0.1:9")
    source = open_source("pubsub://insurer/claims?patience=1", contract, nowhere)
    with pytest.raises(Unavailable, match="Google Pub/Sub does not answer within 1 s"):
        next(iter(source.deliveries()))


def test_pubsub_without_credentials_is_unavailable(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "PUBSUB_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    source = open_source("pubsub://insurer/claims", contract, settings(tmp_path))
    with pytest.raises(Unavailable, match="no credentials for Google Pub/Sub"):
        next(iter(source.deliveries()))


def test_folder_gives_its_claims_files_by_name_and_leaves_others_alone(contract: Contract, tmp_path: Path) -> None:
    for name in ("b.csv", "a/c.jsonl.zst", "notes.txt", ".hidden.csv", "_partial/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    given = [delivery.name for delivery in open_source(str(tmp_path), contract, settings(tmp_path)).deliveries()]

    assert given == [str(tmp_path / "a/c.jsonl.zst"), str(tmp_path / "b.csv")]


def test_folder_without_claims_is_refused(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no claims file in this folder"):
        next(iter(open_source(str(tmp_path), contract, settings(tmp_path)).deliveries()))


def test_file_that_is_gone_when_it_is_read_has_a_code(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    [delivery] = open_source(str(tmp_path), contract, settings(tmp_path)).deliveries()
    (tmp_path / "a.csv").unlink()
    with pytest.raises(BadInput) as refused:
        delivery.read()
    assert refused.value.facts["code"] == "LAND014"


def test_zstandard_file_is_read_and_a_cut_or_damaged_one_refused(contract: Contract, tmp_path: Path) -> None:
    text = (",".join(contract.names) + "\nC1,2024-03-01,2024-03-02,fire,1,\n").encode()
    path = tmp_path / "claims.csv.zst"
    packed = zstd(text)
    path.write_bytes(packed)
    assert read_file(path, contract).columns["claim_id"].to_pylist() == ["C1"]

    path.write_bytes(packed[:-3])
    with pytest.raises(BadInput, match=r"claims\.csv\.zst: the Zstandard file is cut off"):
        read_file(path, contract)
    path.write_bytes(text)
    with pytest.raises(BadInput, match="damaged, or not Zstandard"):
        read_file(path, contract)


def test_json_that_is_nested_without_end_is_refused(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(BadInput, match=r"claims\.jsonl:1: "):
        read_file(path, contract)
