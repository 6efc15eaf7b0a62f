"""Configuration files are read strictly, and every complaint names its place."""

from pathlib import Path

import pytest

from fraud_ml.contract import load_contract
from fraud_ml.errors import BadInput
from fraud_ml.params import load_params

PROJECT = Path(__file__).resolve().parents[2]


def edited_params(tmp_path: Path, old: str, new: str) -> Path:
    text = (PROJECT / "params.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_shipped_params_are_read() -> None:
    assert load_params(PROJECT / "params.yaml").governance.required_approvals >= 2


def test_unknown_key_is_refused_with_line_and_nearest_known_name(tmp_path: Path) -> None:
    path = edited_params(tmp_path, "  seed: 7", "  sead: 7")
    line = path.read_text().splitlines().index("  sead: 7") + 1
    with pytest.raises(BadInput, match=rf"params\.yaml:{line}: unknown key `training\.sead`.*did you mean `seed`"):
        load_params(path)


def test_unknown_key_of_a_nested_section_names_that_sections_keys(tmp_path: Path) -> None:
    path = edited_params(tmp_path, "    min_samples_leaf: 5", "    min_samples_leaf: 5\n    tres: 3")
    with pytest.raises(BadInput, match=r"unknown key `training\.random_forest\.tres`.*min_samples_leaf"):
        load_params(path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("required_approvals: 2", "required_approvals: 0", r"`governance\.required_approvals` does not fit"),
        ("dropout: 0.2", "dropout: high", r"`training\.keras_tabular\.dropout` does not fit"),
        ("families: [blend]", "families: [oracle]", r"`training\.families\.0` does not fit"),
        ("families: [blend]", "families: [blend", r"not valid YAML"),
        ("  seed: 7\n", "", r"`training\.seed` is missing"),
    ],
)
def test_value_that_does_not_fit_is_refused_by_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(BadInput, match=r"params\.yaml:\d+: " + told):
        load_params(edited_params(tmp_path, old, new))


def test_absent_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("dataset", ["carclaims", "motor"])
def test_shipped_contract_is_read(dataset: str) -> None:
    contract = load_contract(dataset, PROJECT / "expectations")
    assert contract.features
    assert contract.label.column not in {column.name for column in contract.features}


def edited_contract(tmp_path: Path, old: str, new: str) -> Path:
    text = (PROJECT / "expectations" / "motor" / "contract.yaml").read_text()
    assert old in text
    (tmp_path / "motor").mkdir()
    (tmp_path / "motor" / "contract.yaml").write_text(text.replace(old, new))
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("key: claim_id", "key: claim_number", "the key column `claim_number` is not among `columns`"),
        ("  column: outcome", "  column: verdict", "the label column `verdict` is not among `columns`"),
        ("{name: region,", "{name: sex,", "column `sex` is declared twice"),
        ("dataset: motor", "dataset: motors", "`dataset` differs from its folder"),
        ("role: label}", "role: feature}", "column `outcome` is the label"),
        ("role: label}", "role: target}", "does not fit"),
    ],
)
def test_contract_that_contradicts_itself_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        load_contract("motor", edited_contract(tmp_path, old, new))


def test_unknown_dataset_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no contract for dataset `boats`.*carclaims, handbook, motor"):
        load_contract("boats", PROJECT / "expectations")
