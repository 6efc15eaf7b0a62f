"""A promotion is only a message: what a scorer must see in it before it believes it."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fraud_ml.artifacts import Outcome, evaluation_digest
from fraud_ml.errors import BadInput, NotAccepted, NotApproved, Tampered
from fraud_ml.events import Event
from fraud_ml.governance.keys import read_approvers
from fraud_ml.serving.deployer import required_approvals
from fraud_ml.serving.deployment import Deployment, read_promotion
from fraud_ml.settings import Settings
from tests.toy_models import METRICS, judged, people, promotion, registered_body, seal, sign
from tests.unit.serving.conftest import Exported


@pytest.fixture
def promoted(forest: Exported, tmp_path: Path) -> Event:
    candidate = seal(forest.manifest)
    body = registered_body(forest.manifest, candidate, model_uri="s3://mlflow/1/model", version="3")
    return promotion(body, sign(candidate.digest, people(tmp_path, "ada", "bo")), sequence=9)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Deployment]:
    def act(event: Event, *, at_least: int = 2) -> Deployment:
        return read_promotion(event, approvers=read_approvers(tmp_path / "approvers.json"), at_least=at_least)

    return act


def changed(event: Event, **data: Any) -> Event:
    return replace(event, data={**copy.deepcopy(dict(event.data)), **data})


def test_whole_and_approved_promotion_is_read(promoted: Event, read: Callable[..., Deployment]) -> None:
    deployment = read(promoted)
    assert (deployment.dataset, deployment.version, deployment.sequence) == ("motor", "3", 9)
    assert deployment.candidate.digest == promoted.subject


@pytest.mark.parametrize("field", ["snapshot_digest", "artifact_digest", "params_digest", "dataset", "digest"])
def test_changed_candidate_is_tampered(promoted: Event, read: Callable[..., Deployment], field: str) -> None:
    candidate = {**promoted.data["candidate"], field: "f" * 64}
    with pytest.raises(Tampered):
        read(changed(promoted, candidate=candidate))


def test_exchanged_model_is_tampered(promoted: Event, read: Callable[..., Deployment], other_forest: Exported) -> None:
    other = registered_body(other_forest.manifest, seal(other_forest.manifest), model_uri="s3://mlflow/2/model")
    with pytest.raises(Tampered, match="not the candidate's"):
        read(changed(promoted, manifest=other["manifest"]))


def test_changed_list_of_files_is_tampered(promoted: Event, read: Callable[..., Deployment]) -> None:
    manifest = copy.deepcopy(promoted.data["manifest"])
    manifest["files"]["forest.skops"] = "f" * 64
    with pytest.raises(Tampered, match="list of files"):
        read(changed(promoted, manifest=manifest))


def test_approvals_of_another_candidate_do_not_count(
    promoted: Event, read: Callable[..., Deployment], other_forest: Exported
) -> None:
    other = seal(other_forest.manifest)
    body = registered_body(other_forest.manifest, other, model_uri="s3://mlflow/2/model")
    with pytest.raises(NotApproved, match="another digest"):
        read(changed(promoted, **body, candidate_digest=other.digest))


def test_promotion_of_another_dataset_is_tampered(promoted: Event, read: Callable[..., Deployment]) -> None:
    with pytest.raises(Tampered, match="another dataset"):
        read(changed(promoted, dataset="home"))


def test_exchanged_evaluation_is_tampered(promoted: Event, read: Callable[..., Deployment]) -> None:
    better = {**promoted.data["evaluation"], "metrics": {"average_precision": 0.99, "rows": 12}}
    with pytest.raises(Tampered, match="evaluation"):
        read(changed(promoted, evaluation=better))


def test_rejected_candidate_is_not_accepted_whoever_approved_it(
    forest: Exported, read: Callable[..., Deployment], tmp_path: Path
) -> None:
    verdict = judged(forest.manifest, Outcome.FAILED)
    candidate = replace(seal(forest.manifest), evaluation_digest=evaluation_digest(METRICS, verdict)).sealed()
    body = registered_body(forest.manifest, candidate, model_uri="s3://mlflow/1/model")
    body["evaluation"]["verdict"] = verdict
    event = promotion(body, sign(candidate.digest, people(tmp_path, "ada", "bo")), sequence=9)
    with pytest.raises(NotAccepted):
        read(event)


def test_one_approval_is_not_enough_even_if_the_message_says_so(
    promoted: Event, read: Callable[..., Deployment]
) -> None:
    with pytest.raises(NotApproved):
        read(changed(promoted, approvals=promoted.data["approvals"][:1], required_approvals=1))


def test_two_approvals_of_one_person_are_one(promoted: Event, read: Callable[..., Deployment]) -> None:
    with pytest.raises(NotApproved):
        read(changed(promoted, approvals=[promoted.data["approvals"][0]] * 2))


def test_message_may_ask_for_more_people(promoted: Event, read: Callable[..., Deployment]) -> None:
    with pytest.raises(NotApproved, match="3 distinct"):
        read(changed(promoted, required_approvals=3))


def test_people_that_this_scorer_does_not_know_do_not_count(
    promoted: Event, read: Callable[..., Deployment], tmp_path: Path
) -> None:
    (tmp_path / "approvers.json").unlink()
    people(tmp_path / "elsewhere", "ada", "bo")
    (tmp_path / "elsewhere" / "approvers.json").rename(tmp_path / "approvers.json")
    with pytest.raises(NotApproved, match="not theirs"):
        read(promoted)


@pytest.mark.parametrize(
    "field",
    ["sequence", "candidate", "manifest", "approvals", "version", "model_uri", "required_approvals", "evaluation"],
)
def test_part_that_is_absent_or_of_another_kind_is_bad_input(
    promoted: Event, read: Callable[..., Deployment], field: str
) -> None:
    without = {name: value for name, value in promoted.data.items() if name != field}
    for event in (replace(promoted, data=without), changed(promoted, **{field: [None]})):
        with pytest.raises(BadInput, match="not whole"):
            read(event)


def test_address_outside_the_object_store_is_bad_input(promoted: Event, read: Callable[..., Deployment]) -> None:
    with pytest.raises(BadInput, match="s3://"):
        read(changed(promoted, model_uri="file:///etc"))


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/../../b", "./a"])
def test_file_outside_the_models_folder_is_tampered(forest: Exported, name: str) -> None:
    from fraud_ml.artifacts import ModelManifest
    from tests.toy_models import deployment_of

    files = {name: "f" * 64}
    manifest = replace(forest.manifest, files=files, artifact_digest=ModelManifest.digest_files(files))
    with pytest.raises(Tampered, match="outside"):
        deployment_of(manifest, model_uri="s3://mlflow/1/model").require_whole()


def test_floor_is_two_people_unless_this_place_says_otherwise(tmp_path: Path) -> None:
    assert required_approvals(Settings(tmp_path, {})) == 2
    assert required_approvals(Settings(tmp_path, {"FRAUD_ML_REQUIRED_APPROVALS": "3"})) == 3
    for wrong in ("0", "-1", "two"):
        with pytest.raises(BadInput):
            required_approvals(Settings(tmp_path, {"FRAUD_ML_REQUIRED_APPROVALS": wrong}))
