"""Commands about labels and leaks: what is known about each claim at a date, and whether anything knows more."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fraud_ml.artifacts import Workspace, canonical_json
from fraud_ml.commands.arguments import contract_of
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from fraud_ml.data.snapshots import Snapshot
    from fraud_ml.features.cohort import Cohort

_FOLDER = click.Path(path_type=Path)
_STATES = {
    "confirmed": "confirmed",
    "cleared": "cleared",
    "under_investigation": "open",
    "never_looked_at": "never seen",
    "unlabelled": "unlabelled",
    "immature": "too young",
}


@click.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--snapshot", type=_FOLDER, help="Read this pinned folder (workspace/snapshot), not the registry.")
@click.option("--out", type=_FOLDER, help="Folder for the drawn curves, cohort.json and claims.parquet (keys hashed).")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def cohort(dataset: str, as_of: str, snapshot: Path | None, out: Path | None, as_json: bool) -> None:
    """Show what is known about the labels of DATASET at AS_OF (YYYY-MM-DD), by event month.

    A claim is confirmed, cleared, open (somebody looks), never seen (nobody looked) or too young; the last three are
    never a "no". Beside it: how many days a fraud takes to be known, the months in which recording stopped, and whom
    investigators choose.

    \b
    Example: fraud-ml cohort motor 2025-12-31 --out reports/cohort
    """
    from fraud_ml.features.cohort import observe
    from fraud_ml.features.cohort_report import write_cohort

    with _opened(dataset, as_of, snapshot) as found:
        report, marked = observe(found, found.contract)
    if out is not None:
        write_cohort(report, marked, out)
    click.echo(canonical_json(report) if as_json else _table(report))
    if out is not None and not as_json:
        click.echo(f"\nwritten to {out}")


@contextmanager
def _opened(dataset: str, as_of: str, folder: Path | None) -> "Iterator[Snapshot]":
    """Yield the snapshot, every byte compared with its manifest; from the registry unless a folder is given."""
    from fraud_ml.data.snapshots import open_snapshot, pin_keys, pin_snapshot

    contract = contract_of(dataset)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-pinned-") as scratch:
        if folder is None:
            workspace = Workspace(Path(scratch))
            pin_snapshot(Settings.load(), dataset, as_of, workspace)
            pin_keys(Settings.load(), contract, workspace)
            folder = workspace.snapshot
        opened = open_snapshot(folder, contract)
        if opened.manifest.as_of != as_of[:10]:
            raise BadInput(
                f"{folder} is a snapshot as of another date",
                expected=as_of[:10],
                arrived=opened.manifest.as_of,
                next_step="ask for that date, or pin the other snapshot",
            )
        yield opened


def _table(report: "Cohort") -> str:
    from fraud_ml.features.cohort import KNOWN_AFTER_DAYS

    shown = {state: name for state, name in _STATES.items() if state in report.states}
    heads = ["month", "claims", *shown.values(), "random", "known", "recording"]
    body = [
        [
            month.month,
            f"{month.claims:,}",
            *(f"{month.states.get(state, 0):,}" for state in shown),
            f"{month.random_investigations:,}",
            "whole" if month.is_complete else "in part",
            "STOPPED" if month.recording_stopped else "",
        ]
        for month in report.months
    ]
    total = ["all", f"{report.claims:,}", *(f"{report.states.get(state, 0):,}" for state in shown)]
    total += [f"{sum(month.random_investigations for month in report.months):,}", "", ""]
    widths = [max(len(row[place]) for row in (heads, *body, total)) for place in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *body, total)
    ]
    lines = [line.rstrip() for line in lines]
    lines.append(f"\n{report.dataset} as of {report.as_of}; a label counts {report.maturity_days} days after the event")
    lines.append(f'"no" means: {report.meaning_of_no}')
    if report.maturity.frauds:
        points = ((day, report.maturity.at(day)) for day in KNOWN_AFTER_DAYS if day <= report.maturity.watched_days)
        lines.append("share of the final fraud known: " + ", ".join(f"{day} days {_limits(*at)}" for day, at in points))
        if report.arrived_confirmed:
            lines.append(
                f"{report.arrived_confirmed:,} of {report.maturity.frauds:,} frauds came into the log confirmed:"
                " their delay is the source's, not an investigator's"
            )
    if report.recording.stopped:
        lines.append(f"recording stopped ({report.recording_policy}): {', '.join(report.recording.stopped)}")
    bias = report.investigation
    if bias is not None:
        lines.append(
            f"investigated: {bias.investigated:,} of {bias.claims:,} mature claims, {bias.random:,} of them at random;"
            f" features tell who (AUC {bias.auc:.3f}): {', '.join(name for name, _ in bias.columns[:3])}"
        )
        shares = {
            "seen": bias.fraud_share_seen,
            "weighted": bias.fraud_share_weighted,
            "random": bias.fraud_share_random,
        }
        told = (f"{name} {_limits(s.value, s.low, s.high)}" for name, s in shares.items() if s is not None)
        lines.append("share of confirmed fraud: " + ", ".join(told))
    return "\n".join(lines)


def _limits(value: float, low: float | None, high: float | None) -> str:
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


@click.command()
@click.argument("dataset")
@click.argument("as_of")
@click.option("--claims", default=200, show_default=True, help="How many random claims are computed again, slowly.")
@click.option("--seed", default=0, show_default=True, help="Draws the claims, the poison and the probes' halves.")
@click.option("--snapshot", type=_FOLDER, help="Check this pinned folder (workspace/snapshot), not the registry's.")
@click.option("--windows", type=_FOLDER, help="Check these written windows (workspace/features) of it as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def leakcheck(
    dataset: str, as_of: str, claims: int, seed: int, snapshot: Path | None, windows: Path | None, as_json: bool
) -> None:
    """Prove that nothing learned from DATASET at AS_OF (YYYY-MM-DD) knew more than was known; exit 2 naming what did.

    Features of random claims are computed again from the log cut at their own scoring time; the log is frozen again
    with another future; and a model of each single column is asked when its claims were recorded and what became of
    them. Nothing is written but a temporary folder.

    \b
    Example: fraud-ml leakcheck motor 2025-12-31 --claims 500
    """
    from fraud_ml.features.leakcheck import check_leaks

    if claims < 1:
        raise BadInput("too few claims to check", expected="--claims 1 or more", arrived=str(claims))
    with _opened(dataset, as_of, snapshot) as found:
        report = check_leaks(
            found,
            windows=None if windows is None else _windows_of(found, windows),
            later=None if snapshot else _recorded_later(found),
            sample=claims,
            seed=seed,
        )
    if as_json:
        click.echo(canonical_json(report))
    else:
        for finding in report.verdict.findings:
            column = f" {finding.column}:" if finding.column else ""
            told = "warning" if finding.outcome == "failed" and not finding.stops else finding.outcome
            click.echo(f"{finding.code}  {told:<9}{column} {finding.title}; {finding.arrived}")
        roles = {probe.column: probe.role for probe in report.probes}
        told = ", ".join(f"{name} ({roles[name]})" for name in report.order_columns) or "none"
        click.echo(f"columns that tell the recorded order: {told}")
    report.verdict.require_accepted(subject_digest=report.snapshot_digest)


def _windows_of(snapshot: "Snapshot", folder: Path) -> "pd.DataFrame":
    """Return the rows of all windows in the folder. Raises BadInput when they were made of another snapshot."""
    import pandas as pd

    from fraud_ml.artifacts import FeatureReport, load
    from fraud_ml.features.windows import REPORT, read_window

    made_of = load(FeatureReport, folder / REPORT).snapshot_digest
    if made_of != snapshot.manifest.digest:
        raise BadInput(
            f"the windows in {folder} were made of another snapshot",
            expected=f"digest {snapshot.manifest.digest[:12]}",
            arrived=made_of[:12],
            next_step="run the features stage on this snapshot, or check the other one",
        )
    return pd.concat([read_window(folder, name) for name in ("train", "validation", "test")], ignore_index=True)


def _recorded_later(snapshot: "Snapshot") -> "pd.DataFrame | None":
    """Return the rows of the dataset's newest frozen version that were recorded after this one; None without any.

    Where the newest version is not at hand, the check goes on without it, and says so.
    """
    from datetime import date, timedelta

    import pandas as pd

    from fraud_ml.data.snapshots import list_versions, open_snapshot, pin_snapshot
    from fraud_ml.features.log_copy import log_rows

    settings, manifest = Settings.load(), snapshot.manifest
    newest = list_versions(settings, manifest.dataset)[-1]
    if newest.as_of <= manifest.as_of:
        return None
    with tempfile.TemporaryDirectory(prefix="fraud-ml-pinned-") as scratch:
        workspace = Workspace(Path(scratch))
        try:
            pin_snapshot(settings, manifest.dataset, newest.name, workspace)
        except Unavailable as away:
            click.echo(f"without what was really recorded later: {away}", err=True)
            return None
        rows = log_rows(open_snapshot(workspace.snapshot, snapshot.contract), snapshot.contract)
    end = pd.Timestamp(date.fromisoformat(manifest.as_of) + timedelta(days=1))
    return rows[rows["recorded_at"] >= end]
