"""A contract's sections speak of declared columns that can do what is asked, or are refused with file and column."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud_ml.contract import BadRows, load_contract
from fraud_ml.errors import BadInput
from tests.toy_claims import CONTRACT


def load(folder: Path, **landing: Any) -> Any:
    (folder / "toy").mkdir()
    (folder / "toy" / "contract.yaml").write_text(yaml.safe_dump({**CONTRACT, "landing": landing}))
    return load_contract("toy", folder)


def test_landing_section_is_read(tmp_path: Path) -> None:
    landing = load(
        tmp_path,
        bad_rows="quarantine",
        event_kinds={"column": "garage", "known": ["north"]},
        bounds={"amount_eur": {"at_least": 0, "unit": "EUR", "stated_in": "fault"}},
    ).landing

    assert landing.bad_rows is BadRows.QUARANTINE
    assert landing.columns == ("garage", "amount_eur", "fault")


def test_without_it_a_bad_row_refuses_its_file(tmp_path: Path) -> None:
    assert load(tmp_path).landing.bad_rows is BadRows.REJECT


@pytest.mark.parametrize(
    ("landing", "told"),
    [
        ({"bad_rows": "ignore"}, "`landing.bad_rows` does not fit"),
        ({"event_kinds": {"column": "kind", "known": ["a"]}}, "speaks of column `kind`, which is not among"),
        ({"bounds": {"amount": {"at_least": 0}}}, "speaks of column `amount`, which is not among"),
        ({"bounds": {"amount_eur": {"unit": "EUR", "stated_in": "unit"}}}, "speaks of column `unit`"),
        ({"bounds": {"amount_eur": {"unit": "EUR"}}}, "`unit` and `stated_in` go together"),
        ({"bounds": {"garage": {"at_least": 0}}}, "`landing.bounds` speaks of column `garage`"),
        ({"event_kinds": {"column": "garage", "known": []}}, "`landing.event_kinds.known` does not fit"),
    ],
)
def test_section_that_does_not_fit_is_refused(tmp_path: Path, landing: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        load(tmp_path, **landing)
    assert told in str(refused.value)
    assert "contract.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("policy", "speaks of column `policy`, which is not among"),
        ("garage", "column `garage` cannot keep claims together"),
    ],
)
def test_groups_of_a_split_are_declared_columns_that_no_model_sees(tmp_path: Path, group: str, told: str) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "contract.yaml").write_text(yaml.safe_dump({**CONTRACT, "split": {"groups": [group]}}))
    with pytest.raises(BadInput) as refused:
        load_contract("toy", tmp_path)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"group": "nobody"}, "`group` speaks of column `nobody`"),
        ({"amount": "garage"}, "`amount` speaks of column `garage`"),
        ({"slices": [{"column": "age_years"}]}, "`slices` speaks of column `age_years`"),
        ({"slices": [{"column": "garage", "edges": [1]}]}, "`slices` speaks of column `garage`"),
        ({"slices": [{"column": "age_years", "edges": [60, 35]}]}, "`edges` must rise"),
    ],
)
def test_what_candidates_are_judged_by_must_be_columns_that_can_tell_it(
    tmp_path: Path, declared: dict[str, object], said: str
) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "contract.yaml").write_text(yaml.safe_dump({**CONTRACT, **declared}))
    with pytest.raises(BadInput, match=said):
        load_contract("toy", tmp_path)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"checks": {"go_together": [["garage", "colour"]]}}, "speaks of column `colour`, which is not among"),
        ({"checks": {"go_together": [["garage", "happened"]]}}, "`checks` (go_together) speaks of column `happened`"),
        ({"label": {**CONTRACT["label"], "outages": ["1994-13"]}}, "`label.outages.0` does not fit"),
        (
            {"checks": {"sense": [{"code": "SENSE001", "title": "t", "severity": "warn", "holds": {"colour": ["x"]}}]}},
            "speaks of column `colour`",
        ),
        (
            {"checks": {"sense": [{"code": "SENSE001", "title": "t", "severity": "warn", "holds": {}}]}},
            "exactly one of",
        ),
        (
            {"checks": {"sense": [{"code": "SENSE001", "title": "t", "severity": "warn", "begins": {}}]}},
            "exactly one of",
        ),
    ],
)
def test_what_validation_is_told_must_speak_of_declared_columns(
    tmp_path: Path, section: dict[str, Any], told: str
) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "contract.yaml").write_text(yaml.safe_dump({**CONTRACT, **section}))
    with pytest.raises(BadInput) as refused:
        load_contract("toy", tmp_path)
    assert told in str(refused.value)
