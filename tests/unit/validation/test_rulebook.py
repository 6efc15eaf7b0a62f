"""Rules that cannot hold are found before data is read, each by its name, file and line; the shipped ones can hold."""

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fraud_ml.commands.expectations import expectations
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT
from fraud_ml.validation.rulebook import check_rules, require_sound_rules
from fraud_ml.validation.rulebook.problem import TITLES, sentence_of
from fraud_ml.validation.rulebook.schema_text import read_text_format
from fraud_ml.validation.suite import read_suite

DATASETS = sorted(path.parent.name for path in (PROJECT / "expectations").glob("*/contract.yaml"))


def asked(kind, code="GX901", severity="stop", **kwargs):
    return {
        "type": f"expect_{kind}",
        "kwargs": kwargs,
        "meta": {"code": code, "title": "a rule", "severity": severity, "next_step": "look"},
    }


@pytest.fixture
def place(tmp_path):
    """A folder with motor's rules, which a test may spoil."""
    shutil.copytree(PROJECT / "expectations" / "motor", tmp_path / "expectations" / "motor")
    return tmp_path / "expectations"


@pytest.fixture
def add(place):
    """Add expectations to motor's suite, one a line, and return what is wrong, as (code, line of the addition)."""

    def write(*rules, ask_great_expectations=False):
        path = place / "motor" / "suite.json"
        before, end, after = path.read_text().rpartition("\n  ],\n")
        first = before.count("\n") + 2  # the line of the first addition
        path.write_text(before + ",\n" + ",\n".join(json.dumps(rule) for rule in rules) + end + after)
        found = check_rules("motor", place, ask_great_expectations=ask_great_expectations)
        assert all(problem.path == str(path) and problem.code in TITLES for problem in found)
        return [(problem.code, problem.line - first, problem) for problem in found]

    return write


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_shipped_rules_can_all_hold(dataset):
    assert check_rules(dataset, PROJECT / "expectations") == []


REGION, AMOUNT, COVER = {"column": "region"}, {"column": "claim_amount_eur"}, {"column": "cover"}
IN, NOT_IN, BETWEEN = "column_values_to_be_in_set", "column_values_to_not_be_in_set", "column_values_to_be_between"
REGEX, NO_REGEX = "column_values_to_match_regex", "column_values_to_not_match_regex"
LENGTHS, GREATER = "column_value_lengths_to_be_between", "column_pair_values_a_to_be_greater_than_b"
ROWS = "table_row_count_to_equal"


def lonely(code, *rules, id):
    return pytest.param(code, rules, id=id)


