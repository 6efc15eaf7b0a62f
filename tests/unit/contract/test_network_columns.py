"""A contract's `network` section names declared parties, and columns are made of it; any other is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud_ml.contract import Contract, load_contract
from fraud_ml.errors import BadInput
from tests.toy_claims import CONTRACT, toy_contract

PERSON = {"name": "who", "kind": "category", "role": "context", "personal": True}


def written(folder: Path, parties: dict[str, str], columns: tuple[dict[str, Any], ...] = ()) -> Contract:
    network = {"window_days": 365, "parties": parties}
    (folder / "toy").mkdir()
    told = {**CONTRACT, "network": network, "columns": [*CONTRACT["columns"], PERSON, *columns]}
    (folder / "toy" / "contract.yaml").write_text(yaml.safe_dump(told))
    return load_contract("toy", folder)


def test_columns_are_made_of_parties_kinds_and_the_whole_network(tmp_path: Path) -> None:
    contract = written(tmp_path, {"who": "person"})
    made = [column.name for column in contract.network_features]

    assert made == [
        "network_who_claims",
        "network_who_confirmed",
        "network_who_fraud_share",
        "network_person_reached",
        "network_ring_score",
    ]
    assert all(contract.column(name).personal and contract.column(name).title for name in made)


def test_without_it_none_is_made() -> None:
    assert toy_contract().network_features == ()


@pytest.mark.parametrize("asked", ["whom", "network_whom_claims", "colour"])
def test_a_party_that_no_column_names_is_named_whatever_is_asked(asked: str) -> None:
    network = {"window_days": 365, "parties": {"whom": "person"}}
    contract = Contract.model_validate({**CONTRACT, "network": network}, strict=False)

    assert contract.column("garage").name == "garage"
    with pytest.raises(BadInput, match=r"`network\.parties` speaks of column `whom`, which is not among `columns`"):
        contract.column(asked)


def test_a_column_that_is_neither_declared_nor_made_is_named(tmp_path: Path) -> None:
    for contract in (toy_contract(), written(tmp_path, {"who": "person"})):
        with pytest.raises(BadInput, match="contract of `toy` knows no column `network_whom_claims`"):
            contract.column("network_whom_claims")


@pytest.mark.parametrize(
    ("parties", "columns", "told"),
    [
        ({}, (), "`network.parties` does not fit"),
        ({"whom": "person"}, (), "`network.parties` speaks of column `whom`, which is not among"),
        ({"garage": "garage"}, (), "`network.parties` speaks of column `garage`, which names no parties"),
        ({"who": "A person"}, (), "`network.parties.who` does not fit"),
        (
            {"who": "person"},
            ({"name": "network_ring_score", "kind": "number", "role": "feature"},),
            "column `network_ring_score` is also made of `network`",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused(
    tmp_path: Path, parties: dict[str, str], columns: tuple[dict[str, Any], ...], told: str
) -> None:
    with pytest.raises(BadInput) as refused:
        written(tmp_path, parties, columns)
    assert told in str(refused.value)
