"""Bulk claim rows for the snapshot benchmark, as many as wanted, drawn by DuckDB from the hash of their number."""

# ruff: noqa: S608 - numbers and paths of our own
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.contract import Contract
from fraud_ml.data.duck import connect, quoted, text
from fraud_ml.data.tables import log_columns, log_schema

if TYPE_CHECKING:
    import pyarrow as pa

BEGIN, DAYS = date(2023, 1, 1), 1096  # accidents from the first of January 2023 to the end of 2025


def rows_by_recorded_month(claims: int, contract: Contract, scratch: Path) -> "Iterator[tuple[str, pa.Table]]":
    """Yield (month, its rows in log order): each claim opened, half of them closed with an outcome, a tenth corrected.

    One claim in two hundred is corrected to an accident 45 days earlier. Rows recorded after 2025 are not there yet.
    """
    with connect(files=True, spill=scratch, memory_mib=2048) as duck:
        duck.execute(f"CREATE VIEW rows AS {_rows(claims)}")
        parted = scratch / "by-month"
        columns = ", ".join(quoted(name) for name in log_columns(contract))
        duck.execute(
            f"COPY (SELECT {columns}, strftime(recorded_at, '%Y-%m') AS __month FROM rows"
            f" WHERE recorded_at < TIMESTAMP '2026-01-01') TO {text(str(parted))}"
            " (FORMAT parquet, PARTITION_BY (__month))"
        )
        for folder in sorted(parted.iterdir()):
            table = duck.sql(
                f"SELECT {columns} FROM read_parquet({text(str(folder / '*.parquet'))}, hive_partitioning = false)"
                f" ORDER BY recorded_at, {quoted(contract.key)}"
            ).to_arrow_table()
            yield folder.name.removeprefix("__month="), table.cast(log_schema(contract)).combine_chunks()


def _rows(claims: int) -> str:
    """Return SQL for the rows of motor claims, in no order."""
    return f"""
    WITH claim AS (
      SELECT i, TIMESTAMP '{BEGIN} 06:00:00' + to_seconds(CAST({_draw("when", DAYS * 86_400)} AS BIGINT)) AS accident,
        printf('M-bench-%08d', i) AS claim_id, printf('P-bench-%08d', {_draw("policy", claims * 4 // 5)}) AS policy_id,
        printf('D-bench-%08d', {_draw("claimant", claims * 3 // 4)}) AS claimant_id,
        printf('G-%03d', {_draw("garage", 240)}) AS garage_id, {_draw("late", 12)} AS days_to_report,
        CASE WHEN {_draw("seen", 3)} = 0 THEN printf('D-bench-%08d', {_draw("witness", claims)}) ELSE 'none' END
          AS witness_ids,
        printf('T-bench-%08d', {_draw("phone", claims * 3 // 4)}) AS phone_id,
        printf('A-bench-%08d', {_draw("home", claims * 3 // 4)}) AS address_id,
        {_of("form", "v1 v2 v3")} AS form_version, 'EUR' AS currency,
        {_of("region", "north south east west islands")} AS region,
        {_of("make", "volta corsaro nordwagen ibis tamarin aurum regent")} AS vehicle_make,
        {_draw("age", 20)} AS vehicle_age_years, {_draw("value", 400)} * 100.0 + 600 AS vehicle_value_eur,
        18 + {_draw("driver", 70)} AS driver_age_years, {_of("sex", "female male")} AS sex,
        {_draw("policy age", 3000)} AS policy_age_days, {_of("cover", "liability partial comprehensive")} AS cover,
        {_of("channel", "agent broker online partner")} AS sales_channel,
        {_of("kind", "collision parking glass theft fire weather")} AS accident_kind,
        {_of("fault", "own third_party shared none")} AS fault, {_of("police", "yes no")} AS police_report,
        {_draw("witnesses", 5)} AS witnesses, {_draw("past", 4)} AS past_claims,
        {_draw("amount", 900_000)} / 100.0 + 120 AS claim_amount, claim_amount AS claim_amount_eur,
        claim_amount * 1.1 AS reserve_eur, 0.0 AS paid_eur,
        {_of("address", "none none none over_1_year within_1_year")} AS address_change
      FROM range({claims}) AS numbers(i)),
    told AS (
      SELECT *, 'opened' AS event, 'none' AS investigation, NULL AS outcome, days_to_report + 1 AS delay,
        accident AS happened
      FROM claim
      UNION ALL SELECT *, 'closed', 'rule', {_of("outcome", "confirmed cleared cleared cleared")},
        40 + {_draw("closing", 120)}, accident FROM claim WHERE i % 2 = 0
      UNION ALL
      SELECT * REPLACE (claim_amount * 1.5 AS claim_amount, claim_amount * 1.5 AS claim_amount_eur), 'closed', 'rule',
        'cleared', 170 + {_draw("correction", 30)}, accident - to_days(CASE WHEN i % 200 = 0 THEN 45 ELSE 0 END)
      FROM claim WHERE i % 10 = 0)
    SELECT * EXCLUDE (i, accident, happened, delay), happened AS accident_date,
      accident + to_days(days_to_report) AS reported_date,
      date_trunc('day', accident) + to_days(CAST(delay AS INTEGER)) + to_seconds(64_800 + CAST(i % 7200 AS BIGINT))
        AS recorded_at,
      happened AS event_time
    FROM told"""


def _draw(what: str, below: int) -> str:
    """Return SQL for a whole number in [0, below), fixed by the claim's number."""
    return f"CAST(hash(i, {text(what)}) % {below} AS INTEGER)"


def _of(what: str, words: str) -> str:
    listed = words.split()
    return f"([{', '.join(map(text, listed))}])[1 + {_draw(what, len(listed))}]"
