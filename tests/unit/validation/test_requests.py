"""Requests that differ from the claims that are learned from are found and named; those that do not are left alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from benchmarks.corpus.asking import QUARTER, claims_of, inputs_of, newest_claims, record_of
from benchmarks.corpus.landing import history, land
from benchmarks.corpus.scenes import Scene, as_csv, scene, shared_data
from fraud_ml.artifacts import Decision, Outcome, Severity
from fraud_ml.contract import Checks, KnownChange
from fraud_ml.models.inputs import Inputs
from fraud_ml.validation.evidence import ENOUGH_ASKED, Evidence
from fraud_ml.validation.profile import Profile
from fraud_ml.validation.profiling import profile_months
from fraud_ml.validation.report import write_report
from fraud_ml.validation.rules import OF_REQUESTS, RULES
from fraud_ml.validation.served import Served, merge_served
from fraud_ml.validation.verdict import judge

DATASETS = ("carclaims", "handbook", "motor")


@dataclass(frozen=True)
class Place:
    """A scene's claims, their months, and the columns of a model that learned from the older ones."""

    scene: Scene
    claims: pd.DataFrame
    months: dict[str, Profile]
    inputs: Inputs

    def newest(self, rows: int, draw: int) -> pd.DataFrame:
        return newest_claims(self.claims, self.scene.as_of, rows, draw)

    def asked(self, frame: pd.DataFrame, *, last: date | None = None) -> Served:
        return record_of(self.scene.line.dataset, frame, self.inputs, last or self.scene.as_of)

    def broken(self, served: Served | None, **contract: object) -> list[tuple[str, str | None, str]]:
        evidence = Evidence(self.scene.contract.model_copy(update=contract), self.scene.as_of, self.months, {}, served)
        rules = [rule for rule in RULES if rule.code in OF_REQUESTS]
        return [(rule.code, one.column, one.arrived) for rule in rules for one in rule.judge(evidence)]


@cache
def place(dataset: str, seed: int = 0) -> Place:
    if dataset != "motor" and not shared_data().is_dir():
        pytest.skip("the public data is not there")
    made = scene(dataset, seed)
    claims = claims_of(dataset, seed)
    return Place(made, claims, dict(profile_months(claims, made.contract, ()).months), inputs_of(dataset, seed))


# --- what is left alone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(7))
@pytest.mark.parametrize("dataset", DATASETS)
def test_requests_about_claims_like_the_newest_break_no_rule(dataset: str, seed: int) -> None:
    here = place(dataset, seed)
    for draw, rows in enumerate((ENOUGH_ASKED, 1_000, 5_000)):
        assert here.broken(here.asked(here.newest(rows, 10 * seed + draw))) == []


@pytest.mark.parametrize("seed", range(3))
def test_claims_as_they_were_first_notified_break_no_rule(seed: int) -> None:
    """Callers ask with a claim's first row, and on the day of its notice; the snapshot has its last, by accident."""
    here = place("motor", seed)
    made = here.scene
    rows = pd.concat([one.to_pandas() for one in (history("motor", seed), land(made, as_csv(made.arriving)))])
    first = rows.sort_values("recorded_at", kind="stable").drop_duplicates("claim_id")
    since = pd.Timestamp(made.as_of - QUARTER, tz=first["recorded_at"].dt.tz)
    asked = first[first["recorded_at"] > since].reset_index(drop=True)
    assert len(asked) > 500
    assert here.broken(here.asked(asked)) == []


def test_what_few_claims_tell_is_not_compared() -> None:
    here = place("motor")
    frame = here.newest(ENOUGH_ASKED, 1).assign(region=None)
    assert [code for code, *_ in here.broken(here.asked(frame))] == ["DATA191"]
    assert here.broken(here.asked(frame[1:])) == []


def test_where_nothing_was_asked_no_rule_is_broken() -> None:
    here = place("motor")
    assert here.broken(None) == here.broken(merge_served("motor", [])) == []


