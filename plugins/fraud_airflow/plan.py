"""What a plain dvc.yaml says: its stages, and which of them has to wait for which."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fraud_ml.errors import BadInput

_TEMPLATING = ("foreach", "matrix", "do")
_PLAIN = "write every stage out: no foreach, no matrix, no vars, no ${…}"


@dataclass(frozen=True)
class StagePlan:
    """One stage: those that it waits for, and where (relative to dvc.yaml) its verdict and its report lie, if any."""

    name: str
    after: tuple[str, ...]
    verdict: str | None = None
    report: str | None = None


@dataclass(frozen=True)
class Plan:
    """The stages in an order in which they can run."""

    stages: tuple[StagePlan, ...]


def read_plan(path: Path) -> Plan:
    """Return the plan of the dvc.yaml at `path`. Raises BadInput when it is not plain, naming the stage."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="check out a commit that has a dvc.yaml") from None
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadInput(f"{path}{line}: not valid YAML", next_step="mend the line") from None
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict) or not content["stages"]:
        raise BadInput(f"{path}: declares no stages", expected="`stages:` with at least one stage")
    if content.get("vars"):
        raise BadInput(f"{path}: uses `vars`", expected="a plain dvc.yaml", next_step=_PLAIN)
    stages: dict[str, Mapping[str, Any]] = content["stages"]
    for name, stage in stages.items():
        _require_plain(path, name, stage)
    return Plan(_in_order(path, stages))


def _require_plain(path: Path, name: str, stage: Any) -> None:
    if not isinstance(stage, dict):
        raise BadInput(f"{path}: stage `{name}` is not a mapping", arrived=type(stage).__name__)
    for key in _TEMPLATING:
        if key in stage:
            raise BadInput(f"{path}: stage `{name}` uses `{key}`", expected="a plain stage", next_step=_PLAIN)
    if "cmd" not in stage:
        raise BadInput(f"{path}: stage `{name}` has no `cmd`", next_step="add the command it runs")
    if any("${" in text for text in _texts({key: value for key, value in stage.items() if key != "desc"})):
        raise BadInput(f"{path}: stage `{name}` uses templating (`${{…}}`)", expected="a plain stage", next_step=_PLAIN)


def _in_order(path: Path, stages: Mapping[str, Mapping[str, Any]]) -> tuple[StagePlan, ...]:
    writes = {name: _writes(stage) for name, stage in stages.items()}
    after = {
        name: tuple(
            other
            for other in stages
            if other != name and any(_overlap(read, out) for read in _reads(stage) for out in writes[other])
        )
        for name, stage in stages.items()
    }
    ordered: list[StagePlan] = []
    waiting = list(stages)
    while waiting:
        done = {plan.name for plan in ordered}
        ready = next((name for name in waiting if done.issuperset(after[name])), None)
        if ready is None:
            raise BadInput(
                f"{path}: stages {', '.join(f'`{name}`' for name in waiting)} wait for each other",
                next_step="no stage may depend on what a later one writes",
            )
        ordered.append(StagePlan(ready, after[ready], **_named_files(path, ready, stages[ready].get("meta"))))
        waiting.remove(ready)
    return tuple(ordered)


def _named_files(path: Path, name: str, meta: Any) -> dict[str, str]:
    named = {key: meta[key] for key in ("verdict", "report") if key in meta} if isinstance(meta, dict) else {}
    for key, value in named.items():
        if not isinstance(value, str):
            raise BadInput(f"{path}: stage `{name}`: `meta.{key}` is not a path", arrived=type(value).__name__)
    return named


def _reads(stage: Mapping[str, Any]) -> set[str]:
    """Return the files and folders it depends on; a params file of its own counts (`- tuned.yaml: [depth]`)."""
    named = [entry for entry in stage.get("params") or () if isinstance(entry, dict)]
    return _paths(stage, [*_names(stage.get("deps")), *_names(named)])


def _writes(stage: Mapping[str, Any]) -> set[str]:
    return _paths(stage, [name for kind in ("outs", "metrics", "plots") for name in _names(stage.get(kind))])


def _names(entries: Iterable[Any] | None) -> Iterator[str]:
    """Yield the path of each entry: `path`, or `path: {cache: false, …}`."""
    for entry in [entries] if isinstance(entries, str) else entries or ():
        if isinstance(entry, dict):
            yield from (str(key) for key in entry)
        else:
            yield str(entry)


def _paths(stage: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    folder = str(stage.get("wdir") or ".")
    return {name if "://" in name else posixpath.normpath(posixpath.join(folder, name)) for name in names}


def _overlap(one: str, other: str) -> bool:
    return one == other or _is_inside(one, other) or _is_inside(other, one)


def _is_inside(path: str, folder: str) -> bool:
    if folder == ".":
        return "://" not in path and not path.startswith(("/", ".."))
    return path.startswith(folder.rstrip("/") + "/")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
