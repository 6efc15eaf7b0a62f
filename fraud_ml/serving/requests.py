"""What callers send, checked against the live model's columns. A refusal names column and position, never a value."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from fraud_ml.models.inputs import Input

MOST_CLAIMS = 10_000  # in one request
MOST_BYTES = 32 * 1024 * 1024
_MOST_IGNORED = 50
_LARGEST = 3.4028234e38  # float32, in which models count
_NUMBER_TYPES = ("FP32", "FP64")
_TEXT_TYPES = ("BYTES",)


class ClaimsToScore(BaseModel):
    """Claims as analysts have them: one mapping of column to value a claim."""

    dataset: str | None = None
    claims: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_CLAIMS)
    reasons: int = Field(default=0, ge=0, le=20)  # how many at most are told of each claim


class Tensor(BaseModel):
    """A column in the Open Inference Protocol."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferRequest(BaseModel):
    """Columns in the Open Inference Protocol, version 2."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[Tensor] = Field(min_length=1)


def frame_of_claims(
    claims: Sequence[Mapping[str, Any]], columns: Sequence["Input"]
) -> tuple["pd.DataFrame", tuple[str, ...]]:
    """Return (one row a claim, the sent names that are no feature). A feature that was not sent is not known.

    Raises BadInput naming claim and column of the first value of the wrong type.
    """
    sent = {name for claim in claims for name in claim}
    _require_a_feature(sent, columns)
    values = {column.name: [claim.get(column.name) for claim in claims] for column in columns}
    for position, claim in enumerate(claims):
        if not isinstance(claim.get("claim_id"), str | int | None) or isinstance(claim.get("claim_id"), bool):
            raise _misfit("claim_id", position, "text, a whole number or null", claim["claim_id"])
    known = {column.name for column in columns} | {"claim_id"}
    return _frame(values, columns), tuple(sorted(sent - known)[:_MOST_IGNORED])


def frame_of_tensors(tensors: Sequence[Tensor], columns: Sequence["Input"]) -> tuple["pd.DataFrame", tuple[str, ...]]:
    """Return (one row a claim, the sent names that are no feature). Raises BadInput naming the tensor that is wrong."""
    sent = [tensor.name for tensor in tensors]
    _require_a_feature(set(sent), columns)
    by_name = {column.name: column for column in columns}
    rows = _rows(tensors[0])
    if not 1 <= rows <= MOST_CLAIMS:
        raise BadInput("the number of claims is out of bounds", expected=f"1 to {MOST_CLAIMS}", arrived=str(rows))
    values: dict[str, list[Any]] = {}
    for position, tensor in enumerate(tensors):
        column = by_name.get(tensor.name)
        if column is None:
            continue
        allowed = _TEXT_TYPES if column.is_category else _NUMBER_TYPES
        flat = [item for row in tensor.data for item in (row if isinstance(row, list) else [row])]
        for what, expected, fits in (
            ("is sent twice", "one tensor a column", tensor.name not in values),
            ("has the wrong datatype", " or ".join(allowed), tensor.datatype in allowed),
            ("has another length than the first", f"shape [{rows}] or [{rows}, 1]", _rows(tensor) == rows),
            ("does not hold what its shape says", f"{rows} values", len(flat) == rows),
        ):
            if not fits:
                raise BadInput(
                    f"inputs[{position}]: tensor `{column.name}` {what}", expected=expected, column=column.name
                )
        values[column.name] = flat
    for column in columns:
        values.setdefault(column.name, [None] * rows)
    return _frame(values, columns), tuple(sorted(set(sent) - by_name.keys())[:_MOST_IGNORED])


def ranks(probabilities: Sequence[float]) -> list[int]:
    """Return each claim's place, 1 for the riskiest; equal probabilities share a place.

    >>> ranks([0.1, 0.7, 0.7, 0.2])
    [4, 1, 1, 3]
    """
    first: dict[float, int] = {}
    for place, probability in enumerate(sorted(probabilities, reverse=True), start=1):
        first.setdefault(probability, place)
    return [first[probability] for probability in probabilities]


def _frame(values: Mapping[str, list[Any]], columns: Sequence["Input"]) -> "pd.DataFrame":
    import pandas as pd

    read = {}
    for column in columns:
        checked: Callable[[Any], bool] = _is_text if column.is_category else _is_number
        for position, value in enumerate(values[column.name]):
            if value is not None and not checked(value):
                expected = "text or null" if column.is_category else "a finite number or null"
                raise _misfit(column.name, position, expected, value)
        kind = "object" if column.is_category else "float64"
        read[column.name] = pd.Series(values[column.name], dtype=kind, name=column.name)
    return pd.DataFrame(read)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST <= value <= _LARGEST  # not a number and the infinities are neither


def _rows(tensor: Tensor) -> int:
    fits = len(tensor.shape) == 1 or (len(tensor.shape) == 2 and tensor.shape[1] == 1)
    return tensor.shape[0] if fits else -1


def _require_a_feature(sent: set[str], columns: Sequence["Input"]) -> None:
    if sent.isdisjoint(column.name for column in columns):
        raise BadInput(
            "none of the model's columns was sent",
            expected=", ".join(column.name for column in columns),
            next_step="send the columns that are known; GET /v2/models/{name} lists them",
        )


def _misfit(column: str, position: int, expected: str, value: Any) -> BadInput:
    return BadInput(
        f"claim {position}: column `{column}` does not fit",
        expected=expected,
        arrived=_kind(value),
        column=column,
        position=position,
    )


def _kind(value: Any) -> str:
    """Return what kind of JSON value it is, never the value."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number" if -_LARGEST <= value <= _LARGEST else "not a finite number"
    return {str: "text", list: "a list", dict: "a mapping", type(None): "null"}.get(type(value), "something else")
