"""From a request to the verdict: a scorer counts it, the store holds it, a run pins it, and the column is named."""

import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from fraud_ml.artifacts import Champion, Outcome, Severity, Verdict, Workspace, canonical_json
from fraud_ml.contract import Kind, load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import freeze
from fraud_ml.errors import Tampered, Unavailable
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.params import load_params
from fraud_ml.promotion.opening import ACTOR, Opening, open_run
from fraud_ml.promotion.pinning import pin_inputs
from fraud_ml.promotion.served_requests import SERVED_DAYS, pin_served
from fraud_ml.serving.shelf import Shelf
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.validation import judge_snapshot
from fraud_ml.validation.served import Served, ServedColumn, read_served, served_of
from tests.empty_ledger import empty_ledger
from tests.integration.test_serving import RunningScorer, wait_for
from tests.tampering import flipped
from tests.toy_models import deployment_of, export_forest, put_on_shelf

pytestmark = pytest.mark.stack

AS_OF = date(2026, 3, 31)
CANARY = "KANARIENVOGEL"


@pytest.fixture
def place(s3_settings: Settings, postgres_settings: Settings, tmp_path: Path) -> Settings:
    """A place whose ledger and claim log are empty."""
    own = uuid.uuid4().hex[:8]
    values = {
        **os.environ,
        **postgres_settings.values,
        **s3_settings.values,
        "FRAUD_ML_HOME": str(tmp_path),
        "FRAUD_ML_LEDGER_URL": empty_ledger(postgres_settings),
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
        "FRAUD_ML_APPROVERS": str(tmp_path / "approvers.json"),
    }
    return Settings(home=tmp_path, values=values)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path / "checkout")
    found.root.mkdir()
    found.expectations.symlink_to(PROJECT / "expectations")
    found.params.symlink_to(PROJECT / "params.yaml")
    return found


def of_day(day: date, claims: int = 30, *, dataset: str = "motor") -> Served:
    columns = {"region": ServedColumn(Kind.CATEGORY, claims, claims, {"north": claims - 5, "south": 5})}
    return Served(dataset, (f"{day}",), claims, columns).sealed()


Put = Callable[..., str]


@pytest.fixture
def put(place: Settings) -> Put:
    """Leave a day's record where a scorer does."""

    def act(day: date, served: Served | None = None, *, scorer: str = "scorer-1-ab", dataset: str = "motor") -> str:
        url = f"{place.served_url}/{dataset}/{day}/{scorer}.json"
        ObjectStore(place).write(url, canonical_json(served or of_day(day, dataset=dataset)))
        return url

    return act


def opened(place: Settings, run_key: str = "run1") -> Opening:
    return open_run(place, dataset="motor", version=f"{AS_OF}", as_of=AS_OF, run_key=run_key)


def pinned(place: Settings, workspace: Workspace, run_key: str = "run1") -> Served:
    return pin_served(place, workspace, "motor", opened(place, run_key).served)


def away(place: Settings) -> Settings:
    return replace(place, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})


# --- pinning --------------------------------------------------------------------------------------------------------


def test_the_days_up_to_the_date_are_added_over_scorers_and_no_other_is(
    place: Settings, workspace: Workspace, put: Put
) -> None:
    first = AS_OF - timedelta(days=SERVED_DAYS - 1)
    for day in (first - timedelta(days=1), first, AS_OF, AS_OF + timedelta(days=1)):
        put(day)
    put(AS_OF, scorer="scorer-2-cd")
    put(AS_OF, dataset="motorcycles")
    served = pinned(place, workspace)
    assert (served.dataset, served.days, served.claims) == ("motor", (f"{first}", f"{AS_OF}"), 90)
    assert served.columns["region"].counts == {"north": 75, "south": 15}
    assert read_served(workspace.served) == served


def test_a_run_opened_before_gets_the_same_bytes_whatever_was_asked_since(
    place: Settings, workspace: Workspace, put: Put, tmp_path: Path
) -> None:
    url = put(AS_OF)
    first = pinned(place, workspace)
    content = workspace.served.read_bytes()
    put(AS_OF, of_day(AS_OF, 500))  # the day went on
    put(AS_OF - timedelta(days=3))  # and a scorer found its store again
    other = Workspace(tmp_path / "other")
    assert pinned(place, other) == first
    assert other.served.read_bytes() == content
    assert pinned(place, other, "run2").claims == 530
    ObjectStore(place).write(url, b"damaged since")
    workspace.served.write_bytes(b"touched")
    assert pinned(place, workspace) == first
    assert workspace.served.read_bytes() == content


def test_pinning_again_asks_the_store_for_nothing_and_touches_nothing(
    place: Settings, workspace: Workspace, put: Put
) -> None:
    put(AS_OF)
    pinned(place, workspace)
    before = workspace.served.stat()
    pinned(away(place), workspace)
    after = workspace.served.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_where_nothing_was_asked_that_is_pinned(place: Settings, workspace: Workspace) -> None:
    served = pinned(place, workspace)
    assert (served.claims, served.days, served.columns) == (0, (), {})
    assert read_served(workspace.served) == served
    assert opened(away(place)).served is None


def test_a_run_of_a_ledger_that_knew_of_no_requests_has_none(place: Settings, workspace: Workspace, put: Put) -> None:
    put(AS_OF)
    body = {"as_of": f"{AS_OF}", "champion": vars(Champion())}
    Ledger(place.ledger_url).append(
        EntryKind.RUN_OPENED, dataset="motor", subject="run1", actor=ACTOR, body=body, once=True
    )
    assert pinned(place, workspace).claims == 0


