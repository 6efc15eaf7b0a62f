"""Cells become values by contract; what cannot be told for sure is refused by place and count, never by value."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from fraud_ml.contract import Contract, Times
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import compare_rows, parse_rows
from fraud_ml.errors import BadInput

Write = Callable[..., Path]


def parsed(path: Path, contract: Contract) -> pa.Table:
    return parse_rows(read_file(path, contract), contract)


def refusal(path: Path, contract: Contract) -> str:
    with pytest.raises(BadInput) as refused:
        parsed(path, contract)
    return str(refused.value)


def test_rows_are_typed_timed_and_in_log_order(contract: Contract, csv_file: Write) -> None:
    rows = parsed(csv_file(), contract)

    assert rows.column_names == [*contract.names, "event_time", "recorded_at"]
    assert rows["amount"].to_pylist() == [1200.5, None, 80.0]
    assert rows["recorded_at"].to_pylist() == sorted(rows["recorded_at"].to_pylist())
    assert rows["event_time"].to_pylist()[0] == datetime(2024, 3, 1)


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2024-03-02", datetime(2024, 3, 2)),
        ("2024-03-02T10:00", datetime(2024, 3, 2, 10)),
        ("2024-03-02 10:00:00.25", datetime(2024, 3, 2, 10, 0, 0, 250_000)),
        ("2024-03-02T10:00:00Z", datetime(2024, 3, 2, 10)),
        ("2024-03-02T10:00:00+02:00", datetime(2024, 3, 2, 8)),
        ("2024-03-02T23:30:00-0130", datetime(2024, 3, 3, 1)),
        ("2024-03-02T10:00:00+05", datetime(2024, 3, 2, 5)),
    ],
)
def test_moments_with_an_offset_become_utc(contract: Contract, csv_file: Write, written: str, utc: datetime) -> None:
    assert parsed(csv_file(f"C1,2024-03-01,{written},fire,1,"), contract)["known"].to_pylist() == [utc]


@pytest.mark.parametrize("written", ["1e3", " 12 ", "-.5", "+7.", "1200.50"])
def test_numbers_may_be_spelled_in_every_usual_way(contract: Contract, csv_file: Write, written: str) -> None:
    assert parsed(csv_file(f"C1,2024-03-01,2024-03-02,fire,{written},"), contract)["amount"].to_pylist() == [
        float(written)
    ]


@pytest.mark.parametrize("written", ["?", "0", "0.0", "-0", " ", ""])
def test_declared_missing_spellings_are_missing(contract: Contract, csv_file: Write, written: str) -> None:
    assert parsed(csv_file(f"C1,2024-03-01,2024-03-02,fire,{written},"), contract)["amount"].to_pylist() == [None]


@pytest.mark.parametrize("written", ["12 EUR", "1.200,50", "nan", "inf", "1e999", "1_000", "twelve", "0x10"])
def test_text_in_a_number_column_is_counted_and_placed_but_not_shown(
    contract: Contract, csv_file: Write, written: str
) -> None:
    good = "C{},2024-03-01,2024-03-02,fire,5,"
    bad = f'C9,2024-03-01,2024-03-02,fire,"{written}",'
    told = refusal(csv_file(good.format(1), good.format(2), bad, bad.replace("C9", "C8")), contract)

    assert 'column "amount" is declared a number, but 2 of 4 values' in told
    assert "first at row 3, line 4" in told
    assert written not in told


@pytest.mark.parametrize("written", ["03/01/2024", "2024-02-30", "yesterday", "infinity", "20240301"])
def test_what_is_no_iso_date_is_refused(contract: Contract, csv_file: Write, written: str) -> None:
    told = refusal(csv_file(f"C1,{written},2024-03-02,fire,1,"), contract)

    assert 'column "happened" is declared a timestamp, but 1 of 1 values' in told
    assert written not in told


def test_row_without_key_or_time_is_refused(contract: Contract, csv_file: Write) -> None:
    assert "have no claim_id (the key) (first at row 1" in refusal(csv_file(",2024-03-01,2024-03-02,fire,1,"), contract)
    assert "have no event_time" in refusal(csv_file("C1,,2024-03-02,fire,1,"), contract)
    assert "have no recorded_at" in refusal(csv_file("C1,2024-03-01,,fire,1,"), contract)


def test_row_recorded_before_its_event_is_refused(contract: Contract, csv_file: Write) -> None:
    told = refusal(csv_file("C1,2024-03-01,2024-03-02,fire,1,", "C2,2024-03-09,2024-03-02,fire,1,"), contract)

    assert "1 of 2 rows were recorded before the event (first at row 2, line 3)" in told


def test_two_truths_at_one_moment_are_refused_and_equal_rows_are_one(contract: Contract, csv_file: Write) -> None:
    row = "C1,2024-03-01,2024-03-02,fire,1,"
    assert parsed(csv_file(row, row), contract).num_rows == 1

    told = refusal(csv_file(row, row.replace("fire", "theft")), contract)
    assert "2 rows tell one claim at one recorded time in different ways" in told
    assert "theft" not in told


def test_time_expression_over_an_absent_column_names_the_contract(contract: Contract, csv_file: Write) -> None:
    wrong = contract.model_copy(update={"times": Times(event="hapened", recorded="known")})

    told = refusal(csv_file(), wrong)
    assert "expectations/tiny/contract.yaml: `times.event` is not an expression over the columns" in told
    assert '"hapened"' in told


def test_time_expression_that_fails_on_a_row_places_the_row(contract: Contract, csv_file: Write) -> None:
    wrong = contract.model_copy(update={"times": Times(event="strptime(kind, '%Y')", recorded="known")})

    told = refusal(csv_file(), wrong)
    assert "3 of 3 rows have no event_time" in told
    assert "theft" not in told


def test_contract_cannot_read_files_through_its_expressions(contract: Contract, csv_file: Write) -> None:
    wrong = contract.model_copy(
        update={"times": Times(event="(SELECT max(column0) FROM read_csv('/etc/hostname'))", recorded="known")}
    )

    assert "`times.event` is not an expression" in refusal(csv_file(), wrong)


def test_column_named_like_a_computed_time_must_be_that_time(contract: Contract, csv_file: Write) -> None:
    renamed = [
        column.model_copy(update={"name": "recorded_at"}) if column.name == "known" else column
        for column in contract.columns
    ]
    same = contract.model_copy(
        update={"columns": tuple(renamed), "times": Times(event="happened", recorded="recorded_at")}
    )
    path = csv_file(header="claim_id,happened,recorded_at,kind,amount,outcome")
    assert parsed(path, same).column_names == [*same.names, "event_time"]

    other = same.model_copy(update={"times": Times(event="happened", recorded="happened")})
    assert "`recorded_at` is named like a computed time" in refusal(path, other)


def test_csv_and_typed_parquet_give_the_same_rows(contract: Contract, csv_file: Write, tmp_path: Path) -> None:
    path = csv_file()
    frame = pd.read_csv(path, na_values="?", parse_dates=["happened", "known"])
    typed = tmp_path / "claims.parquet"
    frame.to_parquet(typed)

    assert parsed(typed, contract).equals(parsed(path, contract))


def test_conflicts_are_moments_told_differently(contract: Contract, csv_file: Write) -> None:
    known = parsed(csv_file(), contract)
    changed = parsed(
        csv_file(
            "C1,2024-03-01,2024-03-02T10:00:00,theft,1200.50,",
            "C2,2024-03-02,2024-03-05T10:00:00,fire,,cleared",
            "C3,2024-03-02,2024-04-02T09:30:00,glass,81,cleared",
        ),
        contract,
    )

    assert compare_rows(known, known, contract) == [True, True, True]
    assert compare_rows(known, changed, contract) == [True, False, None]
