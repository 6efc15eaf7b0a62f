"""The report people open: verdict in a sentence, findings, what drifted drawn, Data Docs, TFDV's figures.

Nothing from outside; no clock and no path of this machine: the same judgement gives the same page. No claim's value.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict
from fraud_ml.validation import charts
from fraud_ml.validation.drawings import Drawing
from fraud_ml.validation.statistics import Described
from fraud_ml.validation.verdict import Judgement

INDEX = "index.html"
STATISTICS = "statistics.pbtxt"

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --bad: #b00020; --warn: #8a5a00; --good: #176b33; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a95; --warn: #ffc66d; --good: #7ddc9b; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 96rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.verdict { border-left: .4rem solid; padding: .6rem 1rem; background: var(--soft); font-size: 1.1rem; }
.accepted { border-color: var(--good); }
.rejected { border-color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
thead th { border-bottom-width: 2px; white-space: nowrap; }
tbody th { white-space: nowrap; font-weight: 600; }
td { overflow-wrap: break-word; min-width: 5rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.stops { color: var(--bad); font-weight: 600; }
.notes { color: var(--warn); font-weight: 600; }
.passed { color: var(--good); }
"""


def write_report(folder: Path, judgement: Judgement, *, title: str, dataset: str, as_of: str) -> None:
    """Write index.html into `folder`, beside it TFDV's statistics; Data Docs are there already or are not linked."""
    folder.mkdir(parents=True, exist_ok=True)
    if judgement.described.statistics:
        (folder / STATISTICS).write_text(judgement.described.statistics, encoding="utf-8")
    body = (
        f"<h1>{escape(title)}: snapshot as of {escape(as_of)}</h1>",
        _verdict(judgement.verdict),
        _facts(judgement.verdict, dataset, as_of),
        _findings(judgement.verdict.findings),
        _drawings(judgement.drawings),
        _data_docs(folder, judgement.data_docs_page),
        _statistics(judgement.described),
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(judgement.verdict.about)}: {judgement.verdict.decision}</title>"
        f"<style>{_STYLE}{charts.STYLE}</style>"
    )
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n' + "\n".join(body)
    partial = folder / f".{INDEX}.{os.getpid()}"
    partial.write_text(page + "\n</main></body></html>\n", encoding="utf-8")
    partial.replace(folder / INDEX)


def sentence(verdict: Verdict) -> str:
    """Return the verdict as one sentence: the decision, its reasons by code, and what was set aside."""
    aside = f"{verdict.quarantined_rows:,} of {verdict.rows:,} claims are set aside" if verdict.quarantined_rows else ""
    if verdict.is_accepted:
        return f"Accepted: {len(verdict.findings)} rules were judged and none stops." + (f" {aside}." if aside else "")
    reasons = []
    for finding in verdict.stopping[:3]:
        where = f"column {finding.column}, " if finding.column else ""
        reasons.append(f"{finding.code} ({where}expected {finding.expected}; arrived {finding.arrived})")
    more = f" and {len(verdict.stopping) - 3} more" if len(verdict.stopping) > 3 else ""
    why = "; ".join(reasons) + more if reasons else "nothing was judged"
    return f"Rejected, nobody trains on it: {why}." + (f" {aside}." if aside else "")


