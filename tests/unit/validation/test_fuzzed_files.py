"""A thousand damaged files go through landing and validation: each is refused in a sentence, or judged."""

import json
import subprocess
import sys

import pytest

from fraud_ml.settings import PROJECT

FILES = 1_000
_PROGRAM = """
import gzip, io, json, resource, sys, time
from datetime import date
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fraud_ml.contract import load_contract
from fraud_ml.data.sources.files import read_content
from fraud_ml.data.tables import parse_rows
from fraud_ml.errors import FraudMLError
from fraud_ml.params import load_params
from fraud_ml.settings import PROJECT
from fraud_ml.validation.verdict import judge

contract = load_contract("handbook", PROJECT / "expectations")
params = load_params(PROJECT / "params.yaml").validation
rows = 40
at = pd.Timestamp("2018-04-01") + pd.to_timedelta(np.arange(rows) * 9000, unit="s")
table = pd.DataFrame(
    {
        "TRANSACTION_ID": [str(n) for n in range(rows)],
        "TX_DATETIME": [f"{one:%Y-%m-%dT%H:%M:%S}" for one in at],
        "CUSTOMER_ID": [str(n % 7) for n in range(rows)],
        "TERMINAL_ID": [str(n % 9) for n in range(rows)],
        "TX_AMOUNT": [f"{5 + n * 1.5:.2f}" for n in range(rows)],
        "TX_FRAUD": ["1" if n % 9 == 0 else "0" for n in range(rows)],
        "TX_FRAUD_SCENARIO": ["2" if n % 9 == 0 else "0" for n in range(rows)],
    }
)
text = table.to_csv(index=False).encode()
typed = pa.Table.from_pandas(table.assign(TX_DATETIME=at, TX_AMOUNT=table["TX_AMOUNT"].astype(float)))
bare, checked = io.BytesIO(), io.BytesIO()
pq.write_table(typed, bare, compression="none", use_dictionary=False)
pq.write_table(typed, checked)
whole = {
    "a.csv": text,
    "a.csv.gz": gzip.compress(text, mtime=0),
    "a.parquet": bare.getvalue(),
    "b.parquet": checked.getvalue(),
    "a.parquet.gz": gzip.compress(checked.getvalue(), mtime=0),
}
dice = np.random.default_rng(int(sys.argv[2]))
refused, judged, slowest, faults = 0, 0, 0.0, []
for number in range(int(sys.argv[1])):
    name = list(whole)[number % len(whole)]
    content = bytearray(whole[name])
    for place in dice.integers(len(content), size=int(dice.choice([1, 2, 8, 64]))):
        content[place] = int(dice.integers(256))
    begin = time.perf_counter()
    try:
        landed = parse_rows(read_content(name, bytes(content), contract), contract)
        if judged < 40 or number % 25 == 0:
            judged += 1
            judge(
                landed.to_pandas(), contract, params, rules=PROJECT / "expectations" / "handbook",
                as_of=date(2018, 9, 30), subject_digest="", tfdv_python=None,
            )
    except FraudMLError as error:
        refused += 1
        assert str(error).count("\\n") == 0
    except Exception as fault:
        faults.append(f"{number} {name}: {type(fault).__module__}.{type(fault).__name__}: {str(fault)[:80]}")
    slowest = max(slowest, time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"refused": refused, "judged": judged, "slowest_s": slowest, "peak_gib": peak, "faults": faults}))
"""


@pytest.mark.slow
def test_damaged_files_are_refused_or_judged_and_never_a_fault():
    command = [sys.executable, "-c", _PROGRAM, str(FILES), "5"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["faults"] == []
    assert told["refused"] > FILES / 4
    assert told["judged"] > 20
    assert told["slowest_s"] < 60
    assert told["peak_gib"] < 4
