"""What a caller of the scorer sees, and what nobody else may see."""

import json
import logging

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from fraud_ml.models import load_model
from fraud_ml.serving.app import MOST_EXPLAINED, create_app
from fraud_ml.serving.logbook import Logbook
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.requests import MOST_BYTES, MOST_CLAIMS
from fraud_ml.serving.scorer import Scorer
from fraud_ml.serving.shelf import Shelf
from fraud_ml.settings import Settings
from tests.unit.serving.conftest import Exported

CANARY = "KANARIENVOGEL"
JSON = {"content-type": "application/json"}
CLAIM = {"region": "north", "fault": "third party", "age_years": 44, "amount_eur": 1234.5}
HARMLESS = {"region": "south", "fault": "own", "age_years": 60, "amount_eur": 10.0}


def tensors(**columns: list) -> list[dict]:
    kinds = {"region": "BYTES", "fault": "BYTES", "age_years": "FP64", "amount_eur": "FP32"}
    return [{"name": n, "shape": [len(d)], "datatype": kinds.get(n, "BYTES"), "data": d} for n, d in columns.items()]


# --- scoring --------------------------------------------------------------------------------------------------------


def test_claims_are_scored_as_the_model_scores_them(client: TestClient, forest: Exported) -> None:
    answer = client.post("/claims/score", json={"claims": [HARMLESS, CLAIM]}).json()
    frame = pd.DataFrame([HARMLESS, CLAIM])
    expected = load_model(forest.folder).predict(frame)
    np.testing.assert_array_equal([score["probability"] for score in answer["scores"]], expected)
    assert (answer["dataset"], answer["model_version"]) == ("motor", "7")
    assert answer["candidate_digest"]


def test_order_is_kept_and_rank_one_is_the_riskiest(client: TestClient) -> None:
    claims = [{"claim_id": "a", **HARMLESS}, {"claim_id": 2, **CLAIM}, HARMLESS]
    scores = client.post("/claims/score", json={"dataset": "motor", "claims": claims}).json()["scores"]
    assert [score["claim_id"] for score in scores] == ["a", 2, None]
    assert [score["rank"] for score in scores] == [2, 1, 2]


def test_reasons_are_words_told_where_they_are_asked_for(client: TestClient) -> None:
    asked = {"claims": [CLAIM, HARMLESS], "reasons": 2}
    risky, harmless = client.post("/claims/score", json=asked).json()["scores"]
    assert risky["reasons"][0].startswith("fault speaks ")
    assert len(harmless["reasons"]) <= 2
    assert not any("third party" in told or "1234" in told for told in risky["reasons"])
    (plain,) = client.post("/claims/score", json={"claims": [CLAIM]}).json()["scores"]
    assert "reasons" not in plain
    assert client.post("/claims/score", json={"claims": [CLAIM], "reasons": 21}).status_code in (400, 422)
    answer = client.post("/claims/score", json={"claims": [CLAIM] * (MOST_EXPLAINED + 1), "reasons": 1})
    assert answer.status_code in (400, 422)
    assert "at most 500" in answer.text


def test_both_protocols_give_the_same_probability(client: TestClient) -> None:
    by_claim = client.post("/claims/score", json={"claims": [CLAIM]}).json()["scores"][0]["probability"]
    inputs = tensors(**{name: [value] for name, value in CLAIM.items()})
    for model in ("fraud", "fraud-motor"):
        answer = client.post(f"/v2/models/{model}/infer", json={"id": "r1", "inputs": inputs}).json()
        (output,) = answer["outputs"]
        assert output == {"name": "probability", "shape": [1], "datatype": "FP64", "data": [by_claim]}
        assert (answer["model_version"], answer["id"]) == ("7", "r1")


def test_column_tensors_of_one_column_are_read(client: TestClient) -> None:
    inputs = [{"name": "age_years", "shape": [2, 1], "datatype": "FP32", "data": [[30.0], [None]]}]
    answer = client.post("/v2/models/fraud/infer", json={"inputs": inputs, "parameters": {"dataset": "motor"}})
    assert answer.json()["outputs"][0]["shape"] == [2]


def test_absent_null_and_spelled_missing_values_mean_the_same(client: TestClient) -> None:
    absent = {"region": "north", "amount_eur": 5.0}
    claims = [absent, {**absent, "fault": None, "age_years": None}, {**absent, "fault": "unknown", "age_years": 0}]
    scores = client.post("/claims/score", json={"claims": claims}).json()["scores"]
    assert len({score["probability"] for score in scores}) == 1


