"""One contract for every model family: a new row in FAMILIES is tested here without another line."""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fraud_ml.artifacts import ModelManifest, load
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.features.split import split_claims
from fraud_ml.models import FAMILIES, export_model, fit_family, load_model, verify_model
from fraud_ml.models.coding import Coder
from fraud_ml.models.family import Calibration, Examples, Family
from fraud_ml.models.inputs import Inputs, describe_inputs, read_columns
from fraud_ml.params import TrainingParams
from tests.tampering import flip_a_byte
from tests.toy_claims import AS_OF, toy_claims, toy_contract, toy_params

PARAMS = toy_params()
CONTRACT = toy_contract()
SPLIT = split_claims(toy_claims(), CONTRACT, AS_OF, set(), PARAMS.features)
TEST = SPLIT.frames["test"]
INPUTS = describe_inputs(SPLIT.frames["train"], CONTRACT.features)
TRAIN, VALIDATION = (
    Examples(read_columns(SPLIT.frames[name], INPUTS), SPLIT.frames[name]["label"].to_numpy())
    for name in ("train", "validation")
)
CALIBRATION = Calibration(slope=0.9, intercept=-0.1)


@dataclass(frozen=True)
class Exported:
    name: str
    model: Family
    inputs: Inputs
    folder: Path
    manifest: ModelManifest


def fit(name: str, seed: int = 7) -> tuple[Family, Inputs]:
    params = PARAMS.training.model_copy(update={"seed": seed})
    return fit_family(name, INPUTS, TRAIN, VALIDATION, params, progress=lambda _: None, fitted={}), INPUTS


