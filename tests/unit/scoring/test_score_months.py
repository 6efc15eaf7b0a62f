"""A fold in, scores out: what stands in a row, what is made again and what is not, and what is refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fraud_ml.artifacts import FoldManifest, file_digest, load
from fraud_ml.contract import Contract
from fraud_ml.data.fold import MANIFEST as FOLD
from fraud_ml.data.subject_keys import SnapshotKeys, SubjectKey
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.models import export_model, fit_family, load_model
from fraud_ml.models.family import Calibration, Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.scoring.batch import Scored, score_fold
from fraud_ml.scoring.model import BatchModel
from fraud_ml.scoring.months import MANIFEST, RECORDS, ScoresFolder, read_manifest
from tests.tampering import flip_a_byte
from tests.toy_claims import AS_OF, toy_claims, toy_contract, toy_params, write_fold
from tests.toy_models import seal

NOBODY = SnapshotKeys("", {})


@dataclass(frozen=True)
class Claims:
    folder: Path
    frame: pd.DataFrame
    contract: Contract

    @property
    def fold(self) -> FoldManifest:
        return load(FoldManifest, self.folder / FOLD)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BatchModel:
    frame, contract = toy_claims(), toy_contract()
    inputs = describe_inputs(frame, contract.features)
    examples = Examples(read_columns(frame, inputs), (frame["outcome"] == "fraud").to_numpy(np.int8))
    fitted = fit_family(
        "boosted_trees", inputs, examples, examples, toy_params().training, progress=lambda _: None, fitted={}
    )
    folder = tmp_path_factory.mktemp("model")
    manifest = export_model(folder, "boosted_trees", fitted, inputs, Calibration())
    return BatchModel("3", seal(manifest, dataset="toy"), 0.2, load_model(folder))


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    frame, contract = toy_claims(), toy_contract()
    write_fold(tmp_path / "claims", frame, contract, AS_OF)
    return Claims(tmp_path / "claims", frame, contract)


@pytest.fixture
def score(claims: Claims, model: BatchModel, tmp_path: Path) -> Callable[..., Scored]:
    def act(other: BatchModel = model, keys: SnapshotKeys = NOBODY, reasons: int = 3) -> Scored:
        place = ScoresFolder(tmp_path / "scores")
        return score_fold(
            claims.folder, claims.fold, claims.contract, keys, other, place, lambda _: None, reasons=reasons
        )

    return act


def rows_in(folder: Path) -> pd.DataFrame:
    return pd.concat([parquet.read_table(file).to_pandas() for file in sorted(folder.glob("*.parquet"))])


def written(folder: Path) -> dict[str, tuple[str, int]]:
    return {file.name: (file_digest(file), file.stat().st_mtime_ns) for file in folder.glob("*.parquet")}


def test_every_claim_has_the_probability_that_the_model_gives_it_alone(
    claims: Claims, model: BatchModel, score: Callable[..., Scored], tmp_path: Path
) -> None:
    told = score().manifest
    rows = rows_in(tmp_path / "scores").set_index("claim")
    frame = claims.frame.set_index("claim")
    assert set(rows.index) == set(frame.index)
    expected = pd.Series(model.predictor.predict(claims.frame), frame.index)
    np.testing.assert_allclose(rows["probability"], expected[rows.index], atol=1e-6)
    assert (rows["to_investigate"] == (rows["probability"] >= 0.2)).all()
    assert 0 < told.flagged == rows["to_investigate"].sum() < told.claims == len(frame)
    assert (rows["event_time"] == frame.loc[rows.index, "event_time"]).all()
    assert set(rows["model_version"]) == {"3"}
    assert set(rows["candidate_digest"]) == {model.candidate.digest}


def test_a_row_holds_the_key_and_no_other_word_of_the_claim(score: Callable[..., Scored], tmp_path: Path) -> None:
    score()
    file = sorted((tmp_path / "scores").glob("*.parquet"))[0]
    assert parquet.read_schema(file).names == [
        "claim",
        "event_time",
        "probability",
        "to_investigate",
        "reasons",
        "model_version",
        "candidate_digest",
    ]


def test_claims_to_investigate_say_why_in_words_and_the_others_say_nothing(
    claims: Claims, score: Callable[..., Scored], tmp_path: Path
) -> None:
    score(reasons=2)
    rows = rows_in(tmp_path / "scores").set_index("claim")
    assert (rows["reasons"].map(len) <= 2).all()
    assert (rows["reasons"].map(len) > 0)[rows["to_investigate"]].all()
    assert (rows["reasons"].map(len) == 0)[~rows["to_investigate"]].all()
    said = set(rows["reasons"].explode().dropna())
    words = r"(garage|fault|address change|age \(years\)|amount \(EUR\)) speaks (strongly|clearly|slightly) for fraud"
    assert all(re.fullmatch(words, one) for one in said)
    frame = claims.frame.set_index("claim").loc[rows.index]
    made = rows["to_investigate"] & (frame["fault"] == "third party") & (frame["address change"] == "recent")
    first = rows.loc[made, "reasons"].map(lambda told: told[0].split(" speaks")[0])
    assert first.isin(["fault", "address change"]).mean() > 0.9
    assert score(reasons=0).scored > 0
    assert (rows_in(tmp_path / "scores")["reasons"].map(len) == 0).all()


def test_no_claim_is_flagged_by_a_model_without_a_threshold(model: BatchModel, score: Callable[..., Scored]) -> None:
    assert score(replace(model, threshold=None)).manifest.flagged == 0


def test_what_stands_is_not_made_again_and_a_damaged_month_is(score: Callable[..., Scored], tmp_path: Path) -> None:
    first = score()
    before = written(tmp_path / "scores")
    again = score()
    assert (first.reused, again.scored, again.manifest) == (0, 0, first.manifest)
    assert written(tmp_path / "scores") == before
    damaged = sorted((tmp_path / "scores").glob("*.parquet"))[3]
    flip_a_byte(damaged)
    mended = score()
    assert (mended.scored, mended.manifest) == (1, first.manifest)
    assert file_digest(damaged) == before[damaged.name][0]


def test_a_run_that_ended_midway_goes_on_behind_its_last_whole_month(
    claims: Claims, score: Callable[..., Scored], tmp_path: Path
) -> None:
    months = sorted(claims.fold.files)
    spoilt = claims.folder / months[5]
    whole = spoilt.read_bytes()
    spoilt.write_bytes(whole[:100])
    with pytest.raises(pa.ArrowException):
        score()
    assert len(written(tmp_path / "scores")) == 5
    with pytest.raises(Unavailable, match="no finished scores"):
        read_manifest(tmp_path / "scores")
    spoilt.write_bytes(whole)
    resumed = score()
    assert (resumed.reused, resumed.scored) == (5, len(months) - 5)
    assert read_manifest(tmp_path / "scores") == resumed.manifest
    assert not list((tmp_path / "scores").glob(".*-partial"))


def test_whatever_a_killed_run_left_half_done_is_made_again(score: Callable[..., Scored], tmp_path: Path) -> None:
    undisturbed, out = score().manifest, tmp_path / "scores"
    first, second, third = sorted(undisturbed.months)[:3]
    (out / MANIFEST).unlink()
    (out / RECORDS / f"{first}.json").unlink()  # killed after the file, before its record
    (out / RECORDS / f"{second}.json").unlink()  # killed before the file took its place
    (out / f"{second}.parquet").rename(ScoresFolder(out).partial(second))
    (out / RECORDS / f"{third}.json").write_text("{")
    mended = score()
    assert (mended.scored, mended.manifest) == (3, undisturbed)
    assert read_manifest(out) == undisturbed
    assert not list(out.glob(".*-partial"))


def test_another_threshold_candidate_or_erasure_scores_everything_again(
    model: BatchModel, score: Callable[..., Scored]
) -> None:
    months = score().scored
    assert score(replace(model, threshold=0.3)).scored == months
    assert score(replace(model, version="4")).scored == months
    erased = SnapshotKeys("", {"p": SubjectKey(None, None, erased="2024-01-01")})
    assert score(keys=erased).scored == months
    assert score(keys=erased).scored == 0


def test_months_of_another_fold_are_removed(claims: Claims, score: Callable[..., Scored], tmp_path: Path) -> None:
    score()
    late = claims.frame[claims.frame["event_time"] >= "2024-01-01"]
    write_fold(claims.folder, late, claims.contract, AS_OF)
    told = score()
    assert told.scored == 0
    assert sorted(file.stem for file in (tmp_path / "scores").glob("*.parquet")) == sorted(told.manifest.months)
    assert min(told.manifest.months) == "2024-01"
    assert told.manifest.claims == len(late)


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(BadInput, match="holds something else than scores"):
        ScoresFolder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["letters.txt"]


def test_a_column_of_the_wrong_type_is_refused_by_name(
    claims: Claims, score: Callable[..., Scored], tmp_path: Path
) -> None:
    month = claims.folder / min(claims.fold.files)
    table = parquet.read_table(month)
    place = table.schema.get_field_index("age_years")
    wrong = table.set_column(place, "age_years", pa.array(["old"] * table.num_rows))
    parquet.write_table(wrong, month)
    with pytest.raises(BadInput, match="column `age_years` is not a number"):
        score()


def test_a_model_of_another_contract_is_refused_by_its_column(claims: Claims, model: BatchModel) -> None:
    columns = tuple(column for column in claims.contract.columns if column.name != "garage")
    other = claims.contract.model_copy(update={"columns": columns})
    with pytest.raises(BadInput, match="column `garage`, which the contract of `toy` does not declare"):
        score_fold(
            claims.folder, claims.fold, other, NOBODY, model, ScoresFolder(claims.folder / "x"), print, reasons=0
        )


def test_the_manifest_names_every_file_by_its_digest(score: Callable[..., Scored], tmp_path: Path) -> None:
    told = score().manifest
    assert told == told.sealed()
    for month, record in told.months.items():
        assert record.sha256 == file_digest(tmp_path / "scores" / f"{month}.parquet")
    assert (tmp_path / "scores" / MANIFEST).is_file()