def test_columns_that_are_no_feature_are_named(client: TestClient) -> None:
    answer = client.post("/claims/score", json={"claims": [{**CLAIM, "claim_id": "a", "police": "x"}]}).json()
    assert answer["ignored"] == ["police"]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age_years", CANARY),
        ("age_years", True),
        ("age_years", "12"),
        ("age_years", [CANARY]),
        ("region", 12),
        ("region", {"x": CANARY}),
        ("region", False),
    ],
)
def test_wrong_type_names_column_and_position_never_the_value(client: TestClient, column: str, value: object) -> None:
    answer = client.post("/claims/score", json={"claims": [CLAIM, {**CLAIM, column: value}]})
    assert answer.status_code == 422
    assert (answer.json()["column"], answer.json()["position"]) == (column, 1)
    assert column in answer.json()["error"]
    assert CANARY not in answer.text


@pytest.mark.parametrize("spelling", ["NaN", "Infinity", "1e999", "1e39", "1" + "0" * 400])
def test_number_without_bound_is_refused(client: TestClient, spelling: str) -> None:
    body = '{"claims": [{"age_years": ' + spelling + "}]}"
    answer = client.post("/claims/score", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["column"] == "age_years"


@pytest.mark.parametrize(
    "body",
    [
        f'{{"claims": "{CANARY}"}}',
        f'{{"claims": ["{CANARY}"]}}',
        f'{{"claims": [{{"region": "{CANARY}"',
        f'["{CANARY}"]',
        f'{{"claims": [{{"claim_id": ["{CANARY}"], "region": "north"}}]}}',
        f'{{"claims": [{{"region": "north"}}], "dataset": ["{CANARY}"]}}',
        f'{{"claims": [{{"region": "north"}}], "dataset": "{CANARY}"}}',
        "[" * 100_000,
        '{"claims": []}',
        '{"claims": [{}]}',
        '{"claims": [{"age_years": ' + "9" * 5000 + "}]}",
        "",
    ],
)
def test_misshapen_request_is_answered_without_its_values(client: TestClient, body: str) -> None:
    answer = client.post("/claims/score", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) <= {"error", "column", "position"}
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"datatype": "INT64"}, "datatype"),
        ({"datatype": CANARY}, "datatype"),
        ({"shape": [3]}, "length"),
        ({"shape": [2, 2]}, "length"),
        ({"data": [1.0]}, "shape"),
        ({"data": [1.0, CANARY]}, "claim 1"),
    ],
)
def test_tensor_that_does_not_fit_is_named(client: TestClient, change: dict, named: str) -> None:
    region, age = tensors(region=["north", "south"], age_years=[1.0, 2.0])
    answer = client.post("/v2/models/fraud/infer", json={"inputs": [region, {**age, **change}]})
    assert answer.status_code == 422
    assert named in answer.json()["error"]
    assert "age_years" in answer.json()["error"]
    assert CANARY not in answer.text


def test_tensor_sent_twice_is_refused(client: TestClient) -> None:
    answer = client.post("/v2/models/fraud/infer", json={"inputs": tensors(region=["a"]) + tensors(region=["b"])})
    assert "sent twice" in answer.json()["error"]


def test_more_claims_than_allowed_are_refused(client: TestClient) -> None:
    answer = client.post("/claims/score", json={"claims": [{"region": "n"}] * (MOST_CLAIMS + 1)})
    assert answer.status_code == 422
    assert str(MOST_CLAIMS) in answer.json()["error"]
    many = [{"name": "age_years", "shape": [MOST_CLAIMS + 1], "datatype": "FP64", "data": [1.0] * (MOST_CLAIMS + 1)}]
    assert client.post("/v2/models/fraud/infer", json={"inputs": many}).status_code == 422


