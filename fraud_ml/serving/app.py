"""The scorer's HTTP side: the Open Inference Protocol (version 2), and claims as analysts have them.

Answers name columns, positions and kinds of value; a claim's own values stand in no error and no log.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from fraud_ml.errors import BadInput, FraudMLError, Rejected, Unavailable
from fraud_ml.serving import metrics as prometheus
from fraud_ml.serving.guard import Guard
from fraud_ml.serving.logbook import Logbook
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.page import front_page
from fraud_ml.serving.requests import ClaimsToScore, InferRequest, frame_of_claims, frame_of_tensors, ranks
from fraud_ml.serving.scorer import LiveModel, NotLive, Scorer

MODEL = "fraud"  # the model of whatever dataset the request names; `fraud-<dataset>` names it in the address
MOST_EXPLAINED = 500  # claims of one request whose reasons are told


def create_app(scorer: Scorer, metrics: Metrics, logbook: Logbook, *, name: str) -> FastAPI:
    """Return the application of one scorer."""
    app = FastAPI(title=f"Fraud scorer {name}", version=_version(), docs_url=None, redoc_url=None)
    app.add_middleware(Guard, metrics=metrics)
    _explain_errors(app)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return front_page(name, scorer.live, scorer.missing)

    @app.get("/metrics")
    def counted() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(scorer.live), media_type=prometheus.MEDIA_TYPE)

    @app.get("/v2/health/live")
    def is_live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    def is_ready() -> JSONResponse:
        """Ready when everything that was live before the last restart is live again."""
        return JSONResponse({"ready": scorer.is_ready}, 200 if scorer.is_ready else 503)

    @app.get("/v2")
    def server() -> dict[str, Any]:
        return {"name": name, "version": _version(), "extensions": []}

    @app.get("/v2/models/{model}")
    def described(model: str, dataset: str | None = None) -> dict[str, Any]:
        return _describe(model, scorer.model(_dataset(model, dataset)))

    @app.get("/v2/models/{model}/ready")
    def model_is_ready(model: str, dataset: str | None = None) -> JSONResponse:
        try:
            scorer.model(_dataset(model, dataset))
        except (NotLive, Unavailable):
            return JSONResponse({"name": MODEL, "ready": False}, 503)
        return JSONResponse({"name": model, "ready": True})

    @app.post("/v2/models/{model}/infer")
    def infer(model: str, request: InferRequest) -> dict[str, Any]:
        live = scorer.model(_dataset(model, request.parameters.get("dataset")))
        frame, ignored = frame_of_tensors(request.inputs, live.predictor.inputs.columns)
        probabilities = _score(live, frame)
        answer: dict[str, Any] = {
            "model_name": model,
            "model_version": live.deployment.version,
            "outputs": [
                {"name": "probability", "shape": [len(probabilities)], "datatype": "FP64", "data": probabilities}
            ],
            "parameters": {
                "dataset": live.deployment.dataset,
                "candidate_digest": live.deployment.candidate.digest,
                "ignored": ",".join(ignored),
            },
        }
        return answer if request.id is None else {**answer, "id": request.id}

    @app.post("/claims/score")
    def score(request: ClaimsToScore) -> dict[str, Any]:
        """Score claims; the answer keeps their order, and `rank` 1 is the riskiest."""
        live = scorer.model(request.dataset)
        frame, ignored = frame_of_claims(request.claims, live.predictor.inputs.columns)
        probabilities = _score(live, frame)
        scores: list[dict[str, Any]] = [
            {"claim_id": claim.get("claim_id"), "probability": probability, "rank": rank}
            for claim, probability, rank in zip(request.claims, probabilities, ranks(probabilities), strict=True)
        ]
        if request.reasons and len(frame) > MOST_EXPLAINED:
            raise BadInput(
                "reasons are told of fewer claims in one request",
                expected=f"at most {MOST_EXPLAINED}",
                arrived=str(len(frame)),
                next_step="ask for the riskiest ones again, or use `fraud-ml score`",
            )
        if request.reasons:
            for one, why in zip(scores, live.predictor.reasons(frame, request.reasons), strict=True):
                one["reasons"] = why
        return {
            "dataset": live.deployment.dataset,
            "model_version": live.deployment.version,
            "candidate_digest": live.deployment.candidate.digest,
            "scores": scores,
            "ignored": ignored,
        }

    def _score(live: LiveModel, frame: Any) -> list[float]:
        probabilities: list[float] = live.predictor.predict(frame).tolist()
        metrics.claims.add(len(probabilities), dataset=live.deployment.dataset)
        logbook.note(live, frame)
        return probabilities

    return app


def _dataset(model: str, named: Any) -> str | None:
    """Return the dataset that the address, or else the request, names; None where neither does."""
    if model.startswith(f"{MODEL}-"):
        return model.removeprefix(f"{MODEL}-")
    if model != MODEL:
        raise NotLive("there is no model of that name", expected=f"{MODEL}, or {MODEL}-<dataset>")
    return named if isinstance(named, str) else None


def _describe(model: str, live: LiveModel) -> dict[str, Any]:
    return {
        "name": model,
        "versions": [live.deployment.version],
        "platform": f"fraud_ml_{live.deployment.candidate.family}",
        "inputs": [
            {"name": column.name, "datatype": "BYTES" if column.is_category else "FP64", "shape": [-1]}
            for column in live.predictor.inputs.columns
        ],
        "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
        "parameters": {
            "dataset": live.deployment.dataset,
            "candidate_digest": live.deployment.candidate.digest,
            "as_of": live.deployment.candidate.as_of,
            "since": live.deployment.since,
        },
    }


def _explain_errors(app: FastAPI) -> None:
    """Answer every error as {"error": sentence}; FastAPI's own answers would repeat what was sent."""

    @app.exception_handler(FraudMLError)
    def ours(_: Request, error: FraudMLError) -> JSONResponse:
        status = 404 if isinstance(error, NotLive) else 422 if isinstance(error, Rejected) else 503
        facts = {name: error.facts[name] for name in ("column", "position") if name in error.facts}
        return JSONResponse({"error": str(error), **facts}, status)

    @app.exception_handler(RequestValidationError)
    def misshapen(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _version() -> str:
    try:
        return version("fraud-ml")
    except PackageNotFoundError:
        return "0"
