"""Each rule on a row has a code; by contract its row is set aside alone, or its whole file refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.contract import Contract, Landing
from fraud_ml.data.set_aside import SetAside, hashed
from fraud_ml.data.sources.files import SourceTable, read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.errors import BadInput

Write = Callable[..., Path]
NOW = datetime(2024, 5, 1, tzinfo=UTC)
GOOD = "C1,2024-03-01,2024-03-02T10:00:00Z,theft,5,"
STRICT: dict[str, Any] = {
    "offsets": "required",
    "event_kinds": {"column": "kind", "known": ["theft", "fire", "glass"]},
    "bounds": {"amount": {"at_least": 0, "at_most": 10_000, "unit": "EUR", "stated_in": "outcome"}},
}
# code -> the row that breaks the rule, and the `landing` section that makes it one
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "LAND001": ("C9,2024-03-01,2024-03-02T10:00:00Z,theft,many,", {}),
    "LAND002": (",2024-03-01,2024-03-02T10:00:00Z,theft,5,", {}),
    "LAND003": ("C9,,2024-03-02T10:00:00Z,theft,5,", {}),
    "LAND004": ("C9,2024-03-01,,theft,5,", {}),
    "LAND005": ("C9,2024-03-03,2024-03-02T10:00:00Z,theft,5,", {}),
    "LAND006": ("C9,2024-03-01,2024-05-01T00:05:01Z,theft,5,", {}),
    "LAND007": ("C9,2024-03-01,2024-03-02T10:00:00,theft,5,", {"offsets": "required"}),
    "LAND010": ("C9,2024-03-01,2024-03-02T10:00:00Z,flood,5,", {"event_kinds": STRICT["event_kinds"]}),
    "LAND012": ("C9,2024-03-01,2024-03-02T10:00:00Z,theft,500,", {"bounds": {"amount": {"at_most": 400}}}),
}


def ruled(contract: Contract, **landing: Any) -> Contract:
    return contract.model_copy(update={"landing": Landing.model_validate(landing, strict=False)})


def parsed(path: Path, contract: Contract, aside: SetAside | None = None) -> list[str]:
    rows = parse_rows(read_file(path, contract), contract, aside=aside, now=NOW)
    found: list[str] = rows[contract.key].to_pylist()
    return found


def test_a_time_that_repeats_what_cannot_be_computed_is_a_bad_row(contract: Contract, csv_file: Write) -> None:
    moment = "strptime(kind || '-01', '%Y-%m-%d')"
    times = contract.times.model_copy(update={"event": f"least({moment}, CAST(last_day({moment}) AS TIMESTAMP))"})
    rows = csv_file("C1,2024-03-01,2024-03-02T10:00:00Z,2024-02,5,", "C2,2024-03-01,2024-03-02T10:00:00Z,soon,5,")
    aside = SetAside()

    assert parsed(rows, contract.model_copy(update={"times": times}), aside) == ["C1"]
    assert aside.counts == {"LAND003": 1}


@pytest.mark.parametrize("code", BROKEN)
def test_bad_row_is_set_aside_under_its_code_and_stops_no_other(contract: Contract, csv_file: Write, code: str) -> None:
    row, landing = BROKEN[code]
    aside = SetAside()

    assert parsed(csv_file(GOOD, row, GOOD.replace("C1", "C2")), ruled(contract, **landing), aside) == ["C1", "C2"]
    assert aside.counts == {code: 1}
    [kept] = map(json.loads, aside.content().splitlines())
    assert kept["row"] == 2
    assert kept["cells"]["kind"] in row
    assert kept["key_sha256"] == (hashed("C9") if row.startswith("C9") else None)


@pytest.mark.parametrize("code", BROKEN)
def test_without_quarantine_the_file_is_refused_with_the_code_and_no_value(
    contract: Contract, csv_file: Write, code: str
) -> None:
    row, landing = BROKEN[code]
    with pytest.raises(BadInput) as refused:
        parsed(csv_file(GOOD, row), ruled(contract, **landing))

    assert refused.value.facts["code"] == code
    assert "first at row 2, line 3" in str(refused.value)
    assert not any(value in str(refused.value) for value in ("C9", "many", "flood"))


@pytest.mark.parametrize("code", [code for code, (_, landing) in BROKEN.items() if landing])
def test_what_the_contract_does_not_speak_of_is_landed(contract: Contract, csv_file: Write, code: str) -> None:
    assert parsed(csv_file(GOOD, BROKEN[code][0]), contract) == ["C1", "C9"]


def test_both_contents_of_one_moment_are_set_aside(contract: Contract, csv_file: Write) -> None:
    aside = SetAside()
    other = GOOD.replace("theft", "fire")

    assert parsed(csv_file(GOOD, other, GOOD.replace("C1", "C2"), GOOD), contract, aside) == ["C2"]
    assert aside.counts == {"LAND008": 3}


def test_first_message_wins_where_order_is_known_so_that_a_batchs_edges_do_not_matter(
    contract: Contract, csv_file: Write
) -> None:
    aside = SetAside()
    other = GOOD.replace("theft", "fire")
    source = read_file(csv_file(GOOD, other, GOOD, GOOD.replace("C1", "C2")), contract)
    rows = parse_rows(source, contract, aside=aside, now=NOW, first_wins=True)

    assert rows["kind"].to_pylist() == ["theft", "theft"]
    assert aside.counts == {"LAND008": 1}
    assert json.loads(aside.content())["row"] == 2


def test_another_currency_is_set_aside_and_an_empty_amount_needs_none(contract: Contract, csv_file: Write) -> None:
    aside = SetAside()
    rows = (GOOD + "EUR", GOOD.replace("C1", "C2") + "USD", GOOD.replace("C1", "C3"), GOOD.replace("C1,", "C4,"))
    path = csv_file(*rows[:3], rows[3].replace(",5,", ",?,"))

    assert parsed(path, ruled(contract, bounds=STRICT["bounds"]), aside) == ["C1", "C4"]
    assert aside.counts == {"LAND011": 2}


def test_row_that_breaks_two_rules_is_set_aside_once(contract: Contract, csv_file: Write) -> None:
    aside = SetAside()
    parsed(csv_file(GOOD, "C9,2024-03-03,2024-03-02T10:00:00Z,flood,5,"), ruled(contract, **STRICT), aside)

    assert sum(aside.counts.values()) == len(aside)
    assert aside.counts["LAND005"] == 1


@pytest.mark.parametrize(
    ("offsets", "written", "is_good"),
    [
        ("required", "2024-03-02T10:00:00+02:00", True),
        ("required", "2024-03-02 10:00Z", True),
        ("required", "2024-03-02", True),  # a date has no time of day to be mistaken
        ("required", "2024-03-02T10:00:00", False),
        ("utc", "2024-03-02T10:00:00", True),
        ("utc", "2024-03-02T10:00:00+00:00", True),
        ("utc", "2024-03-02T10:00:00Z", True),
        ("utc", "2024-03-02T10:00:00+02:00", False),
        ("utc", "2024-03-02T10:00:00.5-0130", False),
        ("any", "2024-03-02T10:00:00-05", True),
    ],
)
def test_offsets_are_held_to_the_contract(
    contract: Contract, csv_file: Write, offsets: str, written: str, is_good: bool
) -> None:
    aside = SetAside()
    parsed(csv_file(f"C1,2024-03-01,{written},fire,1,"), ruled(contract, offsets=offsets), aside)

    assert aside.counts == ({} if is_good else {"LAND007": 1})


def test_a_clock_may_be_ahead_by_the_declared_minutes(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-05-01T00:09:00Z,fire,1,")

    assert parsed(path, ruled(contract, clock_skew_minutes=10)) == ["C1"]
    with pytest.raises(BadInput, match="1 of 1 rows were recorded in the future"):
        parsed(path, contract)


def test_the_clock_is_asked_when_no_moment_is_given(contract: Contract, csv_file: Write) -> None:
    with pytest.raises(BadInput, match="in the future"):
        parse_rows(read_file(csv_file("C1,2024-03-01,2999-01-01,fire,1,"), contract), contract)


def test_recorded_time_may_stand_in_the_key(contract: Contract, csv_file: Write) -> None:
    times = {"event": "happened", "recorded": "CAST(regexp_extract(source_name, 'day=([0-9-]+)', 1) AS TIMESTAMP)"}
    keyed = Contract.model_validate(contract.model_dump() | {"times": times}, strict=False)
    table = read_file(csv_file(), contract)
    placed = SourceTable(table.path, table.columns, table.digest, table.lines, name="s3://in/day=2024-04-02/a.csv")

    assert set(parse_rows(placed, keyed)["recorded_at"].to_pylist()) == {datetime(2024, 4, 2)}
    with pytest.raises(BadInput, match="3 of 3 rows have no recorded_at"):
        parse_rows(table, keyed)


@settings(deadline=None, max_examples=30)
@given(rows=st.lists(st.sampled_from([GOOD, *(row for row, _ in BROKEN.values())]), min_size=1, max_size=12))
def test_each_row_is_landed_or_set_aside_and_none_both(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    contract = Contract.model_validate(TINY, strict=False)
    path = tmp_path_factory.mktemp("rows") / "claims.csv"
    numbered = [row.replace("C1", f"A{at}").replace("C9", f"B{at}") for at, row in enumerate(rows)]
    path.write_text("\n".join([",".join(contract.names), *numbered]) + "\n")
    aside = SetAside()
    landed = parsed(path, contract, aside)

    assert len(landed) + len(aside) == len(rows)
    assert all(key.startswith("A") for key in landed)
    assert len(landed) == sum(row == GOOD for row in rows)


TINY = {
    "dataset": "tiny",
    "title": "Tiny claims",
    "owner": "tests",
    "key": "claim_id",
    "times": {"event": "happened", "recorded": "known"},
    "label": {"column": "outcome", "positive": ["y"], "negative": ["n"], "maturity_days": 0, "meaning_of_no": "-"},
    "schedule": {"cron": "0 0 1 * *"},
    "landing": {
        "offsets": "required",
        "event_kinds": STRICT["event_kinds"],
        "bounds": {"amount": {"at_most": 400}},
    },
    "columns": [
        {"name": "claim_id", "kind": "category", "role": "key"},
        {"name": "happened", "kind": "timestamp", "role": "time"},
        {"name": "known", "kind": "timestamp", "role": "time"},
        {"name": "kind", "kind": "category", "role": "feature"},
        {"name": "amount", "kind": "number", "role": "feature"},
        {"name": "outcome", "kind": "category", "role": "label"},
    ],
}