def in_reading_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return what stops first, then what sets aside, then what warns, then what passed; by code within each."""
    return sorted(findings, key=lambda finding: (_rank(finding), finding.code, finding.column or ""))


def _rank(finding: Finding) -> int:
    if finding.stops:
        return 0
    if finding.outcome is Outcome.PASSED:
        return 3
    return 1 if finding.severity is Severity.QUARANTINE else 2


_OUTCOMES = (("stops", "stops"), ("notes", "set aside"), ("notes", "warning"), ("passed", "passed"))


def _verdict(verdict: Verdict) -> str:
    return f'<p class="verdict {verdict.decision}"><strong>{escape(sentence(verdict))}</strong></p>'


def _facts(verdict: Verdict, dataset: str, as_of: str) -> str:
    kept = verdict.rows - verdict.quarantined_rows
    facts = {
        "Data set": dataset,
        "As of": as_of,
        "Snapshot": verdict.subject_digest,
        "Claims": f"{verdict.rows:,}, of which {verdict.quarantined_rows:,} set aside and {kept:,} kept",
    }
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()) + "</dl>"


def _findings(findings: Sequence[Finding]) -> str:
    heads = ("Code", "Outcome", "Rule", "Column", "Expected", "Arrived", "Count", "Share", "Next step")
    rows = []
    for finding in in_reading_order(findings):
        kind, word = _OUTCOMES[_rank(finding)]
        if finding.outcome is Outcome.UNDECIDED:
            word = "stops: could not judge"
        cells = (
            f'<td class="{kind}">{word}</td>',
            _cell(finding.title),
            _cell(finding.column),
            _cell(finding.expected),
            _cell(finding.arrived),
            _cell(None if finding.count is None else f"{finding.count:,}", "number"),
            _cell(None if finding.share is None else f"{finding.share:.2%}", "number"),
            _cell(finding.next_step),
        )
        rows.append(f'<tr><th scope="row">{escape(finding.code)}</th>{"".join(cells)}</tr>')
    caption = "What stops comes first. A rule that could not judge stops like one that failed."
    return f"<h2>Findings</h2>{_table(caption, heads, rows)}"


def _drawings(drawings: Sequence[Drawing]) -> str:
    if not drawings:
        return ""
    told = (
        "Shares of the claims of a month beside those of the months before it, and of requests beside the claims of "
        "the same months. Numbers are told without a scale: each part holds about a tenth of the claims before, the "
        "lowest first. A category is named where the suite lists it."
    )
    return f"<h2>Before and now</h2><p>{told}</p>{''.join(charts.chart(drawing) for drawing in drawings)}"


def _data_docs(folder: Path, page: Path | None) -> str:
    if page is None:
        return "<h2>Great Expectations</h2><p>No page: there was nothing to show.</p>"
    link = page.resolve().relative_to(folder.resolve()).as_posix()
    return (
        f'<h2>Great Expectations</h2><p><a href="{escape(link)}">Data Docs of this validation</a>, '
        "built from counts alone: values are withheld. That page asks public servers for its styles and scripts; "
        "this one asks nobody.</p>"
    )


def _statistics(described: Described) -> str:
    if not described.columns:
        return "<h2>TensorFlow Data Validation</h2><p>No statistics: it did not run. The findings say why.</p>"
    heads = (
        "Column",
        "Known",
        "Missing",
        "Missing share",
        "Distinct",
        "Average length",
        "Zeros",
        "Mean",
        "Standard deviation",
    )
    rows = [_described(column) for column in described.columns]
    caption = (
        f"Taken from {described.rows:,} claims; timestamps are days since 1970. "
        "Extremes, quantiles and frequent values are withheld."
    )
    link = f'<p><a href="{STATISTICS}">The same as a TFDV protocol buffer</a> (text).</p>'
    return f"<h2>TensorFlow Data Validation</h2>{_table(caption, heads, rows)}{link}"


def _described(column: Mapping[str, Any]) -> str:
    rows = column["known"] + column["missing"]
    share = f"{column['missing'] / rows:.2%}" if rows else None
    counts = [f"{column['known']:,}", f"{column['missing']:,}", share]
    figures = [column.get(name) for name in ("distinct", "average_length", "zeros", "mean", "standard_deviation")]
    told = [*counts, *(None if value is None else f"{value:,.6g}" for value in figures)]
    return f'<tr><th scope="row">{escape(column["column"])}</th>{"".join(_cell(text, "number") for text in told)}</tr>'


def _table(caption: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    label = escape(caption)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table><caption>{label}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(text: str | None, kind: str = "") -> str:
    opening = f'<td class="{kind}">' if kind else "<td>"
    return f"{opening}{escape(text or '')}</td>"
