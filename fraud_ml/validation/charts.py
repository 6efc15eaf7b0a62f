"""A drawing as SVG that stands in the report's page: two bars for each category, before and now."""

from html import escape

from fraud_ml.validation.drawings import Bar, Drawing

_LABEL, _WIDTH, _ROW, _BAR, _ROOM_FOR_SHARE = 190, 420, 34, 12, 70

STYLE = """
figure { margin: 1.5rem 0; max-width: 44rem; }
figcaption { padding-bottom: .4rem; }
svg text { font: 13px system-ui, sans-serif; fill: currentColor; }
svg .before { fill: currentColor; opacity: .35; }
svg .now { fill: var(--bad); }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
.key.before::before { background: currentColor; opacity: .35; }
.key.now::before { background: var(--bad); }
"""


def chart(drawing: Drawing) -> str:
    """Return a figure whose longest bar is as wide as the room; who cannot see it hears the shares."""
    widest = max(max(bar.before, bar.now) for bar in drawing.bars)
    rows = "".join(_row(place, bar, widest) for place, bar in enumerate(drawing.bars))
    heard = "; ".join(f"{bar.label}: before {bar.before:.1%}, now {bar.now:.1%}" for bar in drawing.bars)
    return (
        f"<figure><figcaption><strong>{escape(drawing.column)}</strong> in {escape(drawing.month)} "
        f"({escape(', '.join(drawing.codes))}): "
        f'<span class="key before">before, {drawing.rows_before:,} claims</span> '
        f'<span class="key now">now, {drawing.rows:,} claims</span></figcaption>'
        f'<svg role="img" aria-label="{escape(heard)}" '
        f'viewBox="0 0 {_LABEL + _WIDTH + _ROOM_FOR_SHARE} {len(drawing.bars) * _ROW}">{rows}</svg></figure>'
    )


def _row(place: int, bar: Bar, widest: float) -> str:
    top = place * _ROW
    return (
        f'<text x="{_LABEL - 8}" y="{top + 20}" text-anchor="end">{escape(_short(bar.label))}</text>'
        + _bar("before", bar.before, widest, top + 3)
        + _bar("now", bar.now, widest, top + 4 + _BAR)
    )


def _bar(kind: str, share: float, widest: float, top: int) -> str:
    width = _WIDTH * share / widest
    return (
        f'<rect class="{kind}" x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}"/>'
        f'<text x="{_LABEL + width + 6:.1f}" y="{top + _BAR - 1}">{share:.1%}</text>'
    )


def _short(label: str, most: int = 26) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