@pytest.mark.parametrize(
    ("code", "rules"),
    [
        lonely("RULE002", {"type": "expect_x", "kwargs": 7}, id="no kwargs"),
        lonely("RULE003", asked(BETWEEN, "rule 7", **AMOUNT, min_value=0), id="malformed code"),
        lonely("RULE004", asked(BETWEEN, "GX501", **AMOUNT, min_value=0), id="a code twice"),
        lonely("RULE005", asked(BETWEEN, severity="fatal", **AMOUNT, min_value=0), id="unknown severity"),
        lonely("RULE006", asked(IN, severity="quarantine", **COVER, value_set=["partial"], mostly=0.9), id="mostly"),
        lonely("RULE009", asked(BETWEEN, column="postcode", min_value=0), id="absent column"),
        lonely("RULE010", asked(BETWEEN, **REGION, min_value=0), id="numbers of text"),
        lonely("RULE010", asked("column_mean_to_be_between", **REGION, min_value=0), id="mean of text"),
        lonely("RULE010", asked(REGEX, **AMOUNT, regex="a"), id="pattern of numbers"),
        lonely("RULE011", asked(BETWEEN, **AMOUNT, min_value=9, max_value=2), id="min above max"),
        lonely("RULE011", asked(BETWEEN, **AMOUNT, min_value=9, max_value=9, strict_max=True), id="nothing between"),
        lonely("RULE011", asked("column_mean_to_be_between", **AMOUNT, min_value=9, max_value=2), id="mean"),
        lonely("RULE011", asked(IN, **COVER, value_set=[]), id="empty set"),
        lonely("RULE008", asked(REGEX, **COVER, regex="(a"), id="no pattern"),
    ],
)
def test_a_rule_that_is_wrong_alone_is_found_in_its_line(add, code, rules):
    assert [(found, line) for found, line, _ in add(*rules)] == [(code, 0)]


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([asked(BETWEEN, **AMOUNT, min_value=2_000_000)], id="between, disjoint"),
        pytest.param([asked(IN, **REGION, value_set=["centre"])], id="sets, disjoint"),
        pytest.param(
            [asked(NOT_IN, **COVER, value_set=["liability", "partial", "comprehensive"], mostly=0.5)],
            id="nothing left of a set",
        ),
        pytest.param([asked("column_values_to_be_null", **REGION, mostly=0.5)], id="null and known"),
        pytest.param(
            [asked("column_proportion_of_non_null_values_to_be_between", **REGION, max_value=0.4)], id="known share"
        ),
        pytest.param([asked(REGEX, **COVER, regex="^[0-9]+$")], id="pattern and set"),
        pytest.param([asked(NO_REGEX, **COVER, regex="^[a-z]+$")], id="no pattern and set"),
        pytest.param([asked(LENGTHS, **COVER, min_value=40)], id="lengths and set"),
        pytest.param([asked(IN, column="outcome", value_set=["cleared"], mostly=0.995)], id="shares above one"),
        pytest.param([asked("column_max_to_be_between", **AMOUNT, min_value=2e6)], id="maximum beyond all values"),
        pytest.param([asked("column_mean_to_be_between", **AMOUNT, min_value=2e6)], id="mean beyond all values"),
        pytest.param([asked(BETWEEN, column="driver_age_years", min_value=130)], id="beyond landing's bounds"),
        pytest.param([asked("column_distinct_values_to_contain_set", **AMOUNT, value_set=[-4.0])], id="needs"),
        pytest.param(
            [asked("column_unique_value_count_to_be_between", column="outcome", min_value=9)], id="too many values"
        ),
        pytest.param([asked("table_column_count_to_equal", value=3)], id="columns of the contract"),
        pytest.param([asked(IN, column="outcome", value_set=["yes", "no"])], id="labels that nobody explains"),
        pytest.param([asked(GREATER, column_A="reported_date", column_B="recorded_at")], id="order of the contract"),
    ],
)
def test_a_rule_that_contradicts_a_shipped_one_is_found_in_its_line(add, rules):
    found = add(*rules)
    assert {code for code, _, _ in found} <= {"RULE012", "RULE025"}
    assert ("RULE012", 0) in [(code, line) for code, line, _ in found]
    (told, *_) = [problem for code, _, problem in found if code == "RULE012"]
    assert told.what.startswith("GX901 and ")
    assert "cannot both hold" in told.what or "cannot hold beside" in told.what


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (asked(ROWS, "GX901", value=400), asked(ROWS, "GX902", value=500)),
        (
            asked("column_value_lengths_to_equal", "GX901", column="claim_id", value=4),
            asked(LENGTHS, "GX902", column="claim_id", min_value=9),
        ),
        (
            asked(REGEX, "GX901", column="claim_id", regex="^M"),
            asked(NO_REGEX, "GX902", column="claim_id", regex="^M"),
        ),
        (
            asked("column_min_to_be_between", "GX901", column="reserve_eur", min_value=50),
            asked("column_mean_to_be_between", "GX902", column="reserve_eur", max_value=40),
        ),
        (
            asked(GREATER, "GX901", column_A="paid_eur", column_B="reserve_eur", mostly=0.6),
            asked(GREATER, "GX902", column_A="reserve_eur", column_B="paid_eur", or_equal=True, mostly=0.6),
        ),
    ],
    ids=["row counts", "lengths", "patterns", "min above mean", "orders"],
)
def test_two_rules_that_exclude_each_other_are_found_where_the_later_stands(add, first, second):
    ((code, line, problem),) = add(first, second)
    assert (code, line) == ("RULE012", 1)
    assert f"GX902 and GX901 (line {problem.line - 1}) cannot both hold" in problem.what


def test_three_sets_that_exclude_each_other_may_not_ask_for_more_than_everything(add):
    words = ("liability", "partial", "comprehensive")
    rules = [asked(IN, f"GX90{n}", **COVER, value_set=[word], mostly=0.4) for n, word in enumerate(words)]
    ((code, line, problem),) = add(*rules)
    assert (code, line) == ("RULE012", 2)
    assert "add up to 1.2" in problem.what


