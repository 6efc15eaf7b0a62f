"""A promotion's last mile on real servers: broker, object store, ledger, and a scorer that is killed and restarted."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from fraud_ml.artifacts import Candidate, ModelManifest, digest_of
from fraud_ml.governance.approvals import approve, make_key
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.messaging import Publisher
from fraud_ml.objects import ObjectStore
from fraud_ml.promotion.promote import promote
from fraud_ml.promotion.relay import run_relay
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import run_command
from tests.empty_ledger import empty_ledger
from tests.tampering import flip_a_byte, flipped
from tests.toy_models import export_forest, people, promotion, registered_body, seal, sign

pytestmark = [pytest.mark.stack, pytest.mark.slow]

CANARY = "KANARIENVOGEL"
PATIENCE_S = 60.0


def wait_for(what: Callable[[], Any], *, seconds: float = PATIENCE_S) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


class RunningScorer:
    """`python -m fraud_ml serve` in a process of its own."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.log = settings.home / "scorer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **changed: str | None) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        values = {**self.settings.values, **changed}
        environment = {**{name: value for name, value in values.items() if value}, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fraud_ml", "serve", "--port", str(port), "--name", self.name],
                cwd=PROJECT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self.get("/v2/health/live") == 200)
        return self

    def get(self, path: str) -> int | None:
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.TransportError:
            return None

    def metric(self, name: str) -> float:
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def score(self, *claims: dict, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/claims/score", json={"claims": list(claims), **more}, timeout=30)

    def serving(self) -> str | None:
        """Return the candidate that answers."""
        answer = self.score({"region": "north"})
        return answer.json()["candidate_digest"] if answer.status_code == 200 else None

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None


class World:
    """A ledger of its own, a relay, two people with keys, and a way to register and promote."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.ledger, self.store = settings, Ledger(settings.ledger_url), ObjectStore(settings)
        keys = settings.home / "keys"
        self.keys = [make_key(name, keys, approvers=settings.approvers) for name in ("ada", "bo")]

    def register(self, folder: Path, manifest: ModelManifest, *, as_of: str) -> Candidate:
        candidate = seal(manifest, as_of=as_of)
        uri = f"s3://mlflow/tests/{uuid.uuid4().hex}/model"
        self.store.upload({f"{uri}/{path.name}": path for path in folder.iterdir()})
        self.ledger.append(
            EntryKind.REGISTERED,
            dataset="motor",
            subject=candidate.digest,
            actor="registry",
            body=registered_body(manifest, candidate, model_uri=uri, version=as_of),
        )
        return candidate

    def promote(self, candidate: Candidate) -> Entry:
        for key in self.keys:
            approve(self.ledger, candidate.digest, key, approvers=self.settings.approvers)
        return promote(self.settings, candidate.digest)

    def answers(self, candidate: Candidate, kind: EntryKind) -> tuple[Entry, ...]:
        return self.ledger.find(kind=kind, subject=candidate.digest)

    def await_deployed(self, candidate: Candidate) -> Entry:
        return wait_for(lambda: self.answers(candidate, EntryKind.DEPLOYED))[0]

    def address_of(self, candidate: Candidate) -> str:
        entry = self.ledger.latest(kind=EntryKind.REGISTERED, subject=candidate.digest)
        assert entry is not None
        return str(entry.body["model_uri"])


@pytest.fixture
def world(
    postgres_settings: Settings, s3_settings: Settings, rabbitmq_settings: Settings, tmp_path: Path
) -> Iterator[World]:
    values = {
        **os.environ,
        **postgres_settings.values,
        **s3_settings.values,
        **rabbitmq_settings.values,
        "FRAUD_ML_HOME": str(tmp_path),
        "FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings),
        "FRAUD_ML_APPROVERS": str(tmp_path / "approvers.json"),
        "FRAUD_ML_SCORER_HOME": str(tmp_path / "scorer"),
    }
    made = World(Settings(home=tmp_path, values=values))
    stop = threading.Event()
    relay = threading.Thread(target=run_relay, args=(made.settings, stop), kwargs={"say": lambda _: None}, daemon=True)
    relay.start()
    yield made
    stop.set()
    relay.join(30)


@pytest.fixture
def scorer(world: World) -> Iterator[RunningScorer]:
    made = RunningScorer(world.settings, f"t-{uuid.uuid4().hex[:12]}").start()
    yield made
    made.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, ModelManifest]]:
    folders = [tmp_path_factory.mktemp("models") / str(seed) for seed in (1, 2)]
    return [(folder, export_forest(folder, seed=seed)) for seed, folder in enumerate(folders, start=1)]


Models = list[tuple[Path, ModelManifest]]


def flip_an_object(store: ObjectStore, url: str) -> None:
    store.write(url, flipped(store.read(url)))


def test_promoted_candidate_is_served_and_acknowledged(world: World, scorer: RunningScorer, models: Models) -> None:
    assert scorer.get("/v2/health/ready") == 200
    assert scorer.serving() is None
    candidate = world.register(*models[0], as_of="2024-01-01")
    promoted = world.promote(candidate)
    deployed = world.await_deployed(candidate)
    assert scorer.serving() == candidate.digest
    assert (deployed.actor, deployed.body["sequence"]) == (scorer.name, promoted.seq)
    assert candidate.digest in httpx.get(scorer.url).text
    assert not world.ledger.verify()


def test_model_with_one_changed_byte_is_refused_and_the_old_one_goes_on(
    world: World, scorer: RunningScorer, models: Models
) -> None:
    good = world.register(*models[0], as_of="2024-01-01")
    world.promote(good)
    world.await_deployed(good)
    for as_of, name in (("2024-02-01", "forest.skops"), ("2024-03-01", "model.json"), ("2024-04-01", "golden.json")):
        bad = world.register(*models[1], as_of=as_of)
        flip_an_object(world.store, f"{world.address_of(bad)}/{name}")
        world.promote(bad)
        (refused,) = wait_for(lambda bad=bad: world.answers(bad, EntryKind.REFUSED))
        assert name in refused.body["reason"]
        assert not world.answers(bad, EntryKind.DEPLOYED)
        assert scorer.serving() == good.digest
    assert scorer.metric("fraud_scorer_refusals_total") == 3


def test_model_with_an_absent_file_is_refused(world: World, scorer: RunningScorer, models: Models) -> None:
    folder, manifest = models[0]
    candidate = world.register(folder, manifest, as_of="2024-01-01")
    files = {**manifest.files, "more.bin": digest_of("more")}
    more = replace(manifest, files=files, artifact_digest=ModelManifest.digest_files(files))
    bigger = seal(more, as_of="2024-02-01")
    body = registered_body(more, bigger, model_uri=world.address_of(candidate))
    world.ledger.append(EntryKind.REGISTERED, dataset="motor", subject=bigger.digest, actor="registry", body=body)
    world.promote(bigger)
    (refused,) = wait_for(lambda: world.answers(bigger, EntryKind.REFUSED))
    assert "more.bin is not there" in refused.body["reason"]
    assert scorer.serving() is None


def test_forged_promotion_is_not_served(world: World, scorer: RunningScorer, models: Models, tmp_path: Path) -> None:
    candidate = world.register(*models[0], as_of="2024-01-01")
    strangers = people(tmp_path / "elsewhere", "ada", "bo")  # the right names, other keys
    body = registered_body(models[0][1], candidate, model_uri=world.address_of(candidate))
    forged = promotion(body, sign(candidate.digest, strangers), sequence=10**6)
    wait_for(lambda: scorer.get("/v2/health/ready") == 200)
    with Publisher(str(world.settings.rabbitmq_url)) as publisher:
        publisher.publish(forged)
    wait_for(lambda: scorer.metric("fraud_scorer_refusals_total") == 1)
    assert scorer.serving() is None
    assert not world.answers(candidate, EntryKind.DEPLOYED)


def test_promotion_waits_while_the_object_store_is_away(world: World, models: Models) -> None:
    scorer = RunningScorer(world.settings, f"t-{uuid.uuid4().hex[:12]}").start(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    try:
        candidate = world.register(*models[0], as_of="2024-01-01")
        world.promote(candidate)
        wait_for(lambda: "waits" in scorer.log.read_text())
        scorer.end()
        scorer.start()
        world.await_deployed(candidate)
        assert scorer.serving() == candidate.digest
        assert not world.answers(candidate, EntryKind.REFUSED)
    finally:
        scorer.end(signal.SIGKILL)


def test_killed_at_any_moment_it_ends_in_one_deployment(world: World, scorer: RunningScorer, models: Models) -> None:
    rng = random.Random(7)
    first = world.register(*models[0], as_of="2023-12-01")
    world.promote(first)
    world.await_deployed(first)  # its libraries are loaded: what follows is the swap alone
    for attempt in range(6):
        candidate = world.register(*models[(attempt + 1) % 2], as_of=f"2024-0{attempt + 1}-01")
        world.promote(candidate)
        time.sleep(rng.uniform(0.0, 1.0))
        scorer.end(signal.SIGKILL)
        scorer.start()
        world.await_deployed(candidate)
        wait_for(lambda candidate=candidate: scorer.serving() == candidate.digest)
    time.sleep(1)  # a second answer would have come by now
    for entry in world.ledger.find(kind=EntryKind.PROMOTED):
        assert len(world.ledger.find(kind=EntryKind.DEPLOYED, subject=entry.subject)) == 1
    assert not world.ledger.find(kind=EntryKind.REFUSED)
    assert not [path for path in (world.settings.scorer_home / "models").iterdir() if path.suffix == ".partial"]


def test_restarted_scorer_mends_a_damaged_copy_or_serves_nothing(
    world: World, scorer: RunningScorer, models: Models
) -> None:
    candidate = world.register(*models[0], as_of="2024-01-01")
    world.promote(candidate)
    world.await_deployed(candidate)
    kept = world.settings.scorer_home / "models" / candidate.artifact_digest / "forest.skops"

    scorer.end(signal.SIGKILL)
    flip_a_byte(kept)
    scorer.start()
    wait_for(lambda: scorer.serving() == candidate.digest)

    scorer.end()
    flip_a_byte(kept)
    flip_an_object(world.store, f"{world.address_of(candidate)}/forest.skops")
    scorer.start()
    wait_for(lambda: "is not served" in scorer.log.read_text())
    assert scorer.get("/v2/health/ready") == 503
    assert scorer.get("/v2/models/fraud-motor/ready") == 503
    assert scorer.score({"region": "north"}, dataset="motor").status_code == 503
    assert "is not served" in httpx.get(scorer.url).text


def test_without_a_broker_what_is_live_is_served_and_no_value_is_logged(
    world: World, scorer: RunningScorer, models: Models
) -> None:
    candidate = world.register(*models[0], as_of="2024-01-01")
    world.promote(candidate)
    world.await_deployed(candidate)
    scorer.end()
    scorer.start(RABBITMQ_URL=None)
    wait_for(lambda: scorer.serving() == candidate.digest)
    scorer.score({"region": CANARY, "age_years": 30})
    scorer.score({"region": CANARY, "age_years": CANARY})
    httpx.get(f"{scorer.url}/{CANARY}?x={CANARY}")
    httpx.post(f"{scorer.url}/claims/score", content=f'{{"claims": [{{"region": "{CANARY}"')
    scorer.end()
    assert CANARY not in scorer.log.read_text()


def test_second_scorer_in_the_same_folder_is_refused(world: World, scorer: RunningScorer) -> None:
    done = run_command("serve", "--port", "1", "--name", "another", environment=world.settings.values)
    assert done.returncode == 2
    assert "another scorer keeps" in done.stderr
