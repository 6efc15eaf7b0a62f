"""Rules that months suggest: Great Expectations passes them on those months, and they name the months that were bad."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_ml.artifacts import Outcome, Severity
from fraud_ml.contract import Contract
from fraud_ml.errors import BadInput
from fraud_ml.validation.expectations import judge_expectations
from fraud_ml.validation.partition import judge_months, read_judges
from fraud_ml.validation.rulebook import check_rules
from fraud_ml.validation.suggesting import Suggestion, suggest, write_suggestion
from fraud_ml.validation.suite import Suite, read_suite
from tests.toy_claims import CONTRACT, toy_claims

AS_OF = date(2025, 3, 31)
PERSONAL, RARE = "Ada Lovelace", "blue moon"
STOP = {"severity": "stop", "next_step": "look"}


def expectation(code: str, kind: str, kwargs: dict[str, object], **meta: object) -> dict[str, object]:
    return {"type": kind, "kwargs": kwargs, "meta": {"code": code, "title": "a rule", **STOP, **meta}}


SUITE = [
    expectation("GX001", "expect_table_row_count_to_be_between", {"min_value": 10}),
    expectation("GX101", "expect_column_values_to_not_be_null", {"column": "fault", "mostly": 0.9}),
    expectation(
        "GX201",
        "expect_column_values_to_be_in_set",
        {"column": "garage", "value_set": ["north", "south"], "mostly": 0.9},
    ),
    expectation(
        "GX301", "expect_column_values_to_be_between", {"column": "age_years", "min_value": 0, "max_value": 500}
    ),
    expectation("GX302", "expect_column_values_to_match_regex", {"column": "claim", "regex": "c"}),
    expectation(
        "GX501", "expect_column_values_to_be_between", {"column": "amount_eur", "min_value": 0}, severity="quarantine"
    ),
]


@pytest.fixture
def contract() -> Contract:
    witness = {"name": "witness", "kind": "category", "role": "feature", "personal": True}
    return Contract.model_validate({**CONTRACT, "columns": [*CONTRACT["columns"], witness]}, strict=False)


@pytest.fixture
def claims() -> pd.DataFrame:
    """Two years of claims; a personal column of one frequent name, and a word in less than twenty claims."""
    found = toy_claims(rows=4800).assign(witness=PERSONAL)
    found.loc[found.index[::300], "garage"] = RARE
    return found.drop(columns=["happened"]).assign(happened=found["event_time"])


@pytest.fixture
def rules(tmp_path: Path, contract: Contract) -> Path:
    """The toy line of business's folder of rules, which `expectations check` accepts."""
    folder = tmp_path / "expectations" / "toy"
    folder.mkdir(parents=True)
    content = contract.model_dump(mode="json", exclude_defaults=True)
    (folder / "contract.yaml").write_text(yaml.safe_dump(content))
    lines = ",\n".join(f"    {json.dumps(one)}" for one in SUITE)
    (folder / "suite.json").write_text(
        f'{{\n  "name": "toy",\n  "expectations": [\n{lines}\n  ],\n  "note":  "ours"\n}}\n'
    )
    (folder / "schema.pbtxt").write_text("# ours\n" + "".join(map(_feature, contract.columns)) + _DOMAIN)
    assert check_rules("toy", folder.parent) == []
    return folder


_DOMAIN = 'string_domain {\n  name: "garage"\n  value: "north"  # up\n  value: "south"\n}\n'


def _feature(column: object) -> str:
    kind = "BYTES" if column.kind == "category" else "FLOAT"
    share = "1.0" if column.role == "key" else "0.5"
    domain = '  domain: "garage"\n' if column.name == "garage" else ""
    return (
        f'feature {{\n  name: "{column.name}"\n  type: {kind}\n{domain}'
        f"  presence {{ min_fraction: {share} min_count: 1 }}  # ours\n}}\n"
    )


def suggested(claims: pd.DataFrame, contract: Contract, rules: Path, **options: object) -> Suggestion:
    judges = read_judges(contract, rules)
    summaries = [one.summary for one in judge_months(claims.reset_index(drop=True), judges, AS_OF)]
    return suggest(summaries, judges, AS_OF, **options)


def text_of(found: Suggestion, name: str) -> str:
    return next(one.after for one in found.files if one.path.name == name)


def rule_of(found: Suggestion, code: str) -> object:
    return next(one for one in found.rules if one.rule == code)


def months_of(claims: pd.DataFrame) -> pd.Series:
    return claims["event_time"].dt.strftime("%Y-%m")


