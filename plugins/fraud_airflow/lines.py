"""The lines of business: one for each folder under expectations/ that holds a contract."""

import logging
from dataclasses import dataclass
from pathlib import Path

import yaml

from fraud_ml.settings import PROJECT

_LOG = logging.getLogger(__name__)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Line:
    """What the DAGs of a line of business need of its contract; the stages check the whole of it."""

    dataset: str
    title: str
    owner: str
    cron: str  # UTC; its ticks are the as-of dates


def lines_of_business(expectations: Path = PROJECT / "expectations") -> tuple[Line, ...]:
    """Return every line whose contract can be read; a broken one is logged, and does not take the others' DAGs away."""
    lines = []
    for path in sorted(expectations.glob("*/contract.yaml")):
        try:
            content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader either way
            if content["dataset"] != path.parent.name:
                raise ValueError("`dataset` differs from the folder's name")
            lines.append(Line(content["dataset"], content["title"], content["owner"], content["schedule"]["cron"]))
        except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as broken:
            _LOG.error("%s: no DAGs are made of it: %s %s", path, type(broken).__name__, broken)
    return tuple(lines)
