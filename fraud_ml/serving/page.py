"""The scorer's front page: what is live, for people. No script, nothing from elsewhere."""

from collections.abc import Mapping
from html import escape

from fraud_ml.errors import FraudMLError
from fraud_ml.serving.scorer import LiveModel

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fraud scorer {name}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 64rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top }}
code {{ font-size: .85em; overflow-wrap: anywhere }}
.missing {{ color: #b3261e }}
</style>
</head>
<body>
<h1>Fraud scorer <code>{name}</code></h1>
{body}
<h2>Ask it</h2>
<p><code>POST /claims/score</code> with <code>{{"dataset": …, "claims": [{{"claim_id": …, column: value, …}}]}}</code>,
or the Open Inference Protocol at <a href="v2"><code>/v2</code></a>; columns:
<a href="v2/models/fraud"><code>/v2/models/fraud</code></a>. Figures: <a href="metrics"><code>/metrics</code></a>.</p>
</body>
</html>
"""


def front_page(name: str, live: Mapping[str, LiveModel], missing: Mapping[str, FraudMLError]) -> str:
    """Return the page for the scorer `name`."""
    heads = ("Dataset", "Version", "Learned as of", "Family", "Live since", "Candidate", "Files")
    rows = [_row(live[dataset]) for dataset in sorted(live)]
    table = f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"
    body = table if rows else "<p>No model is live yet: promote an approved candidate, and it appears here.</p>"
    for dataset in sorted(missing):
        body += f'<p class="missing">{escape(dataset)} is not served: {escape(missing[dataset].what)}</p>'
    return _PAGE.format(name=escape(name), body=body)


def _row(model: LiveModel) -> str:
    deployment, candidate = model.deployment, model.deployment.candidate
    cells = (
        escape(deployment.dataset),
        f'<a href="v2/models/{escape(deployment.model_name)}">{escape(deployment.version)}</a>',
        escape(candidate.as_of),
        escape(candidate.family),
        escape(deployment.since),
        f"<code>{escape(candidate.digest)}</code>",
        f"<code>{escape(candidate.artifact_digest)}</code>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
