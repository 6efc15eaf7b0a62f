"""The page people open about a candidate: verdict, gates, figures, threshold by month, slices and pictures.

No clock, no path of this machine and nothing from outside: the same judgement gives the same page.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Candidate, EvaluationReport, Finding, Outcome, Verdict
from fraud_ml.evaluation.judging import Evaluation

INDEX = "index.html"

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --bad: #b00020; --warn: #8a5a00; --good: #176b33; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a95; --warn: #ffc66d; --good: #7ddc9b; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
.verdict { border-left: .4rem solid; padding: .6rem 1rem; background: var(--soft); font-size: 1.1rem; }
.accepted, .passed { border-color: var(--good); color: var(--good); }
.rejected, .stops { border-color: var(--bad); color: var(--bad); }
.notes { color: var(--warn); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
img { max-width: 30rem; width: 100%; background: white; }
"""


def write_page(
    folder: Path,
    verdict: Verdict,
    report: EvaluationReport,
    evaluation: Evaluation,
    told: Mapping[str, Any],
    pictures: Mapping[str, Path],
    candidate: Candidate,
) -> None:
    """Write index.html and copies of the pictures into the new `folder`; nothing else is linked."""
    folder.mkdir()
    for path in pictures.values():
        shutil.copyfile(path, folder / path.name)
    window = report.test_window
    facts = {
        "Candidate": candidate.digest,
        "Model": candidate.model_digest,
        "Learned from": f"{candidate.dataset} as of {candidate.as_of}, snapshot {candidate.snapshot_digest}",
        "Test window": f"{window.begin} to {window.end}: {window.rows:,} claims, {window.positives:,} confirmed frauds",
        "SHA-256 of the test window": report.test_window_digest,
    }
    threshold, slices = (told[name] for name in ("threshold.json", "slices.json"))
    sections = (
        f"<h1>{escape(candidate.dataset)}: candidate {escape(candidate.digest[:12])} ({escape(report.family)})</h1>",
        f'<p class="verdict {verdict.decision}"><strong>{escape(sentence(verdict))}</strong></p>',
        _table(("", ""), facts.items()),
        "<h2>Gates</h2>",
        _findings(verdict.findings),
        "<h2>Figures on the test window, with their intervals</h2>",
        _table(("figure", "value", "from", "to"), _figures(evaluation)),
        f"<p>Undefined for these claims: {escape(', '.join(report.undefined))}.</p>" if report.undefined else "",
        "<h2>The threshold</h2>",
        f"<p>{escape(_threshold(threshold))}</p>",
        _records(threshold["months"]),
        "<h2>Whom it bothers</h2>",
        "<p>Where the threshold flags 5 % of all honest claims.</p>" if slices else "<p>No slice is declared.</p>",
        *(f"<h3>{escape(column)}</h3>" + _records(rows) for column, rows in slices.items()),
        "<h2>Pictures</h2>",
        *(f'<img src="{escape(path.name)}" alt="{escape(title)}">' for title, path in pictures.items()),
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(verdict.about)}: {verdict.decision}</title><style>{_STYLE}</style>"
    )
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n' + "\n".join(sections)
    (folder / INDEX).write_text(page + "\n</main></body></html>\n", encoding="utf-8")


def sentence(verdict: Verdict) -> str:
    """Return the verdict as one sentence."""
    if verdict.is_accepted:
        return f"Accepted: {len(verdict.findings)} gates were judged and none stops."
    reasons = "; ".join(
        f"{one.code} {one.outcome} (expected {one.expected}; arrived {one.arrived})" for one in verdict.stopping
    )
    return f"Rejected, nobody can approve it: {reasons or 'nothing was judged'}."


def _findings(findings: Sequence[Finding]) -> str:
    def kind(one: Finding) -> str:
        return "stops" if one.stops else ("passed" if one.outcome is Outcome.PASSED else "notes")

    ordered = sorted(findings, key=lambda one: (not one.stops, one.outcome is Outcome.PASSED, one.code))
    rows = "".join(
        f'<tr><th>{one.code}</th><td class="{kind(one)}">{one.outcome} ({one.severity})</td>'
        f"<td>{escape(one.title)}</td>"
        f"<td>{escape(one.expected)}</td><td>{escape(one.arrived)}</td>"
        f"<td>{escape(one.next_step) if one.outcome is not Outcome.PASSED else ''}</td></tr>"
        for one in ordered
    )
    heads = "".join(f"<th>{name}</th>" for name in ("Gate", "Outcome", "Rule", "Expected", "Arrived", "Next step"))
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _figures(evaluation: Evaluation) -> Iterable[tuple[str, ...]]:
    for name, found in evaluation.figures.items():
        if found is None:
            yield name, "undefined", "", ""
        else:
            yield name, *(f"{value:,.4f}" for value in (found.value, found.low, found.high))


def _threshold(told: Mapping[str, Any]) -> str:
    money = told["money"]
    chosen = (
        "No claim is flagged" if told["threshold"] is None else f"Claims at or above {told['threshold']:g} are flagged"
    )
    assumed = told["claims_with_an_assumed_amount"]
    return (
        f"{chosen}: {told['why']}. An investigation costs {money['investigation_eur']:g} EUR and saves "
        f"{money['recovered_share']:.0%} of a confirmed fraud's amount; investigators can look at "
        f"{money['capacity_per_day']:g} claims a day; at most {money['max_honest_bothered']:.0%} of the honest claims "
        f"may be flagged. The amount of {assumed:,} claims is not known and taken as "
        f"{money['amount_where_unknown_eur']:g} EUR."
    )


def _records(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _table(names, ([_cell(row.get(name)) for name in names] for row in rows)) if rows else ""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
