"""Events as CloudEvents."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.errors import BadInput
from fraud_ml.events import Event, EventType

VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)


def an_event(**data: object) -> Event:
    return Event(
        "e1", EventType.PROMOTED, "fraud-ml", "ab12", "2026-01-31T00:00:00+00:00", {"dataset": "motor", **data}
    )


@given(st.dictionaries(st.text(min_size=1, max_size=9).filter(lambda key: key != "dataset"), VALUES))
def test_what_was_sent_is_what_is_read(data: dict[str, object]) -> None:
    event = an_event(**data)
    assert Event.from_json(event.to_json()) == event
    assert event.to_json() == an_event(**dict(reversed(data.items()))).to_json()


def test_an_envelope_is_cloudevents_1_0() -> None:
    envelope = json.loads(an_event().to_json())
    assert envelope["specversion"] == "1.0"
    assert envelope["type"] == "fraud.deployment.promoted"
    assert envelope["datacontenttype"] == "application/json"


@given(st.binary(max_size=60))
def test_any_other_bytes_are_bad_input(body: bytes) -> None:
    with pytest.raises(BadInput):
        Event.from_json(body)


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.9"},
        {"id": ""},
        {"id": None},
        {"source": None},
        {"subject": None},
        {"time": "yesterday"},
        {"time": 3},
        {"time": None},
        {"data": []},
        {"data": {}},
        {"data": {"dataset": 3}},
    ],
)
def test_an_envelope_with_a_hole_is_bad_input(change: dict[str, object]) -> None:
    envelope = {**json.loads(an_event().to_json()), **change}
    with pytest.raises(BadInput):
        Event.from_json(json.dumps(envelope).encode())


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion", "subject", "data"])
def test_an_envelope_without_a_needed_part_is_bad_input(name: str) -> None:
    envelope = json.loads(an_event().to_json())
    del envelope[name]
    with pytest.raises(BadInput):
        Event.from_json(json.dumps(envelope).encode())
