"""A suite file is refused by file and index when a rule of it cannot be told apart, told, or judged."""

import copy
import json
import re

import pytest

from fraud_ml.contract import load_contract
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT
from fraud_ml.validation.suite import read_suite

DATASETS = sorted(path.parent.name for path in (PROJECT / "expectations").glob("*/contract.yaml"))
GOOD = {
    "type": "expect_column_values_to_not_be_null",
    "kwargs": {"column": "region"},
    "meta": {"code": "GX101", "title": "region is known", "severity": "stop", "next_step": "look"},
}


@pytest.fixture
def refused(tmp_path, motor):
    """Write a suite whose second expectation is spoiled; return what is said about it."""

    def refuse(**changes):
        spoiled = copy.deepcopy(GOOD)
        spoiled["meta"]["code"] = "GX102"
        for place, value in changes.items():
            part, _, name = place.partition("__")
            if not name:
                spoiled[part] = value
            elif value is None:
                spoiled[part].pop(name)
            else:
                spoiled[part][name] = value
        path = tmp_path / "suite.json"
        path.write_text(json.dumps({"name": "motor", "expectations": [GOOD, spoiled]}))
        with pytest.raises(BadInput) as error:
            read_suite(path, motor)
        assert str(error.value).startswith(f"{path}: expectations[1]: ")
        assert error.value.facts["index"] == 1
        return str(error.value)

    return refuse


def test_an_expectation_without_code_is_refused(refused):
    assert "no code" in refused(meta__code=None)
    assert "no code" in refused(meta__code="rule 7")


def test_an_expectation_naming_an_absent_column_is_refused(refused):
    assert "`postcode`, which the contract lacks" in refused(kwargs={"column": "postcode"})
    assert "`postcode`" in refused(kwargs={"column_A": "recorded_at", "column_B": "postcode"})
    assert "`postcode`" in refused(kwargs={"column_list": ["region", "postcode"]})


def test_two_expectations_with_one_code_are_refused(refused):
    assert "also the code of expectations[0]" in refused(meta__code="GX101")


def test_an_unknown_severity_is_refused(refused):
    assert "stop or quarantine or warn" in refused(meta__severity="fatal")


def test_an_expectation_without_title_is_refused(refused):
    assert "no title" in refused(meta__title=None)


def test_a_quarantine_rule_with_mostly_is_refused(refused):
    assert "max_quarantined_share" in refused(meta__severity="quarantine", kwargs={"column": "region", "mostly": 0.9})


def test_something_else_among_the_expectations_is_refused(refused):
    assert "not an expectation" in refused(kwargs="region")


@pytest.mark.parametrize(
    "text", ['{"name": "motor",\n "expectations": [}', '{"name": "motor", "expectations": []}', "[]"]
)
def test_a_file_that_is_no_suite_is_refused(tmp_path, motor, text):
    path = tmp_path / "suite.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(str(path))):
        read_suite(path, motor)


def test_an_absent_suite_is_refused(tmp_path, motor):
    with pytest.raises(BadInput, match="no such file"):
        read_suite(tmp_path / "suite.json", motor)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_columns_absence_of_values_would_be_noticed(dataset):
    """30 % nulls in any column but the label of an open claim must stop somewhere."""
    folder = PROJECT / "expectations" / dataset
    contract = load_contract(dataset, folder.parent)
    rules = read_suite(folder / "suite.json", contract).rules
    guarded = {
        rule.columns[0]
        for rule in rules
        if rule.type == "expect_column_values_to_not_be_null" and rule.kwargs.get("mostly", 1) > 0.7
    }
    unlabelled_is_right = {contract.label.column} if contract.label.maturity_days else set()
    assert set(contract.names) - guarded <= unlabelled_is_right


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_schema_describes_exactly_the_contracts_columns(dataset):
    folder = PROJECT / "expectations" / dataset
    schema = (folder / "schema.pbtxt").read_text(encoding="utf-8")
    described = re.findall(r'feature \{\n  name: "([^"]+)"', schema)
    assert tuple(described) == load_contract(dataset, folder.parent).names


@pytest.mark.parametrize("dataset", DATASETS)
def test_suite_and_schema_name_the_same_categories(dataset):
    folder = PROJECT / "expectations" / dataset
    schema = (folder / "schema.pbtxt").read_text(encoding="utf-8")
    domains = {
        name: re.findall(r'value: "([^"]+)"', body)
        for name, body in re.findall(r'string_domain \{\n  name: "([^"]+)"\n(.*?)\n\}', schema, flags=re.DOTALL)
    }
    contract = load_contract(dataset, folder.parent)
    for rule in read_suite(folder / "suite.json", contract).rules:
        if rule.code.startswith("GX2"):
            assert domains[rule.columns[0]] == rule.kwargs["value_set"]