# --- what is found --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skew:
    """How requests differ in one column; the rule of that code, and no other, tells it."""

    code: str
    dataset: str
    column: str
    change: Callable[[pd.Series], object]
    rows: int = 1_000

    def __str__(self) -> str:
        return f"{self.code}-{self.dataset}-{self.column}-{self.rows}"


def instead(share: float, value: object) -> Callable[[pd.Series], pd.Series]:
    return lambda values: values.mask(np.random.default_rng(4).random(len(values)) < share, value)


def without(values: pd.Series, word: str) -> pd.Series:
    """Return the values as if nobody had ever meant that word."""
    others = values[values != word].sample(len(values), replace=True, random_state=4)
    return values.mask(values == word, pd.Series(others.to_numpy(), index=values.index))


def usual(values: pd.Series, *, place: int = 0) -> str:
    return str(values.value_counts().index[place])


SKEWS = (
    Skew("DATA191", "motor", "region", lambda v: None, ENOUGH_ASKED),
    Skew("DATA191", "motor", "claim_amount_eur", instead(0.05, None)),
    Skew("DATA191", "carclaims", "Make", instead(0.04, None)),
    Skew("DATA191", "carclaims", "Age", instead(0.10, 0.0)),  # 0 means not known
    Skew("DATA191", "handbook", "TX_AMOUNT", instead(0.03, None), 5_000),
    Skew("DATA192", "motor", "vehicle_make", lambda v: v.str.upper(), ENOUGH_ASKED),
    Skew("DATA192", "motor", "vehicle_make", lambda v: v.replace(usual(v, place=3), "volta s.p.a."), 5_000),
    Skew("DATA192", "motor", "sex", lambda v: v.map({"female": "f", "male": "m"})),
    Skew("DATA192", "carclaims", "Make", lambda v: v.replace(usual(v), f" {usual(v)}")),
    Skew("DATA192", "carclaims", "VehiclePrice", instead(0.02, "n/a")),
    Skew("DATA192", "motor", "region", lambda v: without(v, usual(v))),
    Skew("DATA193", "carclaims", "VehiclePrice", lambda v: instead(0.3, usual(v))(v)),
    Skew("DATA193", "motor", "region", lambda v: instead(0.3, usual(v))(v)),
    Skew("DATA193", "motor", "police_report", instead(0.2, "yes")),
    Skew("DATA193", "carclaims", "PoliceReportFiled", instead(0.04, "Yes"), 5_000),
    Skew("DATA194", "carclaims", "Age", lambda v: v * 1.2),
    Skew("DATA194", "motor", "driver_age_years", instead(0.1, 0.0)),
    Skew("DATA194", "motor", "claim_amount_eur", lambda v: v * 1.5, 5_000),
    Skew("DATA194", "motor", "claim_amount_eur", lambda v: -v),
    Skew("DATA194", "motor", "vehicle_value_eur", lambda v: v * 1.2, 5_000),  # with value added tax
    Skew("DATA194", "handbook", "TX_AMOUNT", lambda v: v * 1.2, 5_000),
    Skew("DATA194", "handbook", "TX_AMOUNT", instead(0.1, 1.0)),
    Skew("DATA195", "motor", "claim_amount_eur", lambda v: v * 100),
    Skew("DATA195", "motor", "vehicle_value_eur", lambda v: v / 1_000),
    Skew("DATA195", "motor", "driver_age_years", lambda v: v * 12, ENOUGH_ASKED),
    Skew("DATA195", "handbook", "TX_AMOUNT", lambda v: v * 100, ENOUGH_ASKED),
    Skew("DATA195", "handbook", "TX_AMOUNT", lambda v: v / 100),
)


@pytest.mark.parametrize("skew", SKEWS, ids=str)
def test_a_skew_is_told_by_its_rule_alone_and_without_that_rule_by_nobody(skew: Skew) -> None:
    here = place(skew.dataset)
    frame = here.newest(skew.rows, 3)
    frame[skew.column] = skew.change(frame[skew.column])
    assert {(code, column) for code, column, _ in here.broken(here.asked(frame))} == {(skew.code, skew.column)}