@pytest.fixture(scope="module", params=list(FAMILIES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    model, inputs = fit(request.param)
    manifest = export_model(folder, request.param, model, inputs, CALIBRATION)
    return Exported(request.param, model, inputs, folder, manifest)


def copy_of(exported: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "model"))


def test_every_family_has_its_knobs_in_params() -> None:
    assert get_args(get_args(TrainingParams.model_fields["families"].annotation)[0]) == tuple(FAMILIES)
    assert set(FAMILIES) <= set(TrainingParams.model_fields)


def test_the_loaded_model_answers_as_the_trained_one_calibrated(exported: Exported) -> None:
    logits = exported.model.logits(read_columns(TEST, exported.inputs))
    expected = 1 / (1 + np.exp(-(CALIBRATION.slope * logits + CALIBRATION.intercept)))
    np.testing.assert_allclose(load_model(exported.folder).predict(TEST), expected, atol=1e-6)


def test_it_has_learned_something(exported: Exported) -> None:
    predicted = load_model(exported.folder).predict(TEST)
    assert predicted[TEST["label"] == 1].mean() > 1.3 * predicted[TEST["label"] == 0].mean()


def test_answers_are_probabilities_one_a_claim(exported: Exported) -> None:
    predicted = load_model(exported.folder).predict(TEST)
    assert predicted.shape == (len(TEST),)
    assert predicted.dtype == np.float64
    assert ((predicted >= 0) & (predicted <= 1)).all()


def test_no_claims_are_answered_with_no_probabilities(exported: Exported) -> None:
    assert load_model(exported.folder).predict(TEST.iloc[:0]).shape == (0,)


def test_a_claims_answer_does_not_depend_on_its_neighbours(exported: Exported) -> None:
    predictor = load_model(exported.folder)
    alone = np.concatenate([predictor.predict(TEST.iloc[[row]]) for row in range(10)])
    np.testing.assert_allclose(alone, predictor.predict(TEST)[:10], atol=1e-6)


def test_coded_claims_are_answered_as_the_claims_themselves(exported: Exported) -> None:
    odd = TEST.copy()
    odd.loc[odd.index[:3], "garage"] = ["never seen", None, "never seen"]
    odd.loc[odd.index[2:5], "age_years"] = np.nan
    rows = pa.RecordBatch.from_pandas(odd[list(exported.inputs.names)], preserve_index=False)
    encoded = pa.RecordBatch.from_arrays(
        [one.dictionary_encode() if pa.types.is_string(one.type) else one for one in rows.columns], rows.schema.names
    )
    predictor, coder = load_model(exported.folder), Coder(exported.inputs)
    expected = predictor.predict(odd)
    for coded in (
        coder.code(read_columns(odd, exported.inputs)),
        coder.code_batch(rows),
        coder.code_batch(encoded),
    ):
        np.testing.assert_allclose(predictor.opened.answer_coded(coded), expected, atol=1e-6)


REST = {"keras_tabular": 0.1, "blend": 0.1}  # log-odds that integrated gradients leave over; others add up exactly


def test_reasons_add_up_to_the_log_odds_of_what_is_answered(exported: Exported) -> None:
    odd = TEST.copy()
    odd.loc[odd.index[:3], "garage"] = ["never seen", None, "never seen"]
    odd.loc[odd.index[2:5], "age_years"] = np.nan
    told = load_model(exported.folder).opened.explain(read_columns(odd, exported.inputs))
    probability = load_model(exported.folder).predict(odd)
    assert told.contributions.shape == (len(odd), len(exported.inputs.columns))
    rest = np.log(probability / (1 - probability)) - told.base - told.contributions.sum(axis=1)
    np.testing.assert_allclose(rest, 0, atol=REST.get(exported.name, 1e-4))


def test_reasons_name_the_columns_that_made_the_frauds(exported: Exported) -> None:
    """Frauds were made of `fault` and `address change` together; chance would name both for 1 risky claim in 10."""
    told = load_model(exported.folder).opened.explain(read_columns(TEST, exported.inputs))
    risky = ((TEST["fault"] == "third party") & (TEST["address change"] == "recent")).to_numpy()
    first_two = np.sort(np.argsort(-told.contributions[risky], axis=1)[:, :2], axis=1)
    made_by = sorted(exported.inputs.names.index(name) for name in ("fault", "address change"))
    assert (first_two == made_by).all(axis=1).mean() > 0.5


def test_an_unseen_category_and_a_claim_without_anything_are_answered(exported: Exported) -> None:
    odd = TEST.iloc[:2].copy()
    for column in CONTRACT.features:
        odd[column.name] = pd.Series(["never seen", None], index=odd.index) if column.kind == "category" else np.nan
    predicted = load_model(exported.folder).predict(odd)
    assert np.isfinite(predicted).all()
    assert (predicted < 0.9).all()


def test_column_order_and_further_columns_do_not_matter(exported: Exported) -> None:
    predictor = load_model(exported.folder)
    turned = TEST[list(reversed(TEST.columns))].assign(more=1)
    np.testing.assert_array_equal(predictor.predict(turned), predictor.predict(TEST))


def test_a_wrong_type_at_scoring_is_bad_input_naming_the_column(exported: Exported) -> None:
    with pytest.raises(BadInput, match="column `age_years` is not a number"):
        load_model(exported.folder).predict(TEST.assign(age_years="old"))
    with pytest.raises(BadInput, match="column `garage` is not there"):
        load_model(exported.folder).predict(TEST.drop(columns="garage"))


def test_training_again_gives_the_same_model_digest_and_another_seed_another_where_anything_is_drawn(
    exported: Exported, tmp_path: Path
) -> None:
    digests = {}
    for seed in (7, 8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        model, inputs = fit(exported.name, seed)
        digests[seed] = export_model(folder, exported.name, model, inputs, CALIBRATION).model_digest
    assert digests[7] == exported.manifest.model_digest
    assert (digests[8] != exported.manifest.model_digest) == exported.model.is_drawn


def test_learning_again_from_the_same_claims_gives_the_same_model(exported: Exported, tmp_path: Path) -> None:
    again = exported.model.refit(exported.inputs, TRAIN, progress=lambda _: None)
    same = export_model(tmp_path, exported.name, again, exported.inputs, CALIBRATION)
    assert same.model_digest == exported.manifest.model_digest


def test_another_calibration_is_another_model(exported: Exported, tmp_path: Path) -> None:
    other = export_model(tmp_path, exported.name, exported.model, exported.inputs, Calibration(1.0, 0.0))
    assert other.model_digest != exported.manifest.model_digest


def test_the_untouched_folder_is_verified_wherever_it_lies(exported: Exported, tmp_path: Path) -> None:
    moved = copy_of(exported, tmp_path)
    predictor = verify_model(moved, exported.manifest)
    np.testing.assert_array_equal(predictor.predict(TEST), load_model(exported.folder).predict(TEST))


def test_one_changed_byte_in_any_file_is_named_before_anything_is_loaded(exported: Exported, tmp_path: Path) -> None:
    for name in exported.manifest.files:
        moved = copy_of(exported, tmp_path)
        flip_a_byte(moved / name)
        for load_it in (lambda at: verify_model(at, exported.manifest), load_model):
            with pytest.raises(Tampered, match=f"{name}: its bytes differ"):
                load_it(moved)
        shutil.rmtree(moved)


def test_a_missing_an_added_and_a_linked_file_are_refused(exported: Exported, tmp_path: Path) -> None:
    name = sorted(exported.manifest.files)[0]
    moved = copy_of(exported, tmp_path)
    (moved / "more.py").write_text("import os")
    with pytest.raises(Tampered, match=r"more\.py: it is there, but not listed"):
        verify_model(moved, exported.manifest)
    (moved / "more.py").unlink()
    (moved / name).unlink()
    with pytest.raises(Tampered, match=f"{name}: it is listed in the manifest, but not there"):
        verify_model(moved, exported.manifest)
    (moved / name).symlink_to(exported.folder / name)
    with pytest.raises(Tampered, match=f"{name}: its bytes differ"):
        verify_model(moved, exported.manifest)


def test_a_whole_model_that_is_not_the_recorded_one_is_refused(exported: Exported, tmp_path: Path) -> None:
    recorded = dataclasses.replace(exported.manifest, model_digest="0" * 64)
    with pytest.raises(Tampered, match="not the manifest that was recorded"):
        verify_model(exported.folder, recorded)


def test_a_list_of_files_that_its_digest_does_not_cover_is_refused(exported: Exported, tmp_path: Path) -> None:
    moved = copy_of(exported, tmp_path)
    (moved / "more.py").write_text("")
    files = {**exported.manifest.files, "more.py": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    with pytest.raises(Tampered, match="its list of files is not the one"):
        verify_model(moved, dataclasses.replace(exported.manifest, files=files))


def test_a_model_that_answers_golden_claims_otherwise_is_refused(exported: Exported, tmp_path: Path) -> None:
    moved = copy_of(exported, tmp_path)
    golden = json.loads((moved / "golden.json").read_text())
    golden["predictions"][0] += 1e-4
    (moved / "golden.json").write_text(json.dumps(golden))
    manifest = sealed(moved, exported.manifest)
    with pytest.raises(Tampered, match="does not answer its golden claims"):
        verify_model(moved, manifest)


def test_a_model_whose_words_are_looked_up_otherwise_than_it_learned_them_is_refused(
    exported: Exported, tmp_path: Path
) -> None:
    moved = copy_of(exported, tmp_path)
    inputs = json.loads((moved / "inputs.json").read_text())
    for column in inputs["columns"]:
        column["vocabulary"] = list(reversed(column["vocabulary"]))
    (moved / "inputs.json").write_text(json.dumps(inputs))
    manifest = sealed(moved, exported.manifest)
    if exported.name == "random_forest":  # it looks words up by themselves: their order means nothing
        verify_model(moved, manifest)
        return
    with pytest.raises(Tampered, match="does not answer its golden claims"):
        verify_model(moved, manifest)


def test_a_model_exported_by_earlier_code_answers_and_says_that_it_gives_no_reasons(
    exported: Exported, tmp_path: Path
) -> None:
    if exported.name != "logistic":  # all of TensorFlow's are stored alike; the forest is stored as it always was
        return
    from fraud_ml.models.tensorflow_runtime import tf

    moved = copy_of(exported, tmp_path)
    loaded = tf.saved_model.load(str(moved / "saved_model"))
    shutil.rmtree(moved / "saved_model")
    only = {"serving_default": loaded.signatures["serving_default"]}
    tf.saved_model.save(loaded, str(moved / "saved_model"), signatures=only)
    predictor = verify_model(moved, sealed(moved, exported.manifest))
    coded = Coder(exported.inputs).code(read_columns(TEST, exported.inputs))
    np.testing.assert_allclose(predictor.opened.answer_coded(coded), predictor.predict(TEST), atol=1e-6)
    with pytest.raises(BadInput, match="exported by earlier code and gives no reasons"):
        predictor.reasons(TEST, 3)


def test_a_family_nobody_knows_is_bad_input(exported: Exported, tmp_path: Path) -> None:
    moved = copy_of(exported, tmp_path)
    content = json.loads((moved / "model.json").read_text())
    (moved / "model.json").write_text(json.dumps({**content, "family": "oracle"}))
    with pytest.raises(BadInput, match="unknown model family `oracle`"):
        load_model(moved)


def test_a_listed_file_that_is_no_model_is_bad_input(exported: Exported, tmp_path: Path) -> None:
    moved = copy_of(exported, tmp_path)
    largest = max(exported.manifest.files, key=lambda name: (moved / name).stat().st_size)
    (moved / largest).write_bytes(b"nothing of the kind")
    sealed(moved, exported.manifest)
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_model(moved)


def sealed(folder: Path, manifest: ModelManifest) -> ModelManifest:
    """Write and return a manifest that fits the folder's files, as an attacker with a hash function would."""
    from fraud_ml.artifacts import file_digest, save
    from fraud_ml.models.manifest import files_of

    files = {name: file_digest(folder / name) for name in files_of(folder)}
    changed = dataclasses.replace(manifest, files=files, artifact_digest=ModelManifest.digest_files(files))
    save(changed, folder / "model.json")
    assert load(ModelManifest, folder / "model.json") == changed
    return changed