@pytest.mark.parametrize(
    "rules",
    [
        [asked(IN, **COVER, value_set=["partial"], mostly=0.3)],
        [asked(IN, **COVER, value_set=["partial"], row_condition='region=="north"', condition_parser="pandas")],
        [asked(BETWEEN, **AMOUNT, min_value=1_000, max_value=5_000_000, mostly=0.5)],
        [asked(GREATER, column_A="recorded_at", column_B="reported_date", or_equal=True, mostly=0.5)],
        [asked("column_mean_to_be_between", **AMOUNT, min_value=10, max_value=20_000)],
        [asked(LENGTHS, **COVER, min_value=3, max_value=20)],
        [asked(REGEX, **COVER, regex="^[a-z]+$")],
        [asked(NOT_IN, **COVER, value_set=["partial"])],
    ],
)
def test_rules_that_can_hold_together_are_let_be(add, rules):
    assert add(*rules) == []


def test_great_expectations_own_refusals_are_found_by_line(add):
    found = add(
        asked("column_values_to_be_in_sett", "GX901", **COVER, value_set=["partial"]),
        asked(BETWEEN, "GX902", **AMOUNT, min_valu=3, max_value=4),
        asked(BETWEEN, "GX903", **AMOUNT),
        asked("column_mean_to_be_between", "GX904", "quarantine", **AMOUNT, min_value=1),
        ask_great_expectations=True,
    )
    assert [(code, line) for code, line, _ in found] == [("RULE007", 0), ("RULE008", 1), ("RULE008", 2), ("RULE006", 3)]
    told = [problem.next_step for _, _, problem in found]
    assert "expect_column_values_to_be_in_set" in told[0]
    assert "`min_value`" in told[1]


SCHEMA_FAULTS = (
    ("RULE001", 'type: BYTES\n  domain: "region"', "type: BYTES }\n  domain: region {", "region"),
    ("RULE021", 'feature {\n  name: "region"', 'feature {\n  name: "claim_id"', None),
    ("RULE022", 'feature {\n  name: "region"', 'feature {\n  name: "postcode"', "postcode"),
    ("RULE023", 'name: "claim_amount_eur"\n  type: FLOAT', 'name: "claim_amount_eur"\n  type: INT', "claim_amount_eur"),
    ("RULE024", 'name: "claim_id"\n  type: BYTES\n  presence { min_fraction: 1.0', None, "claim_id"),
    ("RULE025", 'value: "islands"', 'value: "island"', "region"),
    ("RULE025", 'domain: "region"', 'domain: "regions"', None),
)


@pytest.mark.parametrize(("code", "was", "becomes", "column"), SCHEMA_FAULTS, ids=lambda value: str(value)[:12])
def test_a_schema_that_contradicts_the_contract_is_found_by_feature_and_line(place, code, was, becomes, column):
    path = place / "motor" / "schema.pbtxt"
    text = path.read_text()
    assert was in text
    spoiled = text.replace(was, becomes if becomes is not None else was.replace("1.0", "0.5"), 1)
    path.write_text(spoiled)
    found = [problem for problem in check_rules("motor", place, ask_great_expectations=False) if problem.code == code]
    assert found
    assert {problem.path for problem in found} == {str(path)}
    lines = spoiled.splitlines()
    if column and code != "RULE001":
        assert found[0].column == column
        assert lines[found[0].line - 1] == "feature {"
        assert f'"{column}"' in lines[found[0].line]


def test_a_label_that_may_be_unknown_may_not_be_demanded(place):
    path = place / "motor" / "schema.pbtxt"
    head, _, tail = path.read_text().partition('name: "outcome"')
    path.write_text(f'{head}name: "outcome"\n  presence {{ min_fraction: 1.0 }}{tail}')
    assert "RULE024" in {problem.code for problem in check_rules("motor", place, ask_great_expectations=False)}


def test_text_format_is_read_with_its_lines(tmp_path):
    path = tmp_path / "schema.pbtxt"
    path.write_text(
        "# a comment\nfeature <\n  name: 'a' \"b\"  # joined\n  type: INT;\n"
        '  int_domain { min: -3, max: 4 }\n>\nfeature: {\n  path { step: "c\\"d" }\n  skew: [1, 2]\n}\n'
    )
    content = read_text_format(path)
    (first, line), (second, later) = content.messages("feature")
    assert (first.text("name"), first.text("type"), line, later) == ("ab", "INT", 2, 7)
    assert first.message("int_domain").number("min") == -3
    assert second.message("path").text("step") == 'c"d'
    assert [one.value for one in second.all("skew")] == ["1", "2"]


@pytest.mark.parametrize("text", ["feature {", "feature }", "feature { name: }", 'feature { name: "a', "feature { é }"])
def test_broken_text_format_is_refused_by_line(tmp_path, text):
    path = tmp_path / "schema.pbtxt"
    path.write_text(f"\n{text}\n")
    with pytest.raises(BadInput) as refused:
        read_text_format(path)
    assert refused.value.facts["line"] in (2, 3)