def test_a_damaged_day_is_named_and_no_run_is_opened(place: Settings, put: Put) -> None:
    url = put(AS_OF)
    store = ObjectStore(place)
    store.write(url, flipped(store.read(url)))
    with pytest.raises(Tampered, match=f"{AS_OF}/scorer-1-ab.json is not the record"):
        opened(place)
    put(AS_OF, of_day(AS_OF - timedelta(days=1)))
    with pytest.raises(Tampered, match="another day"):
        opened(place)
    assert not Ledger(place.ledger_url).find(kind=EntryKind.RUN_OPENED)


def test_another_record_under_a_runs_digest_is_named(place: Settings, workspace: Workspace, put: Put) -> None:
    put(AS_OF)
    digest = opened(place).served
    url = f"{place.served_url}/motor/pinned/{digest}.json"
    store = ObjectStore(place)
    whole = store.read(url)
    assert served_of(whole, url).digest == digest
    for content in (flipped(whole), canonical_json(of_day(AS_OF, 31))):
        store.write(url, content)
        with pytest.raises(Tampered, match=f"{digest}.json"):
            pinned(place, workspace)
    assert not workspace.served.exists()


def test_a_store_that_is_away_is_unavailable_and_opens_no_run(place: Settings) -> None:
    with pytest.raises(Unavailable):
        opened(away(place))
    assert not Ledger(place.ledger_url).find(kind=EntryKind.RUN_OPENED)


def test_a_restated_snapshot_is_held_against_the_requests_of_its_date(
    place: Settings, workspace: Workspace, put: Put, tmp_path: Path
) -> None:
    begin, end = AS_OF - timedelta(days=200), AS_OF - timedelta(days=30)
    for seed in (1, 2):
        claims = tmp_path / f"claims-{seed}.parquet"
        write_rows(simulate("motor", claims=60, seed=seed, begin=begin, end=end), claims)
        contract = load_contract("motor", PROJECT / "expectations")
        land(place, contract, claims)
        freeze(place, contract, AS_OF)
    put(AS_OF)
    for version in (f"{AS_OF}", f"{AS_OF}.r2"):
        told = pin_inputs(place, workspace, dataset="motor", as_of=version, code_rev="f" * 40)
        assert (told.as_of, told.served_claims) == (version, 30)


# --- the whole way --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_column_that_callers_never_send_is_named_by_the_verdict(
    place: Settings,
    workspace: Workspace,
    tmp_path: Path,
    tfdv_stand_in: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    today = datetime.now(UTC).date()
    contract = load_contract("motor", PROJECT / "expectations")
    claims = tmp_path / "claims.parquet"
    write_rows(simulate("motor", claims=2_000, seed=5, begin=today - timedelta(days=730), end=today), claims)
    land(place, contract, claims)
    freeze(place, contract, today)

    model = tmp_path / "model"
    manifest = export_forest(model)
    put_on_shelf(place.scorer_home, model, manifest)
    Shelf(place.scorer_home, place).write(deployment_of(manifest, model_uri="s3://mlflow/x/model"))
    scorer = RunningScorer(place, f"t-{uuid.uuid4().hex[:12]}").start(RABBITMQ_URL=None)
    try:
        wait_for(lambda: scorer.get("/v2/health/ready") == 200)
        asked = [{"fault": CANARY, "age_years": 40, "amount_eur": 100.0}] * 150
        assert scorer.score(*asked).status_code == 200
        scorer.end(signal.SIGTERM)  # what it counted is written and sent
        scorer.start(RABBITMQ_URL=None)
        wait_for(lambda: scorer.get("/v2/health/ready") == 200)
        assert scorer.score(*asked).status_code == 200
        scorer.end(signal.SIGTERM)
    finally:
        scorer.end(signal.SIGKILL)
    store = ObjectStore(place)
    [url] = store.below(f"{place.served_url}/motor/{today}/{scorer.name}-")
    served = served_of(store.read(url), url)
    assert (served.claims, served.columns["region"].known) == (300, 0)
    assert not list(place.scorer_home.rglob("*.unsent"))
    assert CANARY.encode() not in store.read(url)
    assert CANARY not in scorer.log.read_text()

    told = pin_inputs(place, workspace, dataset="motor", as_of=f"{today}", code_rev="f" * 40)
    assert told.served_claims == 300
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path))
    monkeypatch.setenv("FRAUD_ML_TFDV_PYTHON", str(tfdv_stand_in("exit 1")))

    def found(verdict: Verdict) -> set[tuple[str, str | None, Severity]]:
        failed = [f for f in verdict.findings if f.outcome is Outcome.FAILED and f.code.startswith("DATA19")]
        return {(f.code, f.column, f.severity) for f in failed}

    params = load_params(workspace.params).validation
    assert ("DATA191", "region", Severity.WARN) in found(judge_snapshot(workspace, params))
    alone = pin_inputs(place, workspace, dataset="motor", as_of=f"{today}", code_rev="f" * 40, with_champion=False)
    assert (alone.served_claims, read_served(workspace.served).claims) == (0, 0)
    assert found(judge_snapshot(workspace, params)) == set()
    workspace.served.unlink()
    with pytest.raises(Unavailable, match="pin it again"):
        judge_snapshot(workspace, params)