def test_no_word_and_no_number_of_a_request_is_told() -> None:
    here = place("motor")
    frame = here.newest(2_000, 3)
    words = {str(word) for column in here.inputs.categories for word in frame[column.name].dropna().unique()}
    frame["vehicle_make"] = frame["vehicle_make"].replace(usual(frame["vehicle_make"]), "KANARIENVOGEL")
    frame["region"] = instead(0.5, usual(frame["region"]))(frame["region"])
    frame["driver_age_years"] = instead(0.3, 123_457.0)(frame["driver_age_years"])
    told = here.broken(here.asked(frame))
    assert {code for code, *_ in told} == {"DATA192", "DATA193", "DATA194"}
    for *_, arrived in told:
        assert not {"KANARIENVOGEL", "123", *words} & {part.strip(",;()%") for part in arrived.split()}
        assert "KANARIENVOGEL" not in arrived
        assert "123457" not in arrived.replace(",", "")


# --- what is compared with what -------------------------------------------------------------------------------------


def test_requests_are_held_against_the_claims_of_their_own_months() -> None:
    """Amounts rose in the last quarter, and callers send them so: then nothing differs."""
    here = place("motor")
    claims, made = here.claims.copy(), here.scene
    first = pd.Timestamp((made.as_of - QUARTER).replace(day=1))
    claims.loc[claims["event_time"] >= first, "claim_amount_eur"] *= 3
    there = replace(here, claims=claims, months=dict(profile_months(claims, made.contract, ()).months))
    assert there.broken(there.asked(there.newest(2_000, 1))) == []
    told = there.broken(there.asked(here.newest(2_000, 1)))  # as before the rise
    assert [(code, column) for code, column, _ in told] == [("DATA195", "claim_amount_eur")]


def test_where_these_months_have_no_claims_the_newest_year_is_compared() -> None:
    here = place("motor")
    frame = here.newest(1_000, 1).assign(region=None)
    later = here.scene.as_of + timedelta(days=200)
    assert [code for code, *_ in here.broken(here.asked(frame, last=later))] == ["DATA191"]
    assert here.broken(here.asked(here.newest(1_000, 1), last=later)) == []


def test_a_word_that_is_new_to_claims_and_callers_alike_is_no_skew() -> None:
    here = place("motor")
    made, claims = here.scene, here.claims.copy()
    recent = claims["event_time"] >= pd.Timestamp((made.as_of - QUARTER).replace(day=1))
    claims.loc[recent, "region"] = instead(0.2, "centre")(claims.loc[recent, "region"])
    there = replace(here, claims=claims, months=dict(profile_months(claims, made.contract, ()).months))
    assert "centre" not in there.inputs.columns[0].vocabulary
    assert there.broken(there.asked(there.newest(2_000, 1))) == []
    assert [code for code, *_ in there.broken(there.asked(here.newest(2_000, 1)))] == ["DATA192"]  # never sent


def test_a_column_is_not_compared_while_requests_reach_behind_its_known_change() -> None:
    here = place("motor")
    served = here.asked(here.newest(1_000, 1).assign(region=None))
    as_of = here.scene.as_of

    def known(since: date) -> list[str]:
        change = KnownChange(column="region", since=since, why="other regions")
        return [code for code, *_ in here.broken(served, checks=Checks(known_changes=(change,)))]

    assert known(as_of - timedelta(days=40)) == []
    assert known(as_of - timedelta(days=89)) == ["DATA191"]


def test_what_claims_lack_and_callers_send_is_told_unless_people_may_be_erased() -> None:
    here = place("motor")
    made, claims = here.scene, here.claims.copy()
    dice = np.random.default_rng(4).random(len(claims))
    claims.loc[dice < 0.1, ["region", "driver_age_years"]] = None
    there = replace(here, claims=claims, months=dict(profile_months(claims, made.contract, ()).months))
    served = there.asked(here.newest(2_000, 1))
    assert made.contract.erasure is not None
    assert [(code, column) for code, column, _ in there.broken(served)] == [("DATA191", "region")]
    told = there.broken(served, erasure=None)
    assert {(code, column) for code, column, _ in told} == {("DATA191", "region"), ("DATA191", "driver_age_years")}


