"""Reading about stages and models loads no learning library."""

import subprocess
import sys

from tests.toy_claims import PROJECT

HEAVY = ("tensorflow", "keras", "sklearn", "skops", "pandas", "pyarrow", "matplotlib", "great_expectations", "duckdb")


def test_importing_the_rooms_of_the_learning_stages_loads_nothing_heavy() -> None:
    script = f"""
import sys
import fraud_ml.features, fraud_ml.models, fraud_ml.training, fraud_ml.evaluation
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
