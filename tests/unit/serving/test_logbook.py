"""What a scorer writes down of the claims that it is asked about: counts by day, never a claim."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.contract import Kind
from fraud_ml.models.inputs import Input, Inputs
from fraud_ml.serving.app import create_app
from fraud_ml.serving.counting import buckets_of, count_claims
from fraud_ml.serving.logbook import KEPT_DAYS, MOST_WAITING, Logbook
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.scorer import Scorer
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation.profile import FEW_VALUES, bucket_of
from fraud_ml.validation.served import LEAST_TOLD, Served, ServedColumn, read_served
from tests.toy_models import deployment_of
from tests.unit.serving.conftest import Exported
from tests.unit.serving.test_app import CANARY, CLAIM, HARMLESS, tensors

TODAY = date(2026, 3, 31)


class Clock:
    """A day that a test may turn."""

    def __init__(self) -> None:
        self.day = TODAY

    def __call__(self) -> date:
        return self.day


@pytest.fixture
def clock() -> Clock:
    return Clock()


Open = Callable[..., Logbook]


@pytest.fixture
def open_logbook(nowhere: Settings, clock: Clock) -> Open:
    def act(metrics: Metrics | None = None, name: str = "scorer-t") -> Logbook:
        return Logbook(nowhere, metrics or Metrics(), name=name, today=clock)

    return act


Ask = Callable[..., None]


@pytest.fixture
def ask(scorer: Scorer) -> Ask:
    """Have claims scored by a scorer that writes into this logbook."""

    def act(logbook: Logbook, *claims: dict, times: int = 1) -> None:
        client = TestClient(create_app(scorer, Metrics(), logbook, name="scorer-t"))
        for _ in range(times):
            assert client.post("/claims/score", json={"dataset": "motor", "claims": list(claims)}).status_code == 200

    return act


def written(nowhere: Settings, day: date = TODAY, dataset: str = "motor") -> Served:
    return read_served(nowhere.scorer_home / "served" / dataset / f"{day}.json")


def keep(logbook: Logbook) -> None:
    logbook.count()
    logbook.write()


# --- what is counted ------------------------------------------------------------------------------------------------


def test_claims_of_both_protocols_are_counted_by_the_words_and_buckets_of_the_model(
    ask: Ask, open_logbook: Open, scorer: Scorer, nowhere: Settings
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 15, *[{**HARMLESS, "fault": "unknown", "age_years": None}] * 5)
    client = TestClient(create_app(scorer, Metrics(), logbook, name="scorer-t"))
    inputs = tensors(region=["north"] * 10, amount_eur=[0.0] * 10)
    assert client.post("/v2/models/fraud-motor/infer", json={"inputs": inputs}).status_code == 200
    keep(logbook)
    served = written(nowhere)
    assert (served.dataset, served.days, served.claims) == ("motor", ("2026-03-31",), 30)
    assert served.columns == {
        "region": ServedColumn(Kind.CATEGORY, 30, 30, {"north": 25, "south": 5}),
        "fault": ServedColumn(Kind.CATEGORY, 30, 15, None),  # fewer than 20 told it
        "age_years": ServedColumn(Kind.NUMBER, 30, 15, None),
        "amount_eur": ServedColumn(
            Kind.NUMBER, 30, 30, {"0": 10, str(bucket_of(10.0)): 5, str(bucket_of(np.float32(1234.5))): 15}
        ),
    }


def test_a_refused_request_is_not_counted(client: TestClient, logbook: Logbook, nowhere: Settings) -> None:
    client.post("/claims/score", json={"claims": [{**CLAIM, "age_years": "forty"}]})
    keep(logbook)
    assert not list(nowhere.scorer_home.rglob("served/*/*.json"))


def test_a_word_that_the_model_does_not_know_is_counted_and_stands_in_no_file(
    ask: Ask, open_logbook: Open, nowhere: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    logbook = open_logbook()
    ask(logbook, *[{**CLAIM, "region": CANARY, CANARY: CANARY}] * 30)
    keep(logbook)
    logbook.send()
    assert written(nowhere).columns["region"] == ServedColumn(Kind.CATEGORY, 30, 30, {"north": 0, "south": 0}, 30)
    files = [path for path in nowhere.home.rglob("*") if path.is_file()]
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in caplog.text


def test_a_lonely_claim_is_told_by_how_many_it_was_alone(ask: Ask, open_logbook: Open, nowhere: Settings) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * (LEAST_TOLD - 1))
    keep(logbook)
    served = written(nowhere)
    assert served.claims == LEAST_TOLD - 1
    assert {(column.known, column.counts, column.unseen) for column in served.columns.values()} == {(19, None, 0)}
    ask(logbook, CLAIM)
    keep(logbook)
    assert written(nowhere).columns["region"].counts == {"north": 20, "south": 0}


def test_a_vocabulary_of_many_words_is_not_told(tmp_path: Path) -> None:
    words = tuple(f"w{number}" for number in range(FEW_VALUES + 1))
    inputs = Inputs((Input("garage", Kind.CATEGORY, words),))
    frame = pd.DataFrame({"garage": [*words[:30], None, "", "other"]}, dtype=object)
    assert count_claims(frame, inputs) == {"garage": ServedColumn(Kind.CATEGORY, 33, 31)}


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=50))
def test_buckets_are_those_of_the_snapshots_profile(numbers: list[float]) -> None:
    assert buckets_of(np.array(numbers, dtype=np.float64)).tolist() == [bucket_of(number) for number in numbers]


# --- days and restarts ----------------------------------------------------------------------------------------------


def test_a_restarted_scorer_goes_on_with_the_day(ask: Ask, open_logbook: Open, nowhere: Settings) -> None:
    for round_ in (1, 2, 3):
        logbook = open_logbook()
        ask(logbook, *[CLAIM] * 30)
        keep(logbook)
        ask(logbook, *[HARMLESS] * 10)
        keep(logbook)
        keep(logbook)
        served = written(nowhere)
        assert served.claims == 40 * round_
        assert served.columns["region"].counts == {"north": 30 * round_, "south": 10 * round_}


def test_what_was_not_written_is_all_that_a_killed_scorer_loses(
    ask: Ask, open_logbook: Open, nowhere: Settings
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 30)
    keep(logbook)
    ask(logbook, *[CLAIM] * 7)
    logbook.count()
    again = open_logbook()
    ask(again, *[CLAIM] * 5)
    keep(again)
    assert written(nowhere).claims == 35


def test_a_claim_belongs_to_the_day_on_which_it_was_asked_about(
    ask: Ask, open_logbook: Open, nowhere: Settings, clock: Clock
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 30)
    clock.day = date(2026, 4, 1)
    ask(logbook, *[CLAIM] * 4)  # the day before was not counted yet
    keep(logbook)
    assert (written(nowhere).claims, written(nowhere, date(2026, 4, 1)).claims) == (30, 4)
    clock.day = TODAY  # somebody who comes late, as threads do
    ask(logbook, *[CLAIM] * 2)
    clock.day = date(2026, 4, 1)
    keep(logbook)
    assert (written(nowhere).claims, written(nowhere, date(2026, 4, 1)).claims) == (32, 4)


def test_each_data_set_has_its_own_days(
    scorer: Scorer, open_logbook: Open, nowhere: Settings, forest: Exported
) -> None:
    scorer.deploy(deployment_of(forest.manifest, model_uri="s3://mlflow/x/model", dataset="home"))
    logbook = open_logbook()
    client = TestClient(create_app(scorer, Metrics(), logbook, name="scorer-t"))
    client.post("/claims/score", json={"dataset": "home", "claims": [CLAIM] * 3})
    client.post("/claims/score", json={"dataset": "motor", "claims": [CLAIM] * 2})
    keep(logbook)
    assert (written(nowhere).claims, written(nowhere, dataset="home").claims) == (2, 3)


def test_after_another_model_words_that_one_of_both_does_not_know_are_unseen(
    scorer: Scorer, open_logbook: Open, nowhere: Settings
) -> None:
    logbook, live = open_logbook(), scorer.live["motor"]
    narrow = replace(live.predictor.inputs.columns[0], vocabulary=("north",))
    inputs = Inputs((narrow, *live.predictor.inputs.columns[1:]))
    other = replace(live, predictor=replace(live.predictor, inputs=inputs))
    frame = pd.DataFrame([CLAIM] * 20 + [HARMLESS] * 20)
    logbook.note(live, frame)
    logbook.note(other, frame)
    keep(logbook)
    assert written(nowhere).columns["region"] == ServedColumn(Kind.CATEGORY, 80, 80, {"north": 40}, 40)


def test_a_damaged_file_begins_anew_and_is_told(
    ask: Ask, open_logbook: Open, nowhere: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 30)
    keep(logbook)
    path = nowhere.scorer_home / "served" / "motor" / f"{TODAY}.json"
    path.write_text(path.read_text().replace('"north": 30', '"north": 31'))
    again = open_logbook()
    ask(again, *[CLAIM] * 2)
    keep(again)
    assert written(nowhere).claims == 2
    assert "begins anew" in caplog.text


def test_files_are_kept_for_a_year_and_a_month(ask: Ask, open_logbook: Open, nowhere: Settings, clock: Clock) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 3)
    keep(logbook)
    clock.day = date.fromordinal(TODAY.toordinal() + KEPT_DAYS)
    logbook.send()
    assert written(nowhere).claims == 3
    clock.day = date.fromordinal(TODAY.toordinal() + KEPT_DAYS + 1)
    logbook.send()
    assert not list(nowhere.scorer_home.rglob(f"{TODAY}*"))


# --- what may go wrong ----------------------------------------------------------------------------------------------


def test_while_the_store_is_away_counts_are_kept_and_it_is_said_once(
    ask: Ask, open_logbook: Open, nowhere: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 30)
    keep(logbook)
    logbook.send()
    logbook.send()
    assert written(nowhere).claims == 30
    assert [path.name for path in nowhere.scorer_home.rglob("*.unsent")] == [f"{TODAY}.unsent"]
    assert caplog.text.count("sent later") == 1


def test_counts_that_cannot_be_made_fail_no_request(
    scorer: Scorer, open_logbook: Open, nowhere: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    logbook, live = open_logbook(metrics), scorer.live["motor"]
    logbook.note(live, pd.DataFrame([{**CLAIM, "region": [CANARY]}]))  # which no request that was scored holds
    logbook.note(live, pd.DataFrame([CLAIM] * 3))
    keep(logbook)
    logbook.note(live, pd.DataFrame([CLAIM] * 2))
    keep(logbook)
    assert written(nowhere).claims == 2
    assert 'fraud_scorer_claims_uncounted_total{dataset="motor"} 4' in metrics.text({})
    assert "TypeError" in caplog.text
    assert CANARY not in caplog.text


def test_a_home_that_cannot_be_written_is_tried_again(
    ask: Ask, open_logbook: Open, nowhere: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    logbook = open_logbook()
    ask(logbook, *[CLAIM] * 30)
    in_the_way = nowhere.scorer_home / "served"
    in_the_way.write_text("a file where a folder should be")
    keep(logbook)
    assert "not written" in caplog.text
    in_the_way.unlink()
    keep(logbook)
    assert written(nowhere).claims == 30


def test_no_more_claims_wait_in_memory_than_are_allowed(scorer: Scorer, open_logbook: Open, nowhere: Settings) -> None:
    metrics = Metrics()
    logbook, live = open_logbook(metrics), scorer.live["motor"]
    frame = pd.DataFrame([CLAIM] * 10_000)
    for _ in range(MOST_WAITING // 10_000 + 2):
        logbook.note(live, frame)
    assert 'fraud_scorer_claims_uncounted_total{dataset="motor"} 20000' in metrics.text({})
    keep(logbook)
    assert written(nowhere).claims == MOST_WAITING
    logbook.note(live, frame)
    keep(logbook)
    assert written(nowhere).claims == MOST_WAITING + 10_000


def test_counting_loads_nothing_that_only_a_verdict_needs() -> None:
    told = "import fraud_ml.serving.counting, fraud_ml.serving.logbook, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert "fraud_ml.validation.served" in done.stdout.split()
    assert not {"great_expectations", "duckdb", "tensorflow"} & set(done.stdout.split())


def test_counting_costs_a_small_part_of_scoring(scorer: Scorer, open_logbook: Open) -> None:
    logbook, live = open_logbook(), scorer.live["motor"]
    client = TestClient(create_app(scorer, Metrics(), logbook, name="scorer-t"))
    frame = pd.DataFrame([CLAIM, HARMLESS] * 5_000)

    def seconds(act: Callable[[], object]) -> float:
        begin = time.perf_counter()
        act()
        return time.perf_counter() - begin

    scored, noted, counted = [], [], []
    for _ in range(5):
        scored.append(seconds(lambda: client.post("/claims/score", json={"claims": [CLAIM, HARMLESS] * 5_000})))
        logbook.count()
        noted.append(seconds(lambda: logbook.note(live, frame)))
        counted.append(seconds(logbook.count))
    assert min(noted) < 0.01 * min(scored)  # all that a request waits for
    assert min(counted) < 0.1 * min(scored)  # behind its back; a model that weighs more makes it less


def test_requests_of_many_threads_are_all_counted(scorer: Scorer, open_logbook: Open, nowhere: Settings) -> None:
    logbook, live, stop = open_logbook(), scorer.live["motor"], threading.Event()
    one = pd.DataFrame([CLAIM])

    def hammer() -> None:
        for _ in range(200):
            logbook.note(live, one)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    runs = threading.Thread(target=logbook.run, args=(stop,), daemon=True)
    for thread in [runs, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    runs.join(timeout=60)  # what was noted is written before the store, which does not answer, is asked
    assert written(nowhere).claims == 1600
    assert json.loads((nowhere.scorer_home / "served" / "motor" / f"{TODAY}.json").read_text())["claims"] == 1600
