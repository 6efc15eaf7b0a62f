"""Claims are split by event time only, every claim is accounted for, and equal claims give equal bytes."""

import dataclasses
import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import Finding, Outcome, Severity, SnapshotManifest, Verdict, Workspace, file_digest, save
from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.errors import BadInput, NotAccepted, Tampered, Undefined
from fraud_ml.features import build_windows
from fraud_ml.features.split import Split, months_before, split_claims
from fraud_ml.features.windows import read_window, write_window
from fraud_ml.params import FeatureParams
from fraud_ml.validation.quarantine import SetAside, digest_key, write_quarantine
from tests.tampering import flip_a_byte
from tests.toy_claims import AS_OF, CONTRACT, toy_claims, toy_contract, toy_workspace

PARAMS = FeatureParams(test_months=6, validation_months=4, min_positives=5)


def split(claims: pd.DataFrame, *, quarantined: tuple[str, ...] = (), maturity_days: int = 0) -> Split:
    contract = toy_contract(maturity_days=maturity_days)
    return split_claims(claims, contract, AS_OF, {digest_key(key) for key in quarantined}, PARAMS)


def test_windows_follow_each_other_in_time_and_end_at_the_last_mature_day() -> None:
    windows = split(toy_claims()).windows
    assert (windows["test"].begin, windows["test"].end) == ("2024-07-01", "2025-01-01")
    assert (windows["validation"].begin, windows["validation"].end) == ("2024-03-01", "2024-07-01")
    assert windows["train"].end == "2024-03-01"


def test_every_row_of_a_window_lies_within_it() -> None:
    found = split(toy_claims())
    for name, frame in found.frames.items():
        assert frame["event_time"].min() >= pd.Timestamp(found.windows[name].begin)
        assert frame["event_time"].max() < pd.Timestamp(found.windows[name].end)


def test_maturity_moves_all_windows_back() -> None:
    found = split(toy_claims(), maturity_days=92)
    assert found.windows["test"].end == "2024-10-01"
    assert found.left_out["immature"] == (toy_claims()["event_time"] >= "2024-10-01").sum()


def test_an_unlabelled_or_immature_claim_is_in_no_window_and_so_never_a_negative() -> None:
    claims = toy_claims()
    claims.loc[claims.index[::3], "outcome"] = None
    found = split(claims, maturity_days=92)
    silent = {digest_key(key) for key in claims.loc[claims.index[::3], "claim"]}
    young = {digest_key(key) for key in claims.loc[claims["event_time"] >= "2024-10-01", "claim"]}
    learned = {key for frame in found.frames.values() for key in frame["key_sha256"]}
    assert learned
    assert not learned & (silent | young)


def test_quarantined_claims_are_left_out_and_counted() -> None:
    found = split(toy_claims(), quarantined=("c00007", "c00300"))
    assert found.left_out == {"quarantined": 2}
    assert digest_key("c00007") not in set(found.frames["train"]["key_sha256"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), silent=st.floats(0, 0.4), maturity_days=st.integers(0, 120))
def test_every_claim_is_in_exactly_one_window_or_left_out_for_a_reason(
    seed: int, silent: float, maturity_days: int
) -> None:
    claims = toy_claims(seed=seed).sample(frac=1, random_state=seed)
    claims.loc[claims.sample(frac=silent, random_state=seed).index, "outcome"] = None
    found = split(claims, quarantined=("c00001",), maturity_days=maturity_days)
    keys = [key for frame in found.frames.values() for key in frame["key_sha256"]]
    assert len(keys) == len(set(keys))
    assert len(keys) + sum(found.left_out.values()) == len(claims)


def test_windows_lie_the_gap_apart_and_what_lies_between_is_counted() -> None:
    claims, params = toy_claims(), PARAMS.model_copy(update={"gap_days": 14})
    found = split_claims(claims, toy_contract(), AS_OF, set(), params)
    assert (found.windows["test"].begin, found.windows["test"].end) == ("2024-07-01", "2025-01-01")
    assert (found.windows["validation"].begin, found.windows["validation"].end) == ("2024-02-17", "2024-06-17")
    assert found.windows["train"].end == "2024-02-03"
    times = claims["event_time"]
    between = times.between("2024-06-17", "2024-07-01", inclusive="left") | times.between(
        "2024-02-03", "2024-02-17", inclusive="left"
    )
    assert between.any()
    assert found.left_out == {"gap": between.sum()}


