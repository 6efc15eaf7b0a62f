"""What a person may choose when starting a run by hand, and which parameter a retraining's choice changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import Param

from fraud_ml.errors import BadInput

_AS_PARAMS_SAY = "Left empty, params.yaml decides."

RETRAINING_FORM: dict[str, Param] = {
    "families": Param(
        None,
        type=["null", "array"],
        title="Model families",
        description=f"Trained in turn; the best on the validation window becomes the candidate. {_AS_PARAMS_SAY}",
        items={"type": "string", "enum": ["blend", "boosted_trees", "keras_tabular", "logistic", "random_forest"]},
        examples=["blend", "boosted_trees", "keras_tabular", "logistic", "random_forest"],
        minItems=1,
        uniqueItems=True,
    ),
    "max_epochs": Param(
        None,
        type=["null", "integer"],
        title="Most epochs of the Keras network",
        description=f"Early stopping may end it before. {_AS_PARAMS_SAY}",
        minimum=1,
        maximum=1000,
    ),
    "seed": Param(
        None,
        type=["null", "integer"],
        title="Seed",
        description=f"The same seed, snapshot, parameters and code give the same model. {_AS_PARAMS_SAY}",
        minimum=0,
    ),
    "force": Param(
        False,
        type="boolean",
        title="Work even where the cache could answer",
        description="Every stage's command runs again. Outcomes stay the same; only seconds are spent.",
    ),
}
SCORING_FORM: dict[str, Param] = {
    "model": Param(
        "champion",
        type="string",
        title="Model",
        description="`champion` is the one that serves; or a registered version, or a candidate's digest.",
        pattern="^(champion|[0-9]{1,9}|[0-9a-f]{12,64})$",
    ),
}
CHANGES = {
    "families": ("training", "families"),
    "max_epochs": ("training", "keras_tabular", "max_epochs"),
    "seed": ("training", "seed"),
}


def chosen_overrides(form: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return what the form changes in params.yaml, by path; what was left empty is left out."""
    return {path: form[name] for name, path in CHANGES.items() if form.get(name) is not None}


def override_params(path: Path, overrides: Mapping[tuple[str, ...], Any]) -> bool:
    """Write `overrides` into the params.yaml at `path`; return whether that changed anything.

    An override that says what the file says leaves its bytes alone. Raises BadInput when the file lacks the parameter.
    """
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    before = yaml.safe_dump(params)
    for where, value in overrides.items():
        section = params
        for key in where[:-1]:
            section = section.get(key) if isinstance(section, dict) else None
        if not isinstance(section, dict) or where[-1] not in section:
            raise BadInput(
                f"this commit's params.yaml has no `{'.'.join(where)}`", next_step="leave that field of the form empty"
            )
        section[where[-1]] = value
    if yaml.safe_dump(params) == before:
        return False
    partial = path.with_name(".params.yaml.new")
    partial.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    partial.replace(path)
    return True
