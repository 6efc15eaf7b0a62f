"""When a model trained again is the same: to the bit, or, where something else computed it, within the tolerance."""

import numpy as np
import pytest

from fraud_ml.artifacts import Candidate, ModelManifest
from fraud_ml.reproduce import TOLERANCE, Reproduction, judge

HERE = {"code": "c0de", "python": "3.11.2", "tensorflow": "2.21.0", "lock": "10c4", "cpu": "x86_64 A 25", "gpu": "none"}
GOLDEN = np.linspace(0.1, 0.9, 9)


def judged(*, model: str = "same", golden: np.ndarray = GOLDEN, recorded: dict[str, str] | None = None) -> Reproduction:
    candidate = Candidate("motor", "2025-12-31", "logistic", "s", "p", "same", "a", "e").sealed()
    return judge(
        candidate,
        ModelManifest("logistic", model, "a", {}, ()),
        GOLDEN,
        golden,
        recorded_environment=HERE if recorded is None else recorded,
        environment=HERE,
    )


def test_equal_bits_are_the_same_model() -> None:
    found = judged()
    assert found.is_same
    assert (found.judged_by, found.tolerance, found.golden_equal, found.farthest) == ("bits", 0.0, 9, 0.0)


@pytest.mark.parametrize("recorded", [HERE, {}])
def test_in_the_same_environment_the_smallest_difference_is_another_model(recorded: dict[str, str]) -> None:
    found = judged(model="other", golden=np.nextafter(GOLDEN, 1), recorded=recorded)
    assert not found.is_same
    assert (found.judged_by, found.golden_equal) == ("bits", 0)


@pytest.mark.parametrize("name", ["cpu", "gpu", "lock", "python", "tensorflow", "code"])
def test_in_another_environment_golden_predictions_decide_and_it_is_said(name: str) -> None:
    recorded = {**HERE, name: "another"}
    near = judged(model="other", golden=GOLDEN + TOLERANCE / 2, recorded=recorded)
    assert near.is_same
    assert (near.judged_by, near.tolerance) == ("tolerance", TOLERANCE)
    assert [(one.name, one.recorded, one.here) for one in near.differences] == [(name, "another", HERE[name])]
    assert not judged(model="other", golden=GOLDEN + TOLERANCE * 2, recorded=recorded).is_same


def test_another_number_of_golden_claims_is_another_model() -> None:
    found = judged(model="other", golden=GOLDEN[:-1], recorded={**HERE, "cpu": "another"})
    assert (found.is_same, found.golden_equal, found.farthest) == (False, 0, 1.0)
