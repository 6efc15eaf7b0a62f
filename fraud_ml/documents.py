"""Read a YAML document into a frozen model, naming file and line of whatever is wrong with it."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from fraud_ml.errors import BadInput

Location = tuple[str | int, ...]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time


class Document(BaseModel):
    """A frozen section of a document; a key that it does not declare stops the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=False)


Model = TypeVar("Model", bound=Document)


def read_document(path: Path, model: type[Model]) -> Model:
    """Return `path` as a `model`. Raises BadInput naming file and line when it does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="check the path, or restore the file from git") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not readable as text", expected="UTF-8", next_step="save it as UTF-8") from None
    try:
        content = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    except yaml.MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        raise BadInput(f"{path}:{line}: not valid YAML", arrived=broken.problem, next_step="mend the line") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}:1: not a mapping", expected="`key: value` lines", arrived=type(content).__name__)
    try:
        return model.model_validate(content, strict=False)
    except ValidationError as refused:
        raise _explain(path, yaml.compose(text, Loader=_LOADER), model, refused) from None


def _explain(path: Path, root: yaml.Node | None, model: type[BaseModel], refused: ValidationError) -> BadInput:
    problems = refused.errors(include_url=False, include_input=False)
    first = min(
        problems, key=lambda problem: problem["type"] != "extra_forbidden"
    )  # a misspelt key explains a missing one
    location: Location = first["loc"]
    line = line_of(root, location)
    name = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        close = get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean `{close[0]}`? Otherwise remove it" if close else "remove it"
        return BadInput(
            f"{path}:{line}: unknown key `{name}`", expected=f"one of {', '.join(known)}", next_step=hint, line=line
        )
    if first["type"] == "missing":
        return BadInput(f"{path}:{line}: `{name}` is missing", next_step=f"add `{location[-1]}:`", line=line)
    reason = first["msg"].removeprefix("Value error, ")
    return BadInput(f"{path}:{line}: `{name}` does not fit: {reason}", next_step="correct the value", line=line)


def line_of(node: yaml.Node | None, location: Sequence[str | int]) -> int:
    """Return the 1-based line of the deepest part of `location` that the document has."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and part in annotation.model_fields:
            annotation = annotation.model_fields[str(part)].annotation
            arguments = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type)]
            annotation = next((a for a in arguments if issubclass(a, BaseModel)), annotation)
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