def grouped(claims: pd.DataFrame) -> Split:
    """Split claims that name a policy and a person, neither of which may lie on both sides."""
    more = [{"name": name, "kind": "category", "role": "context"} for name in ("policy", "person")]
    raw = {**CONTRACT, "columns": [*CONTRACT["columns"], *more], "split": {"groups": ["policy", "person"]}}
    return split_claims(claims, Contract.model_validate(raw, strict=False), AS_OF, set(), PARAMS)


def named(claims: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    policies, people = (rng.choice([f"{word}{n}" for n in range(6000)] + [None] * 50, len(claims)) for word in "py")
    return claims.assign(policy=policies, person=people)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_policy_and_no_person_lies_in_two_windows(seed: int) -> None:
    claims = named(toy_claims(seed=seed), seed)
    found = grouped(claims)
    by_key = claims.set_index(claims["claim"].map(digest_key))
    for name in ("policy", "person"):
        sides = [set(by_key.loc[frame["key_sha256"], name].dropna()) for frame in found.frames.values()]
        assert sum(map(len, sides)) == len(set.union(*sides))


def test_the_earlier_claim_of_a_group_is_left_out_and_the_test_window_stays_whole() -> None:
    claims = named(toy_claims(), 0)
    found = grouped(claims)
    whole = split(toy_claims())
    pd.testing.assert_frame_equal(found.frames["test"], whole.frames["test"])
    lost = sum(whole.windows[name].rows - found.windows[name].rows for name in ("train", "validation"))
    assert found.left_out == {"shared_group": lost}
    assert lost > 0


def test_claims_whose_policy_is_not_known_share_none() -> None:
    claims = toy_claims().assign(policy=None, person=None)
    assert grouped(claims).left_out == {}


def test_a_claim_that_nobody_learns_from_keeps_no_other_out() -> None:
    claims = toy_claims().assign(policy=[f"p{n}" for n in range(1600)], person=None)
    claims.loc[claims.index[-1], ["policy", "outcome"]] = ["p0", None]
    assert grouped(claims).left_out == {"unlabelled": 1}


def test_labels_and_key_columns_never_become_features() -> None:
    frame = split(toy_claims()).frames["train"]
    assert list(frame.columns) == [
        *(column.name for column in toy_contract().features),
        "key_sha256",
        "event_time",
        "label",
    ]


def test_a_feature_cannot_take_the_name_of_the_label() -> None:
    columns = [{**c, "name": "label"} if c["name"] == "garage" else c for c in CONTRACT["columns"]]
    contract = Contract.model_validate({**CONTRACT, "columns": columns}, strict=False)
    with pytest.raises(BadInput, match="may not be named `label`"):
        split_claims(toy_claims().rename(columns={"garage": "label"}), contract, AS_OF, set(), PARAMS)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_too_few_frauds_name_the_window(name: str) -> None:
    claims = toy_claims()
    window = split(claims).windows[name]
    inside = (claims["event_time"] >= window.begin) & (claims["event_time"] < window.end)
    claims.loc[inside, "outcome"] = "clear"
    with pytest.raises(Undefined, match=f"the {name} window") as caught:
        split(claims)
    assert caught.value.facts["window"] == name


def test_a_window_of_frauds_only_is_undefined() -> None:
    claims = toy_claims()
    claims.loc[claims["event_time"] >= "2024-07-01", "outcome"] = "fraud"
    with pytest.raises(Undefined, match=r"the test window .* frauds only"):
        split(claims)


def test_no_claims_at_all_is_undefined() -> None:
    with pytest.raises(Undefined, match="the train window"):
        split(toy_claims().iloc[:0])


@pytest.mark.parametrize(
    ("day", "months", "earlier"),
    [
        (date(1997, 1, 1), 12, date(1996, 1, 1)),
        (date(2025, 1, 3), 12, date(2024, 1, 3)),
        (date(2024, 3, 31), 1, date(2024, 2, 29)),
        (date(2024, 1, 15), 1, date(2023, 12, 15)),
    ],
)
def test_months_are_calendar_months(day: date, months: int, earlier: date) -> None:
    assert months_before(day, months) == earlier


def test_equal_claims_in_any_order_give_equal_bytes(tmp_path: Path) -> None:
    claims = toy_claims()
    for name, frame in (("a", claims), ("b", claims.sample(frac=1, random_state=1))):
        write_window(split(frame).frames["train"], tmp_path / name, toy_contract())
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b")


def test_a_written_window_reads_back_with_its_missing_values(tmp_path: Path) -> None:
    frame = split(toy_claims()).frames["train"]
    write_window(frame, tmp_path / "train.parquet", toy_contract())
    read = read_window(tmp_path, "train")
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)
    assert read["address change"].isna().sum() > 0
    assert read["age_years"].isna().sum() > 0
    assert read["label"].dtype == "int8"


