"""What several commands take: an ISO date, and a dataset whose contract stands here or in the project."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    from fraud_ml.contract import Contract


class Day(click.ParamType):
    """An ISO date."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:  # noqa: ARG002
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise BadInput(
                "not a date", expected="YYYY-MM-DD, for example 2025-12-31", arrived=str(value)[:40]
            ) from None


def contract_of(dataset: str) -> "Contract":
    """Return the contract below the current folder's expectations/, else the project's. Raises BadInput."""
    from fraud_ml.contract import load_contract

    here = Path.cwd() / "expectations"
    return load_contract(dataset, here if here.is_dir() else PROJECT / "expectations")