@pytest.mark.parametrize("declares", [True, False])
def test_too_large_a_body_is_refused_before_it_is_parsed(client: TestClient, declares: bool) -> None:
    def parts():  # type: ignore[no-untyped-def]
        for _ in range(MOST_BYTES // (1 << 20) + 2):
            yield b" " * (1 << 20)

    content = b" " * (MOST_BYTES + 1) if declares else parts()
    answer = client.post("/claims/score", content=content)
    assert answer.status_code == 413


def test_largest_allowed_request_is_scored(client: TestClient) -> None:
    answer = client.post("/claims/score", json={"claims": [CLAIM] * MOST_CLAIMS})
    assert len(answer.json()["scores"]) == MOST_CLAIMS


def test_unforeseen_error_shows_its_type_and_nothing_else(
    scorer: Scorer, metrics: Metrics, logbook: Logbook, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(scorer, metrics, logbook, name="scorer-t")

    @app.get("/breaks")
    def breaks() -> None:
        raise ValueError(f"could not convert {CANARY}")

    with caplog.at_level(logging.DEBUG), TestClient(app) as client:
        answer = client.get("/breaks")
    assert answer.status_code == 500
    assert "ValueError" in caplog.text
    assert CANARY not in caplog.text + answer.text


def test_no_request_value_reaches_a_log(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="fraud_ml"):
        client.post("/claims/score", json={"claims": [{**CLAIM, "region": CANARY}]})
        client.post("/claims/score", json={"claims": [{**CLAIM, "age_years": CANARY}]})
        client.post("/claims/score", content=f'{{"claims": "{CANARY}', headers=JSON)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("fraud_ml")]
    assert not [line for line in ours if CANARY in line]


# --- what is live ---------------------------------------------------------------------------------------------------


def test_model_describes_its_columns(client: TestClient) -> None:
    described = client.get("/v2/models/fraud-motor").json()
    assert described["versions"] == ["7"]
    assert {column["name"]: column["datatype"] for column in described["inputs"]} == {
        "region": "BYTES",
        "fault": "BYTES",
        "age_years": "FP64",
        "amount_eur": "FP64",
    }


def test_model_that_is_not_there_is_not_found(client: TestClient) -> None:
    for address in ("/v2/models/other", "/v2/models/fraud-home"):
        assert client.get(address).status_code == 404
        assert client.post(address + "/infer", json={"inputs": tensors(region=["a"])}).status_code == 404
    assert client.get("/v2/models/fraud-home/ready").status_code == 503
    assert client.get("/v2/models/fraud-motor/ready").status_code == 200


def test_dataset_must_be_named_where_several_are_live(scorer: Scorer, client: TestClient, forest: Exported) -> None:
    from tests.toy_models import deployment_of

    scorer.deploy(deployment_of(forest.manifest, model_uri="s3://mlflow/x/model", dataset="home"))
    assert client.post("/claims/score", json={"claims": [CLAIM]}).status_code == 404
    answer = client.post("/claims/score", json={"dataset": "home", "claims": [CLAIM]})
    assert answer.json()["dataset"] == "home"


def test_fresh_scorer_is_live_and_ready_and_has_no_model(tmp_path, nowhere: Settings) -> None:  # type: ignore[no-untyped-def]
    scorer = Scorer(Shelf(tmp_path / "fresh", nowhere))
    client = TestClient(create_app(scorer, Metrics(), Logbook(nowhere, Metrics(), name="scorer-t"), name="scorer-t"))
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").status_code == 503
    scorer.restore()
    assert client.get("/v2/health/ready").status_code == 200
    assert client.post("/claims/score", json={"claims": [CLAIM]}).status_code == 404
    assert "No model is live yet" in client.get("/").text


def test_front_page_says_what_is_live(client: TestClient, scorer: Scorer) -> None:
    page = client.get("/").text
    deployment = scorer.live["motor"].deployment
    for shown in ("motor", ">7<", deployment.candidate.digest, deployment.since, deployment.candidate.as_of):
        assert shown in page
    assert "<script" not in page


def test_metrics_count_requests_claims_and_what_is_live(client: TestClient) -> None:
    client.post("/claims/score", json={"claims": [CLAIM, CLAIM]})
    client.post("/claims/score", json={"claims": []})
    client.get(f"/{CANARY}")
    text = client.get("/metrics").text
    assert 'fraud_scorer_requests_total{route="/claims/score",status="200"} 1' in text
    assert 'fraud_scorer_requests_total{route="/claims/score",status="422"} 1' in text
    assert 'fraud_scorer_request_seconds_bucket{route="/claims/score",le="+Inf"} 2' in text
    assert 'fraud_scorer_claims_scored_total{dataset="motor"} 2' in text
    assert 'fraud_scorer_live_info{dataset="motor",version="7"' in text
    assert CANARY not in text


def test_answers_are_plain_json(client: TestClient) -> None:
    answer = client.post("/claims/score", json={"claims": [CLAIM]})
    json.loads(answer.text, parse_constant=lambda _: pytest.fail("no JSON number"))