# --- the stage, on a snapshot folder as the data room writes it ---


def pinned(root: Path, *, outcome: Outcome = Outcome.PASSED) -> Workspace:
    """Return a workspace with a pinned snapshot, its fold, its verdict and two rows set aside."""
    workspace, _ = toy_workspace(root)
    claims = toy_claims()
    partition = workspace.snapshot / "log" / "2024-12.parquet"
    partition.parent.mkdir(parents=True)
    source = claims.drop(columns=["event_time", "recorded_at"])
    source.assign(
        event_time=claims["event_time"], recorded_at=claims["recorded_at"], landed_at=claims["recorded_at"]
    ).to_parquet(partition, index=False)
    manifest = SnapshotManifest(
        "toy", AS_OF.isoformat(), "", len(claims), {"log/2024-12.parquet": file_digest(partition)}, ()
    )
    manifest = dataclasses.replace(manifest, digest=manifest.content_digest())
    save(manifest, workspace.snapshot_manifest)
    open_snapshot(workspace.snapshot, toy_contract()).fold_into(workspace.claims, None)
    aside = [SetAside(digest_key(key), "DATA101") for key in ("c00001", "c00002")]
    write_quarantine(aside, workspace.quarantine)
    finding = Finding("DATA001", "rows", Severity.STOP, outcome, "≥ 1", "0")
    verdict = Verdict.of("snapshot toy", manifest.digest, [finding], rows=len(claims), quarantined_rows=len(aside))
    save(verdict, workspace.validation_verdict)
    return workspace


def test_the_stage_writes_windows_whose_counts_add_up(tmp_path: Path) -> None:
    workspace = pinned(tmp_path)
    report = build_windows(workspace, PARAMS)
    rows = report.train.rows + report.validation.rows + report.test.rows
    assert rows + sum(report.left_out.values()) == report.claims
    assert report.left_out == {"quarantined": 2}
    assert report.as_of == AS_OF.isoformat()
    assert len(read_window(workspace.features, "test")) == report.test.rows


def test_the_stage_twice_gives_equal_bytes(tmp_path: Path) -> None:
    workspace = pinned(tmp_path)
    digests = []
    for _ in range(2):
        build_windows(workspace, PARAMS)
        digests.append({path.name: file_digest(path) for path in workspace.features.iterdir()})
    assert digests[0] == digests[1]


def test_nothing_is_built_from_a_rejected_snapshot(tmp_path: Path) -> None:
    workspace = pinned(tmp_path, outcome=Outcome.FAILED)
    before = file_digest(workspace.features / "train.parquet")
    with pytest.raises(NotAccepted, match="DATA001"):
        build_windows(workspace, PARAMS)
    assert file_digest(workspace.features / "train.parquet") == before


def test_a_verdict_on_another_snapshot_is_refused(tmp_path: Path) -> None:
    workspace = pinned(tmp_path)
    judged = json.loads(workspace.validation_verdict.read_text())
    workspace.validation_verdict.write_text(json.dumps({**judged, "subject_digest": hashlib.sha256(b"").hexdigest()}))
    with pytest.raises(NotAccepted, match="something else"):
        build_windows(workspace, PARAMS)


def test_rows_taken_out_of_quarantine_behind_the_verdict_are_noticed(tmp_path: Path) -> None:
    workspace = pinned(tmp_path)
    write_quarantine([], workspace.quarantine)
    with pytest.raises(Tampered, match="fewer claims"):
        build_windows(workspace, PARAMS)


@pytest.mark.parametrize("name", ["claims/2024-11.parquet", "claims/manifest.json", "snapshot/manifest.json"])
def test_a_changed_byte_of_the_judged_claims_is_noticed_before_anything_is_built(tmp_path: Path, name: str) -> None:
    workspace = pinned(tmp_path)
    path = workspace.claims.parent / name
    flip_a_byte(path)
    with pytest.raises(Tampered) as noticed:
        build_windows(workspace, PARAMS)
    assert noticed.value.facts["path"] == str(path)


def test_a_snapshot_of_an_unknown_dataset_is_bad_input(tmp_path: Path) -> None:
    workspace = pinned(tmp_path)
    (workspace.expectations / "toy" / "contract.yaml").unlink()
    with pytest.raises(BadInput, match="no contract for dataset"):
        build_windows(workspace, PARAMS)
