"""A proposal changes values in their places and nothing else, and params.yaml is replaced whole or not at all."""

import resource
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from fraud_ml.edits import Edit, text_of, write_edits
from fraud_ml.errors import BadInput
from fraud_ml.params import TUNABLE, Params, load_params
from fraud_ml.tuning import current_settings, proposed

PROJECT = Path(__file__).resolve().parents[3]


BETTER = {
    "boosted_trees": {"depth": 3, "learning_rate": 0.00005},
    "keras_tabular": {"hidden_units": (32,), "dropout": 0.25},
}


def written(tmp_path: Path, old: str = "", new: str = "") -> Path:
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    return path


def test_only_the_lines_of_better_settings_differ_and_their_comments_stay(tmp_path: Path) -> None:
    path = written(tmp_path, "depth: 4", "depth: 4   # splits ≤ 4")
    text = text_of(path)
    after = proposed(text, load_params(path), BETTER)
    pairs = zip(text.splitlines(), after.splitlines(), strict=True)
    assert [(before.strip(), now.strip()) for before, now in pairs if before != now] == [
        ("depth: 4   # splits ≤ 4", "depth: 3   # splits ≤ 4"),
        ("learning_rate: 0.05", "learning_rate: 0.00005"),
        ("hidden_units: [64, 32]", "hidden_units: [32]"),
        ("dropout: 0.2", "dropout: 0.25"),
    ]
    assert Params.model_validate(yaml.safe_load(after), strict=False).training.boosted_trees.learning_rate == 0.00005


def test_the_diff_is_one_that_git_applies(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = text_of(path)
    after = proposed(before, load_params(path), BETTER)
    diff = Edit(path, before, after).diff(path.name)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff, text=True, check=True)
    assert text_of(path) == after


def test_settings_that_stay_stay_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path)
    text, params = text_of(path), load_params(path)
    standing = {family: current_settings(params.training, family) for family in TUNABLE}
    assert proposed(text, params, standing) == text
    assert proposed(text, params, {"logistic": {}}) == text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hidden_units: [64, 32]", "hidden_units:\n      - 64\n      - 32", "`training.keras_tabular.hidden_units`"),
        (
            "dropout: 0.2\n    learning_rate: 0.002",
            "dropout: &same 0.2\n    learning_rate: *same",
            "cannot be changed value by value",
        ),
        ("dropout: 0.2", "dropout: 0.1\n    dropout: 0.2", "cannot be changed value by value"),
    ],
)
def test_what_cannot_be_changed_in_its_place_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = written(tmp_path, old, new)
    with pytest.raises(BadInput, match=told):
        proposed(text_of(path), load_params(path), BETTER)


def test_writing_keeps_line_ends_rights_and_links_and_leaves_nothing_beside(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "params.yaml"
    real.write_bytes((PROJECT / "params.yaml").read_bytes().replace(b"\n", b"\r\n"))
    real.chmod(0o640)
    link.symlink_to(real)
    before = text_of(link)
    after = proposed(before, load_params(link), BETTER)
    write_edits([Edit(link, before, after)])
    assert link.is_symlink()
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n")
    assert load_params(link).training.boosted_trees.depth == 3
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml", "real.yaml"]


def test_a_file_that_somebody_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = text_of(path)
    path.write_text(before.replace("seed: 7", "seed: 8"))
    with pytest.raises(BadInput, match="was changed meanwhile"):
        write_edits([Edit(path, before, before + "\n")])
    assert load_params(path).training.seed == 8


def test_a_full_disk_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = text_of(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_edits([Edit(path, before, before.replace("seed: 7", "seed: 8"))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert text_of(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_each_knob_is_a_setting_of_its_family_whose_range_params_yaml_takes() -> None:
    training = load_params(PROJECT / "params.yaml").training
    for family, row in TUNABLE.items():
        knobs = getattr(training, family)
        for knob in row.knobs:
            for value in knob.choices or (knob.low, knob.high):
                taken = type(knobs).model_validate({**knobs.model_dump(), knob.name: value}, strict=False)
                assert getattr(taken, knob.name) == value
            assert knob.choices or knob.low < knob.high
            assert not knob.log or knob.low > 0
