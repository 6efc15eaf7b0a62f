"""The rules of the leak check, one function a group: what was found becomes findings LEAK001 to LEAK007."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.contract import Contract
from fraud_ml.features.order import ENCODES_ORDER, FEATURE, GIVES_LABEL_AWAY, TELLS_TIME, Probe
from fraud_ml.features.replay import Featurise, differing_features, differing_labels, recorded_too_late

if TYPE_CHECKING:
    import pandas as pd

_AS_SCORED = "the same value as in the log cut at the claim's own scoring time"


def replayed(
    features: "pd.DataFrame",
    states: "pd.Series[str]",
    rows: "pd.DataFrame",
    contract: Contract,
    as_of: date,
    featurise: Featurise,
    *,
    where: str = "",
) -> Iterator[Finding]:
    """Yield LEAK001 and LEAK002: features and labels of the sampled claims, computed again the slow way.

    features, states: by key, one row a sampled claim; rows: the log as known; where: what holds them, for people.
    """
    if not len(features):
        title = f"features{where} are as they were when their claims were scored"
        yield Finding("LEAK001", title, Severity.STOP, Outcome.UNDECIDED, "a claim", "none")
        return
    differing = {name: n for name, n in differing_features(features, rows, contract, featurise).items() if n}
    for column, count in differing.items():
        yield finding(
            "LEAK001",
            f"the feature{where} knows more than was known when its claim was scored",
            passed=False,
            expected=_AS_SCORED,
            arrived=f"another one for {count} of {len(features)} claims",
            column=column,
            count=count,
            next_step="take the column from what was recorded by then, or give it the role `context` in contract.yaml",
        )
    if not differing:
        yield finding(
            "LEAK001",
            f"every feature{where} is as it was when its claim was scored",
            expected=_AS_SCORED,
            arrived=f"that, for {len(features)} claims (so it fails for {min(1, 3 / len(features)):.1%} at most, 95 %)",
        )
    count = differing_labels(states, rows, contract, as_of)
    yield finding(
        "LEAK002",
        f"every label{where} is the one known at the as-of date",
        passed=not count,
        expected="the label state of the claim's own rows, read one by one up to the as-of date",
        arrived=f"another one for {count} of {len(states)} claims",
        column=contract.label.column,
        count=count,
        next_step="compare the fold with the log's rows of those claims",
    )


def cut(rows: "pd.DataFrame", as_of: date) -> Finding:
    """Return LEAK003: whether the snapshot holds a row that was recorded after its date."""
    count = recorded_too_late(rows, as_of)
    return finding(
        "LEAK003",
        "the snapshot ends with its as-of date",
        passed=not count,
        expected=f"rows recorded before the end of {as_of} (UTC)",
        arrived=f"{count} of {len(rows)} rows recorded later",
        column="recorded_at",
        count=count,
        next_step="correct the cut, and freeze the date anew",
    )


def probed(probes: tuple[Probe, ...]) -> Iterator[Finding]:
    """Yield LEAK005, LEAK006 and LEAK007: what single features, and pairs of them, give away."""
    judged = [found for found in probes if found.role == FEATURE]
    for found in judged:
        if found.encodes_order:
            yield finding(
                "LEAK005",
                "the feature tells when its claim was recorded",
                passed=False,
                expected=f"less than {ENCODES_ORDER:.0%} of the recorded order explained by it",
                arrived=f"{found.order_share:.0%}",
                column=found.column,
                share=found.order_share,
                next_step="a row number, an id or a calendar is no feature: give it another role in contract.yaml",
            )
        if found.learns_calendar:
            yield finding(
                "LEAK006",
                "what the feature teaches holds for its own months only",
                passed=False,
                severity=Severity.STOP if found.order_share >= TELLS_TIME else Severity.WARN,
                expected="about the same area under the curve on random claims and on later ones",
                arrived=f"{found.auc_random:.2f} and {found.auc_forward:.2f}",
                column=found.column,
                next_step="see whether it stands for the labelling calendar",
            )
        if found.gives_label_away:
            yield finding(
                "LEAK007",
                "the feature alone gives the label away",
                passed=False,
                expected=f"an area under its curve below {GIVES_LABEL_AWAY}",
                arrived=f"{found.auc_random:.3f}",
                column=found.column,
                next_step="see whether it is derived from the label, or recorded with it",
            )
    for code, title, caught in (
        ("LEAK005", "no feature tells when its claim was recorded", [p for p in judged if p.encodes_order]),
        ("LEAK006", "what a feature teaches holds for later claims", [p for p in judged if p.learns_calendar]),
        ("LEAK007", "no feature alone gives the label away", [p for p in judged if p.gives_label_away]),
    ):
        if not caught:
            yield finding(code, title, expected="none", arrived=f"none of {len(judged)} features and pairs")


def finding(
    code: str,
    title: str,
    *,
    expected: str,
    arrived: str,
    passed: bool = True,
    severity: Severity = Severity.STOP,
    column: str | None = None,
    count: int | None = None,
    share: float | None = None,
    next_step: str = "",
) -> Finding:
    """Return a finding of the leak check; every one of them has a column where there is one to blame."""
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Finding(code, title, severity, outcome, expected, arrived, column, count, share, next_step)
