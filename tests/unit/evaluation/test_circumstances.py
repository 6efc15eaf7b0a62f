"""What a window does not hold is looked up among the judged claims, each under its own key."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.errors import Tampered
from fraud_ml.evaluation.circumstances import UNKNOWN, JudgedClaims
from fraud_ml.features.split import split_claims
from fraud_ml.validation.quarantine import digest_key
from tests.toy_claims import AS_OF, CONTRACT, SNAPSHOT, toy_claims, toy_contract, toy_params, write_fold

PERSON = {"name": "person", "kind": "category", "role": "context"}


def judged(tmp_path: Path, claims: pd.DataFrame, **declared: object) -> tuple[JudgedClaims, pd.DataFrame, Contract]:
    contract = Contract.model_validate(
        {**CONTRACT, "columns": [*CONTRACT["columns"], PERSON], **declared}, strict=False
    )
    write_fold(tmp_path / "claims", claims, contract, AS_OF)
    window = split_claims(claims, contract, AS_OF, set(), toy_params().features).frames["test"]
    return JudgedClaims(tmp_path / "claims", contract, snapshot_digest=SNAPSHOT), window, contract


def test_each_claim_meets_its_own_amount_claimant_and_bands(tmp_path: Path) -> None:
    claims = toy_claims().assign(person=[f"p{n % 90}" if n % 7 else None for n in range(1600)])
    found, window, _ = judged(tmp_path, claims, group="person")
    beside = found.of(window.sample(frac=1, random_state=0))
    by_key = claims.set_index(claims["claim"].map(digest_key))
    own = by_key.loc[window.sample(frac=1, random_state=0)["key_sha256"]]
    assert beside.keys.tolist() == own["claim"].tolist()
    np.testing.assert_array_equal(beside.amounts, own["amount_eur"])
    assert beside.slices["garage"].tolist() == own["garage"].tolist()
    known = own["age_years"].notna().to_numpy()
    ages, bands = own["age_years"].to_numpy()[known], beside.slices["age_years"][known]
    expected = np.select([ages < 35, ages < 60], ["below 35", "35 to 60"], "60 and up")
    assert bands.tolist() == expected.tolist()
    assert set(beside.slices["age_years"][~known]) == {UNKNOWN}
    assert beside.months.tolist() == own["event_time"].dt.strftime("%Y-%m").tolist()
    named = own["person"].notna().to_numpy()
    assert beside.groups[named].tolist() == own["person"][named].tolist()
    alone = beside.groups[~named]
    assert len(set(alone)) == len(alone) > 5  # nobody in particular is not one person


def test_where_the_contract_declares_nothing_there_is_nothing(tmp_path: Path) -> None:
    claims = toy_claims().assign(person=None)
    found, window, _ = judged(tmp_path, claims, amount=None, slices=[])
    beside = found.of(window)
    assert (beside.groups, beside.amounts, beside.slices) == (None, None, {})
    assert len(beside.keys) == len(window)


def test_claims_of_another_snapshot_are_refused(tmp_path: Path) -> None:
    write_fold(tmp_path / "claims", toy_claims(), toy_contract(), AS_OF)
    with pytest.raises(Tampered, match="another snapshot"):
        JudgedClaims(tmp_path / "claims", toy_contract(), snapshot_digest="0" * 64)


def test_a_changed_claim_is_named(tmp_path: Path) -> None:
    write_fold(tmp_path / "claims", toy_claims(), toy_contract(), AS_OF)
    path = tmp_path / "claims" / "2024-08.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Tampered, match=r"2024-08\.parquet"):
        JudgedClaims(tmp_path / "claims", toy_contract(), snapshot_digest=SNAPSHOT)