def test_the_suggested_suite_is_loaded_and_passed_by_great_expectations_on_the_months_it_was_learned_from(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    found = suggested(claims, contract, rules)
    write_suggestion(found, rules)
    assert check_rules("toy", rules.parent) == []
    suite = read_suite(rules / "suite.json", contract)
    assert len(suite.rules) > len(SUITE) + 12

    for month, rows in claims.groupby(months_of(claims)):
        asked = [rule for rule in suite.rules if not rule.of or int(month[5:]) in rule.of]
        content = {**suite.content, "expectations": [suite.content["expectations"][rule.index] for rule in asked]}
        part = Suite(suite.path, content, tuple(asked))
        judged = judge_expectations(rows.reset_index(drop=True), part, as_of=AS_OF)
        assert month in found.learned
        assert {one.outcome for one in judged.findings} == {Outcome.PASSED}, month


def test_a_planted_month_is_named_and_not_learned_from(claims: pd.DataFrame, contract: Contract, rules: Path) -> None:
    march = claims["event_time"].dt.strftime("%Y-%m") == "2024-03"
    claims.loc[march & (np.arange(len(claims)) % 5 == 0), "fault"] = None
    found = rule_of(suggested(claims, contract, rules), "GX101")

    assert found.changes["mostly"][0] == 0.9
    assert found.changes["mostly"][1] > 0.95
    assert found.broken == ("2024-03",)
    assert found.unusual == ("2024-03",)
    assert found.tried == 24
    assert found.breaks_snapshot is False


def test_a_month_outside_the_given_time_is_tried_but_not_learned_from(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    later = claims["event_time"] >= "2024-01-01"
    claims.loc[later & (np.arange(len(claims)) % 5 == 0), "fault"] = None
    found = suggested(claims, contract, rules, end=date(2023, 12, 31))

    assert found.learned == tuple(f"2023-{month:02d}" for month in range(1, 13))
    of_schema = next(one for one in found.rules if one.file == "schema.pbtxt" and one.rule == "fault")
    assert of_schema.broken == tuple(f"2024-{month:02d}" for month in range(1, 13))
    volumes = [one for one in found.rules if one.title.startswith("A month brings")]
    assert len(volumes) == 1  # a single year has no season


def test_a_month_of_half_the_claims_breaks_the_volume_of_its_season(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    more = [claims.assign(event_time=claims["event_time"] - pd.DateOffset(years=years)) for years in (2, 4)]
    longer = pd.concat([claims, *more], ignore_index=True)
    longer["claim"] = [f"c{number:06d}" for number in range(len(longer))]
    december = (months_of(longer) == "2023-12") & (np.arange(len(longer)) % 3 != 0)
    found = suggested(longer[~december], contract, rules)
    rule = next(one for one in found.rules if one.title.startswith("Month 12 "))

    assert rule.each_month
    assert rule.broken == ("2023-12",)
    assert rule.unusual == ("2023-12",)
    assert rule.tried == 6


def test_a_rule_of_each_month_stops_what_was_planted_when_it_is_judged(
    claims: pd.DataFrame, contract: Contract, rules: Path, params: object
) -> None:
    from fraud_ml.validation.verdict import judge

    write_suggestion(suggested(claims, contract, rules, severity=Severity.STOP), rules)
    suite = read_suite(rules / "suite.json", contract)
    code = next(rule.code for rule in suite.rules if rule.title == "garage is north as often as ever")

    def outcome() -> object:
        found = judge(claims, contract, params, rules=rules, as_of=AS_OF, subject_digest="ab" * 32, tfdv_python=None)
        return next(one for one in found.verdict.findings if one.code == code)

    assert outcome().outcome is Outcome.PASSED
    claims.loc[(months_of(claims) == "2024-07") & (claims["garage"] == "north"), "garage"] = "south"
    broken = outcome()
    assert broken.outcome is Outcome.FAILED
    assert "1 of 24 months; 2024-07" in broken.arrived


def test_a_rule_of_each_month_is_not_asked_of_a_month_whose_claims_still_arrive(
    claims: pd.DataFrame, contract: Contract, rules: Path, params: object
) -> None:
    from fraud_ml.validation.verdict import judge

    write_suggestion(suggested(claims, contract, rules), rules)
    claims.loc[(months_of(claims) == "2024-12") & (claims["garage"] == "north"), "garage"] = "south"
    code = next(
        rule.code
        for rule in read_suite(rules / "suite.json", contract).rules
        if rule.title == "garage is north as often as ever"
    )
    for as_of, outcome in ((date(2025, 1, 27), Outcome.PASSED), (date(2025, 1, 28), Outcome.FAILED)):
        found = judge(claims, contract, params, rules=rules, as_of=as_of, subject_digest="ab" * 32, tfdv_python=None)
        assert next(one for one in found.verdict.findings if one.code == code).outcome is outcome


def test_a_limit_that_the_accepted_claims_break_is_loosened_and_one_that_they_keep_never_is(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    suite = json.loads((rules / "suite.json").read_text())
    too_tight = {"column": "age_years", "mostly": 0.95}  # a tenth of the ages is unknown
    suite["expectations"].append(expectation("GX102", "expect_column_values_to_not_be_null", too_tight))
    loose = {"column": "address change", "mostly": 0.899}  # what single months fall below, and all together do not
    suite["expectations"].append(expectation("GX103", "expect_column_values_to_not_be_null", loose))
    (rules / "suite.json").write_text(json.dumps(suite))
    claims["address change"] = np.where(np.arange(len(claims)) % 10, "none", None)
    found = suggested(claims, contract, rules)

    old, new = rule_of(found, "GX102").changes["mostly"]
    assert old == 0.95
    assert 0.7 < new < 0.9
    assert rule_of(found, "GX102").breaks_snapshot is False
    assert "GX103" not in {one.rule for one in found.rules}


def test_personal_values_and_rare_words_get_into_no_rule(claims: pd.DataFrame, contract: Contract, rules: Path) -> None:
    assert 0 < (claims["garage"] == RARE).sum() < 20
    found = suggested(claims, contract, rules)
    told = text_of(found, "suite.json") + text_of(found, "schema.pbtxt") + found.diff + repr(found.rules)
    assert PERSONAL not in told
    assert RARE not in told

    claims.loc[claims.index[::100], "garage"] = RARE
    assert RARE in suggested(claims, contract, rules).diff
    plain = contract.model_copy(
        update={"columns": tuple(one.model_copy(update={"personal": False}) for one in contract.columns)}
    )
    assert PERSONAL in suggested(claims, plain, rules).diff


def test_what_people_wrote_stays_byte_by_byte(claims: pd.DataFrame, contract: Contract, rules: Path) -> None:
    found = suggested(claims, contract, rules)
    before, after = ((rules / "suite.json").read_text(), text_of(found, "suite.json"))
    untouched = [line for line in before.splitlines() if "GX001" in line or "GX302" in line or "GX501" in line]

    assert len(untouched) == 3
    assert all(line.rstrip(",") in after for line in untouched)
    assert '"note":  "ours"' in after
    read = json.loads(after)["expectations"]
    assert [one["meta"]["code"] for one in read[: len(SUITE)]] == [one["meta"]["code"] for one in SUITE]
    assert read[2]["kwargs"]["value_set"] == ["north", "south", *sorted({"east", "west"}, key=_frequency(claims))]
    assert [one["meta"] for one in read[: len(SUITE)]] == [one["meta"] for one in SUITE]
    schema = text_of(found, "schema.pbtxt")
    assert '  value: "north"  # up\n' in schema
    assert schema.count("# ours") == (rules / "schema.pbtxt").read_text().count("# ours")
    removed = [line for line in found.diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert len(removed) < 12


def _frequency(claims: pd.DataFrame) -> object:
    counts = claims["garage"].value_counts()
    return lambda word: (-counts[word], word)


def test_the_same_months_give_the_same_bytes_and_a_second_suggestion_is_empty(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    found = suggested(claims, contract, rules)
    shuffled = claims.sample(frac=1.0, random_state=1)
    again = suggested(shuffled, contract, rules)
    assert again.files == found.files
    assert again.rules == found.rules

    write_suggestion(found, rules)
    settled = suggested(claims, contract, rules)
    assert settled.diff == ""
    assert settled.rules == ()


def test_nothing_is_written_when_the_check_fails(claims: pd.DataFrame, contract: Contract, rules: Path) -> None:
    suite = json.loads((rules / "suite.json").read_text())
    never = {"column": "garage", "value_set": ["mars"], "mostly": 0.9}
    suite["expectations"].append(expectation("GX299", "expect_column_values_to_be_in_set", never))
    (rules / "suite.json").write_text(json.dumps(suite))
    before = {path.name: path.read_bytes() for path in rules.iterdir()}
    found = suggested(claims, contract, rules)

    with pytest.raises(BadInput, match="are not written: RULE0") as refused:
        write_suggestion(found, rules)
    assert str(rules.parent.parent) not in str(refused.value)
    assert {path.name: path.read_bytes() for path in rules.iterdir()} == before


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(
    claims: pd.DataFrame, contract: Contract, rules: Path
) -> None:
    found = suggested(claims, contract, rules)
    (rules / "suite.json").write_text((rules / "suite.json").read_text() + "\n")

    with pytest.raises(BadInput, match="changed meanwhile"):
        write_suggestion(found, rules)


def test_too_few_months_are_refused(claims: pd.DataFrame, contract: Contract, rules: Path) -> None:
    with pytest.raises(BadInput, match="too few months"):
        suggested(claims, contract, rules, begin=date(2024, 11, 1))


def test_the_diff_is_one_that_git_applies(
    claims: pd.DataFrame, contract: Contract, rules: Path, tmp_path: Path
) -> None:
    import subprocess

    found = suggested(claims, contract, rules)
    shutil.copytree(rules, tmp_path / "there" / "expectations" / "toy")
    subprocess.run(["git", "apply"], input=found.diff.encode(), cwd=tmp_path / "there", check=True)
    for one in found.files:
        assert (tmp_path / "there" / "expectations" / "toy" / one.path.name).read_text() == one.after
