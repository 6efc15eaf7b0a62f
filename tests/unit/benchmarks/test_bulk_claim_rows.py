from benchmarks._claim_rows import rows_by_recorded_month
from fraud_ml.contract import load_contract
from fraud_ml.data.tables import log_schema
from fraud_ml.settings import PROJECT


def test_bulk_rows_are_whole_rows_of_the_motor_contract_month_by_month(tmp_path):
    contract = load_contract("motor", PROJECT / "expectations")

    months = dict(rows_by_recorded_month(500, contract, tmp_path))

    assert min(months) == "2023-01"
    assert max(months) == "2025-12"
    assert {tuple(rows.schema.names) for rows in months.values()} == {tuple(log_schema(contract).names)}
    assert {column.null_count for rows in months.values() for column in rows.drop_columns(["outcome"]).columns} == {0}
