"""A blend gives weight to what fits validation, none to what does not, and fits nobody twice."""

import numpy as np
import pytest

from fraud_ml.features.split import split_claims
from fraud_ml.models import fit_family
from fraud_ml.models.blend import Blend
from fraud_ml.models.calibrate import calibrated_losses
from fraud_ml.models.family import Examples, Family
from fraud_ml.models.inputs import describe_inputs, read_columns
from tests.toy_claims import AS_OF, toy_claims, toy_contract, toy_params

PARAMS = toy_params().training
FRAMES = split_claims(toy_claims(), toy_contract(), AS_OF, set(), toy_params().features).frames
INPUTS = describe_inputs(FRAMES["train"], toy_contract().features)
TRAIN, VALIDATION = (
    Examples(read_columns(FRAMES[name], INPUTS), FRAMES[name]["label"].to_numpy()) for name in ("train", "validation")
)


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def fitted() -> dict[str, Family]:
    done: dict[str, Family] = {}
    for name in ("boosted_trees", "logistic"):
        fit_family(name, INPUTS, TRAIN, VALIDATION, PARAMS, progress=quiet, fitted=done)
    return done


def test_of_all_weights_that_fit_validation_as_well_as_the_best_it_takes_the_most_of_the_first_part(
    fitted: dict[str, Family],
) -> None:
    knobs = PARAMS.blend.model_copy(update={"steps": 10})
    blend = Blend.join(INPUTS, fitted, VALIDATION, knobs, progress=quiet)
    trees, additive = (fitted[name].logits(VALIDATION.columns) for name in ("boosted_trees", "logistic"))
    losses = {
        share: calibrated_losses(share * trees + (1 - share) * additive, VALIDATION.labels)
        for share in np.linspace(1, 0, 11).round(1)
    }
    lowest = min(losses.values(), key=np.mean)
    as_good = [
        share for share, loss in losses.items() if (loss - lowest).mean() <= (loss - lowest).std() / len(loss) ** 0.5
    ]
    taken = dict(zip(blend.parts, blend.shares.tolist(), strict=True)).get("boosted_trees", 0.0)
    assert taken == pytest.approx(max(as_good))


def test_a_part_that_is_seen_to_add_something_is_taken(fitted: dict[str, Family]) -> None:
    parts = {name: fitted[name] for name in ("logistic", "boosted_trees")}  # logistic alone cannot see the pair
    blend = Blend.join(INPUTS, parts, VALIDATION, PARAMS.blend, progress=quiet)
    assert "boosted_trees" in blend.parts


def test_the_blend_is_the_weighted_mean_of_its_parts(fitted: dict[str, Family]) -> None:
    blend = Blend(INPUTS, fitted, np.array([0.25, 0.75], np.float32))
    mean = sum(
        share * fitted[name].logits(VALIDATION.columns) for name, share in (("boosted_trees", 0.25), ("logistic", 0.75))
    )
    np.testing.assert_allclose(blend.logits(VALIDATION.columns), mean, atol=1e-5)


def test_a_part_without_weight_is_not_in_the_model(fitted: dict[str, Family]) -> None:
    blend = Blend(INPUTS, fitted, np.array([1.0, 0.0], np.float32))
    assert list(blend.parts) == ["boosted_trees"]
    np.testing.assert_array_equal(blend.logits(VALIDATION.columns), fitted["boosted_trees"].logits(VALIDATION.columns))


def test_parts_that_stand_already_are_not_fitted_again(fitted: dict[str, Family]) -> None:
    done, said = dict(fitted), []
    knobs = PARAMS.blend.model_copy(update={"families": ("boosted_trees", "logistic")})
    params = PARAMS.model_copy(update={"blend": knobs})
    fit_family("blend", INPUTS, TRAIN, VALIDATION, params, progress=said.append, fitted=done)
    assert len(said) == 1
    assert "validation log loss" in said[0]
    assert set(done) == {"blend", "boosted_trees", "logistic"}
