"""Is this snapshot fit to learn from? Own checks, a Great Expectations suite and TFDV's statistics give one verdict."""

from fraud_ml.artifacts import Verdict, Workspace
from fraud_ml.params import ValidationParams


def judge_snapshot(workspace: Workspace, params: ValidationParams) -> Verdict:
    """Judge the pinned snapshot; afterwards the workspace holds its fold, verdict, quarantine and report.

    Never raises on bad claims. Raises Tampered or Unavailable when the snapshot cannot be read as it was frozen,
    BadInput when contract, suite or schema is wrong, Unavailable when TFDV's environment is not there.
    """
    from fraud_ml.validation.stage import judge_pinned  # heavy: pandas; great_expectations only when there are rows

    return judge_pinned(workspace, params)
