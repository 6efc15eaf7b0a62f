"""A file is read as its contract says, or refused in one sentence that names the place and no cell."""

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud_ml.contract import Contract, Source
from fraud_ml.data.sources.files import read_file
from fraud_ml.errors import BadInput

Write = Callable[..., Path]
NAMES = ["claim_id", "happened", "known", "kind", "amount", "outcome"]


def refusal(path: Path, contract: Contract) -> str:
    with pytest.raises(BadInput) as refused:
        read_file(path, contract)
    return str(refused.value)


def test_csv_cells_stay_text_and_empty_cells_are_missing(contract: Contract, csv_file: Write) -> None:
    table = read_file(csv_file(), contract).columns

    assert table.column_names == NAMES
    assert table["amount"].to_pylist() == ["1200.50", "?", "80"]
    assert table["outcome"].to_pylist() == [None, "confirmed", "cleared"]


def test_column_order_of_the_file_is_free(contract: Contract, csv_file: Write) -> None:
    path = csv_file("x,C1,2024-03-01,2024-03-02,3,", header="kind,claim_id,happened,known,amount,outcome")

    assert read_file(path, contract).columns.column_names == NAMES


def test_every_format_holds_the_same_claims(contract: Contract, csv_file: Write, tmp_path: Path) -> None:
    plain = csv_file()
    expected = read_file(plain, contract).columns
    zipped = tmp_path / "claims.csv.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    rows = pd.read_csv(plain, dtype=str).to_dict(orient="records")
    lines = tmp_path / "claims.jsonl"
    lines.write_text("".join(json.dumps({k: v for k, v in row.items() if v == v}) + "\n" for row in rows))
    parquet = tmp_path / "claims.parquet"
    pd.read_csv(plain, dtype=str).to_parquet(parquet)

    for path in (zipped, lines, parquet):
        assert read_file(path, contract).columns.equals(expected), path.name