def test_unreadable_files_are_problems_too(place):
    (place / "motor" / "suite.json").write_text('{"name": "motor",\n "expectations": [}')
    (place / "motor" / "schema.pbtxt").unlink()
    found = check_rules("motor", place)
    assert [(problem.code, problem.line) for problem in found] == [("RULE001", 1), ("RULE001", 2)]
    (place / "motor" / "contract.yaml").write_text("dataset: motor\ntitel: x\n")
    (only,) = check_rules("motor", place)
    assert sentence_of(only).startswith(f"{place / 'motor' / 'contract.yaml'}:2: unknown key `titel`")


def test_the_command_lists_everything_and_exits_with_two(place, add, monkeypatch):
    add(asked(IN, "GX901", **REGION, value_set=["centre"]), asked(BETWEEN, "GX902", column="postcode", min_value=0))
    monkeypatch.chdir(place.parent)
    told = CliRunner().invoke(expectations, ["check", "motor"])
    assert isinstance(told.exception, BadInput)
    assert told.exception.exit_code == 2
    path = "expectations/motor/suite.json"
    assert [line.split(": ")[0] for line in told.output.splitlines()[1:]] == [
        f"RULE012  {path}:644",
        f"RULE012  {path}:644",
        f"RULE009  {path}:645",
    ]
    as_json = CliRunner().invoke(expectations, ["check", "--json"])
    report = json.loads(as_json.stdout)
    assert report["sound"] is False
    assert [(one["code"], one["line"]) for one in report["datasets"]["motor"]] == [
        ("RULE012", 644),
        ("RULE012", 644),
        ("RULE009", 645),
    ]


def test_a_run_refuses_rules_that_cannot_hold_and_loads_no_great_expectations_for_it(place, add):
    require_sound_rules("motor", place)
    add(asked(BETWEEN, **AMOUNT, min_value=9, max_value=2))
    with pytest.raises(BadInput, match="GX901 can never hold") as refused:
        require_sound_rules("motor", place)
    assert refused.value.facts["codes"] == ("RULE011",)
    program = (
        "import sys; from pathlib import Path; from fraud_ml.validation.rulebook import require_sound_rules;"
        f"require_sound_rules('handbook', Path({str(PROJECT / 'expectations')!r}));"
        "print([name for name in ('great_expectations', 'pandas', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def of_each_month(rule, **meta):
    return {**rule, "meta": {**rule["meta"], "each": "month", **meta}}


@pytest.mark.parametrize(
    "rule",
    [
        of_each_month(asked("column_values_to_be_unique", **REGION)),
        of_each_month(asked("column_median_to_be_between", column="vehicle_age_years", min_value=0)),
        of_each_month(asked(IN, severity="quarantine", **REGION, value_set=["north"])),
        of_each_month(asked(IN, **REGION, value_set=["north"]), of=[13]),
        of_each_month(asked(IN, **REGION, value_set=["north"]), of=["January"]),
        of_each_month(asked(IN, **REGION, value_set=["north"]), each="year"),
    ],
)
def test_a_rule_of_each_month_that_no_month_can_tell_is_found(add, rule):
    assert [(code, line) for code, line, _ in add(rule)] == [("RULE013", 0)]


def test_what_a_month_must_be_contradicts_nothing_that_all_months_together_must_be(add):
    rows = "table_row_count_to_be_between"
    assert add(of_each_month(asked(rows, max_value=5), of=[1]), of_each_month(asked(rows, "GX902", min_value=6))) == []
    together = of_each_month(asked(rows, "GX903", max_value=5)), of_each_month(asked(rows, "GX904", min_value=6))
    assert {code for code, _, _ in add(*together)} == {"RULE012"}


def test_the_usual_share_of_some_words_in_a_month_declares_no_domain(add, place, motor):
    usual = of_each_month(asked(IN, **REGION, value_set=["north", "mars"], mostly=0.95))
    domain = asked(IN, "GX902", **REGION, value_set=["north", "mars"], mostly=0.95)

    assert add(usual) == []
    assert "mars" not in read_suite(place / "motor" / "suite.json", motor).declared["region"]
    path = place / "motor" / "suite.json"
    path.write_text(path.read_text().replace(json.dumps(usual), json.dumps(domain)))
    assert "RULE025" in {problem.code for problem in check_rules("motor", place, ask_great_expectations=False)}