def test_a_column_that_the_table_lacks_or_reads_otherwise_is_left_out() -> None:
    here = place("motor")
    served = here.asked(here.newest(1_000, 1).assign(region=None, sex=None))
    columns = dict(served.columns)
    columns["network_ring_score"] = columns.pop("region")
    columns["sex"] = replace(columns["sex"], kind=columns["driver_age_years"].kind)
    assert here.broken(replace(served, columns=columns)) == []


# --- in the verdict -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(params):
    """Return a function: the judgement on the scene's claims, of which some were asked about."""
    here = place("motor")

    def give(served, *, checks=None, without=()):
        contract = here.scene.contract
        if checks:
            contract = contract.model_copy(update={"checks": contract.checks.model_copy(update=checks)})
        return judge(
            here.claims,
            contract,
            params,
            rules=here.scene.rules,
            as_of=here.scene.as_of,
            subject_digest="ab" * 32,
            tfdv_python=None,
            without=without,
            served=served,
        )

    return give


def _of_requests(judgement):
    return {(f.code, f.column, f.severity, f.outcome) for f in judgement.verdict.findings if f.code in OF_REQUESTS} - {
        (code, None, Severity.WARN, Outcome.PASSED) for code in OF_REQUESTS
    }


def test_the_verdict_warns_and_the_contract_may_stop_or_silence(judged, tmp_path):
    here = place("motor")
    served = here.asked(here.newest(1_000, 1).assign(region=None))
    plain, judgement = judged(None), judged(served)
    assert {f.arrived for f in plain.verdict.findings if f.code in OF_REQUESTS} == {"no request on record"}
    assert plain.verdict.decision is judgement.verdict.decision is Decision.ACCEPTED
    assert _of_requests(judgement) == {("DATA191", "region", Severity.WARN, Outcome.FAILED)}
    others = [[f for f in one.verdict.findings if f.code not in OF_REQUESTS] for one in (plain, judgement)]
    assert others[0] == others[1]
    [drawing] = [one for one in judgement.drawings if one.month == "requests"]
    assert (drawing.column, drawing.codes, drawing.rows) == ("region", ("DATA191",), 1_000)
    assert [(bar.label, bar.now) for bar in drawing.bars if bar.now] == [("missing", 1.0)]
    assert sum(bar.before for bar in drawing.bars) == pytest.approx(1)
    write_report(tmp_path, judgement, title="Motor", dataset="motor", as_of=f"{here.scene.as_of}")
    assert "<strong>region</strong> in requests (DATA191)" in (tmp_path / "index.html").read_text(encoding="utf-8")
    raised = judged(served, checks={"severity": {"DATA191": "stop"}})
    assert [f.code for f in raised.verdict.stopping] == ["DATA191"]
    assert not _of_requests(judged(served, without={"DATA191"}))
    off = judged(served, checks={"off": {"DATA191": "callers do not know the region"}})
    assert [f.column for f in off.verdict.findings if f.code == "DATA191"] == [None]
    assert off.verdict.is_accepted


def test_a_finding_says_what_to_do(judged):
    here = place("motor")
    frame = here.newest(1_000, 1)
    frame["claim_amount_eur"] *= 100
    [finding] = [f for f in judged(here.asked(frame)).verdict.findings if f.code == "DATA195" and f.column]
    assert finding.column == "claim_amount_eur"
    assert "all quartiles are about" in finding.arrived
    assert "callers" in finding.next_step
    [few] = {f.arrived for f in judged(here.asked(frame[:50])).verdict.findings if f.code in OF_REQUESTS}
    assert few == "fewer than 200 claims asked about: too few to compare"