def test_json_numbers_keep_their_spelling(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    row = '{"claim_id": 7, "happened": "2024-03-01", "known": "2024-03-02", '
    row += '"kind": true, "amount": 1.50, "outcome": null}'
    path.write_text(row + "\n")

    assert read_file(path, contract).columns.to_pylist()[0] == {
        "claim_id": "7",
        "happened": "2024-03-01",
        "known": "2024-03-02",
        "kind": "true",
        "amount": "1.50",
        "outcome": None,
    }


def test_parquet_numbers_in_a_category_are_spelled_as_integers(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.parquet"
    frame = pd.DataFrame({name: ["a", "b", "c"] for name in NAMES} | {"outcome": [1.0, None, 0.5], "amount": [1, 2, 3]})
    frame.to_parquet(path)
    table = read_file(path, contract).columns

    assert table["outcome"].to_pylist() == ["1", None, "0.5"]
    assert table["amount"].type == pa.float64()


def test_wrong_delimiter_is_named_with_the_declaration_that_would_allow_it(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1;2024-03-01;2024-03-02;theft;1;", header=";".join(NAMES))

    told = refusal(path, contract)
    assert f"{path}:1: cells are separated by semicolons" in told
    assert "6 columns separated by commas" in told
    declared = contract.model_copy(update={"source": Source(delimiter=";")})
    assert read_file(path, declared).columns.num_rows == 1


def test_missing_column_is_named_with_line_and_contract(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-03-02,theft,", header="claim_id,happened,known,kind,outcome")

    told = refusal(path, contract)
    assert f"{path}:1: column `amount` is missing" in told
    assert "expectations/tiny/contract.yaml" in told


def test_misspelt_column_is_named_beside_the_missing_one(contract: Contract, csv_file: Write) -> None:
    told = refusal(csv_file(header="claim_id,happened,known,kind,amout,outcome"), contract)

    assert "`amount` is missing" in told
    assert "unknown `amout`" in told


def test_extra_column_is_named(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-03-02,theft,1,,x", header="claim_id,happened,known,kind,amount,outcome,notes")

    assert f"{path}:1: unknown column `notes`" in refusal(path, contract)


def test_column_that_stands_twice_is_named(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-03-02,theft,1,,x", header="claim_id,happened,known,kind,amount,outcome,kind")

    assert "column `kind` stands twice" in refusal(path, contract)


def test_first_row_that_is_no_header_is_refused_without_repeating_it(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C2,2024-03-01,2024-03-02,theft,1,", header="C1,2024-03-01,2024-03-02,arson,9000,confirmed")

    told = refusal(path, contract)
    assert "as in a file without a header" in told
    assert "arson" not in told
    assert "9000" not in told


def test_byte_order_mark_before_a_right_header_is_ignored_aloud(
    contract: Contract, csv_file: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = csv_file()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    with caplog.at_level(logging.WARNING):
        table = read_file(path, contract)

    assert table.columns["claim_id"].to_pylist() == ["C1", "C2", "C3"]
    assert "byte-order mark" in caplog.text


def test_byte_order_mark_before_a_wrong_header_is_mentioned(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-03-02,theft,", header="claim_id,happened,known,kind,outcome")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert "byte-order mark" in refusal(path, contract)


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf16_is_refused(contract: Contract, tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "claims.csv"
    path.write_bytes(mark + "claim_id,happened".encode("utf-16-le"))

    assert f"{path}:1: written in UTF-16" in refusal(path, contract)


def test_bytes_that_are_not_utf8_are_named_by_line(contract: Contract, csv_file: Write) -> None:
    path = csv_file()
    path.write_bytes(path.read_bytes().replace(b"fire", b"f\xfcr"))

    assert f"{path}:3: not readable as utf-8" in refusal(path, contract)
    latin = contract.model_copy(update={"source": Source(encoding="latin-1")})
    assert read_file(path, latin).columns["kind"].to_pylist()[1] == "für"


def test_ragged_row_is_named_by_line_and_counted(contract: Contract, csv_file: Write) -> None:
    path = csv_file("C1,2024-03-01,2024-03-02,theft,1,", "", "C2,2024-03-01,secret", "C3,2024-03-01")

    told = refusal(path, contract)
    assert f"{path}:4: 2 row(s)" in told
    assert "Expected: 6 cells. Arrived: 3 in the first" in told
    assert "secret" not in told


def test_quotation_mark_that_is_never_closed_is_named_by_line(contract: Contract, csv_file: Write) -> None:
    path = csv_file('C1,2024-03-01,2024-03-02,"theft,1,', "C2,2024-03-01,2024-03-02,theft,1,")

    assert f"{path}:2: a quotation mark is never closed" in refusal(path, contract)


def test_quoted_line_break_is_part_of_its_cell(contract: Contract, csv_file: Write) -> None:
    path = csv_file('C1,2024-03-01,2024-03-02,"theft,\nat night",1,', "C2,2024-03-01,2024-03-02,fire,1,")

    assert read_file(path, contract).columns["kind"].to_pylist() == ["theft,\nat night", "fire"]


@pytest.mark.parametrize("name", ["claims.csv", "claims.csv.gz", "claims.jsonl", "claims.parquet"])
@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_empty_file_is_refused(contract: Contract, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") and content else content)

    assert f"{path}: the file is empty" in refusal(path, contract)


def test_header_without_claims_is_refused(contract: Contract, tmp_path: Path) -> None:
    for ending in ("", "\n"):
        path = tmp_path / "claims.csv"
        path.write_text(",".join(NAMES) + ending)
        assert f"{path}: a header but no claims" in refusal(path, contract)


def test_truncated_gzip_is_refused(contract: Contract, csv_file: Write, tmp_path: Path) -> None:
    whole = gzip.compress(csv_file().read_bytes())
    path = tmp_path / "claims.csv.gz"
    for kept in (len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:kept])
        assert f"{path}: the gzip file is cut off" in refusal(path, contract)
    path.write_bytes(csv_file().read_bytes())
    assert "not gzip" in refusal(path, contract)


def test_broken_json_is_named_by_line(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    good = json.dumps(dict.fromkeys(NAMES, "x"))
    for line, told in (
        ('{"claim_id": "secret"', "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"claim_id": ["secret"]}', "a nested value in column `claim_id`"),
        ('{"kind": "secret", "kind": "b"}', "stands twice"),
    ):
        path.write_text(f"{good}\n{line}\n")
        assert f"{path}:2: " in refusal(path, contract)
        assert told in refusal(path, contract)
        assert "secret" not in refusal(path, contract)


def test_damaged_parquet_is_refused(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.parquet"
    pd.DataFrame({name: ["x"] for name in NAMES}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])

    assert f"{path}: damaged, or not Parquet" in refusal(path, contract)


def test_parquet_list_column_is_refused_by_name(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "claims.parquet"
    pd.DataFrame({name: ["x"] for name in NAMES} | {"kind": [["a"]]}).to_parquet(path)

    assert "column `kind` holds list" in refusal(path, contract)


def test_unknown_suffix_and_absent_file_are_refused(contract: Contract, tmp_path: Path) -> None:
    assert ".csv, .jsonl, .ndjson, .parquet" in refusal(tmp_path / "claims.xlsx", contract)
    assert "no such file" in refusal(tmp_path / "claims.csv", contract)


def test_parquet_text_that_is_not_utf8_is_refused_by_its_column_and_code(contract: Contract, tmp_path: Path) -> None:
    """Parquet declares its text to be UTF-8, and neither its writers nor its readers look."""
    kinds = pa.array([b"fire", b"\xff\xfe"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(kinds), kinds.buffers())
    rest = {name: ["1", "2"] for name in NAMES if name != "kind"}
    for name, values in (("plain", text), ("dictionary", text.dictionary_encode())):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({**rest, "kind": values}), path)
        with pytest.raises(BadInput, match="column `kind` holds text that is not UTF-8") as refused:
            read_file(path, contract)
        assert refused.value.facts["code"] == "LAND013"
