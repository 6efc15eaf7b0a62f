"""The figures and pictures of docs/simulator.md: `python -m fraud_ml.data.simulator.datasheet docs` writes them anew.

The page's sentences are written by hand; what stands between its `figures` marks is written here, from CLAIMS
simulated claims. Equal code gives an equal page.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud_ml.artifacts import digest_of
from fraud_ml.data.simulator import simulate_with_truth, stream
from fraud_ml.data.simulator.motor.policies import BOOK
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CLAIMS, SEED, BEGIN, END = 120_000, 7, date(2020, 1, 1), date(2025, 12, 31)
PAGE = "simulator.md"
PICTURES = ("seasons", "labels", "scores", "rings")
INK, RUST, GREY = "#1f4e79", "#b5532a", "#888888"


@dataclass(frozen=True)
class Sample:
    """The log, and one row a claim: its form as opened, its truth, and its last known outcome."""

    rows: "pd.DataFrame"
    claims: "pd.DataFrame"


def write_datasheet(folder: Path) -> None:
    """Renew the figures in folder/simulator.md and the pictures beside it."""
    sample = draw_sample()
    page = folder / PAGE
    page.write_text(renewed(page.read_text(encoding="utf-8"), sample), encoding="utf-8")
    for name, title, paint in (
        ("seasons", "Claims opened a month, and the median amount", _seasons),
        ("labels", "Investigated claims whose outcome is known after so many days", _labels),
        ("scores", "Said and seen, twentieths of the claims", _scores),
        ("rings", "The claims of the twelve largest rings", _rings),
    ):
        _draw(folder / f"simulator-{name}.png", title, sample, paint)


def draw_sample(claims: int = CLAIMS) -> Sample:
    rows, truth = simulate_with_truth("motor", claims=claims, seed=SEED, begin=BEGIN, end=END)
    opened = rows[rows["event"] == "opened"].drop(columns=["outcome", "investigation"])
    last = rows.groupby("claim_id")[["outcome", "investigation"]].last()
    return Sample(rows, opened.merge(truth, on="claim_id").merge(last, on="claim_id"))


def renewed(page: str, sample: Sample) -> str:
    """Return the page with the tables between its marks written anew. Raises BadInput when a mark is absent."""
    for name, table in (("shares", _shares(sample)), ("scores", _score_table(sample)), ("rings", _ring_table(sample))):
        before, mark, rest = page.partition(f"<!-- figures: {name} -->")
        _, end, after = rest.partition("<!-- end -->")
        if not mark or not end:
            raise BadInput(f"{PAGE} has no place for `{name}`", expected=f"<!-- figures: {name} --> … <!-- end -->")
        page = f"{before}{mark}\n{table}\n{end}{after}"
    return page


# --- figures --------------------------------------------------------------------------------------------------------


def _table(*cells: tuple[str, str]) -> str:
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in cells)])


def _shares(sample: Sample) -> str:
    rows, claims = sample.rows, sample.claims
    frauds = claims[claims["is_fraud"]]
    old = claims[claims["recorded_at"] < np.datetime64(END) - np.timedelta64(500, "D")]
    known = rows.dropna(subset="outcome").groupby("claim_id")["outcome"]
    first, last = known.first(), known.last()
    again = claims["claimant_id"].duplicated(keep=False)
    return _table(
        ("claims, rows, rows a claim", f"{len(claims):,}, {len(rows):,}, {len(rows) / len(claims):.2f}"),
        ("fraudulent claims", f"{claims['is_fraud'].mean():.2%}"),
        *(
            (f"… of these {kind}", f"{share:.1%}")
            for kind, share in frauds["fraud_kind"].value_counts(normalize=True).items()
        ),
        ("investigated (claims older than 500 days)", f"{(old['investigation'] != 'none').mean():.1%}"),
        (
            "… of these at random",
            f"{(old['investigation'] == 'random').sum() / (old['investigation'] != 'none').sum():.1%}",
        ),
        ("… of these with an outcome", f"{old.loc[old['investigation'] != 'none', 'outcome'].notna().mean():.2%}"),
        ("first outcome is confirmed", f"{(first == 'confirmed').mean():.2%}"),
        ("confirmed, later reversed", f"{(last[first == 'confirmed'] == 'cleared').mean():.2%} of the confirmed"),
        ("cleared, later confirmed", f"{(last[first == 'cleared'] == 'confirmed').mean():.2%} of the cleared"),
        ("claims whose claimant has another", f"{again.mean():.1%}"),
        ("accidents billed in another currency", f"{(claims['currency'] != 'EUR').mean():.1%}"),
        (
            "days from accident to report, median and 99 %",
            "{:.0f}, {:.0f}".format(*claims["days_to_report"].quantile([0.5, 0.99])),
        ),
        ("SHA-256 of the first 1,000 claims' names (12 digits)", digest_of(list(claims["claim_id"][:1000]))[:12]),
    )


def _score_table(sample: Sample) -> str:
    from sklearn.metrics import average_precision_score, roc_auc_score

    claims = sample.claims
    decided = claims.dropna(subset="outcome")
    cells = []
    for score in ("p_all", "p_observable"):
        for what, frame, label in (
            ("all claims, the truth", claims, claims["is_fraud"]),
            ("investigated claims, the label", decided, decided["outcome"] == "confirmed"),
        ):
            ap, area = average_precision_score(label, frame[score]), roc_auc_score(label, frame[score])
            cells.append(
                (f"`{score}`, {what}", f"average precision {ap:.3f} (share {label.mean():.3f}), area {area:.3f}")
            )
    z = _calibration_errors()
    cells.append(
        (
            "hidden minus formula, 40 groups: root mean square, largest",
            f"{np.sqrt((z**2).mean()):.2f}, {abs(z).max():.2f} standard errors",
        )
    )
    return _table(*cells)


def _calibration_errors() -> np.ndarray:
    """Return for 40 groups of claims by how many standard errors the mean of p_all differs from that of p_observable.

    One month of many books, so that the rings of one book do not weigh; books are the independent units.
    """
    import pandas as pd

    parts = stream("motor", claims=200_000, seed=SEED, begin=date(2024, 5, 1), end=date(2024, 5, 31))
    truth = pd.concat([part.truth.to_pandas().assign(number=part.first) for part in parts], ignore_index=True)
    book, by = truth.index // BOOK, pd.qcut(truth["p_observable"], 40, labels=False)
    found = []
    for _, gap in (truth["p_all"] - truth["p_observable"]).groupby(by):
        sums = gap.groupby(book[gap.index]).sum()
        found.append(sums.sum() / np.sqrt((sums**2).sum()))
    return np.array(found)


def _ring_table(sample: Sample) -> str:
    staged = sample.claims.dropna(subset="ring_id")
    rings = staged.groupby("ring_id")
    size, moved = rings.size(), rings["region"].nunique() > 1
    whole = size >= 5
    days = (rings["recorded_at"].max() - rings["recorded_at"].min()).dt.days
    phones = staged["phone_id"].map(staged["phone_id"].value_counts()) > 1
    witnesses = staged["witness_ids"].str.split("+").explode()
    insiders = witnesses[witnesses != "none"].isin(sample.claims["claimant_id"])
    return _table(
        ("rings with a claim; with five or more", f"{len(size):,}; {int(whole.sum()):,}"),
        ("claims of a ring, median and largest", f"{size.median():.0f}, {size.max():,}"),
        ("days between first and last claim, median (five claims or more)", f"{days[whole].median():.0f}"),
        ("rings that worked in two regions (five claims or more)", f"{moved[whole].mean():.0%}"),
        ("a ring's claims whose telephone another of its claims left too", f"{phones.mean():.0%}"),
        ("a ring's witnesses who are claimants themselves", f"{insiders.mean():.0%}"),
        (
            "claims of members that are honest or their own fraud",
            f"{sample.claims.loc[sample.claims['claimant_ring_id'].notna(), 'ring_id'].isna().mean():.0%}",
        ),
    )


# --- pictures -------------------------------------------------------------------------------------------------------


def _draw(path: Path, title: str, sample: Sample, paint: "Callable[[Axes, Sample], None]") -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    paint(axes, sample)
    figure.savefig(path, metadata={"Software": None})


def _seasons(axes: "Axes", sample: Sample) -> None:
    months = sample.claims.groupby(sample.claims["recorded_at"].dt.strftime("%Y-%m"))
    count, amount = months.size(), months["claim_amount_eur"].median()
    axes.bar(range(len(count)), count, color=INK, alpha=0.35)
    axes.set_ylabel("claims")
    axes.set_xticks(range(0, len(count), 12), [name[:4] for name in count.index[::12]])
    beside: Any = axes.twinx()
    beside.plot(range(len(amount)), amount, color=RUST)
    beside.set_ylabel("median amount, EUR", color=RUST)
    beside.set_ylim(bottom=0)


def _labels(axes: "Axes", sample: Sample) -> None:
    rows = sample.rows[sample.rows["accident_date"] < np.datetime64(END) - np.timedelta64(800, "D")]
    known = rows.dropna(subset="outcome")
    last = known.groupby("claim_id").last()
    for outcome, colour in (("cleared", INK), ("confirmed", RUST)):
        final = last.index[last["outcome"] == outcome]
        right = known[known["claim_id"].isin(final) & (known["outcome"] == outcome)].groupby("claim_id").first()
        days = np.sort((right["recorded_at"] - right["accident_date"]).dt.days)
        axes.step(days, np.arange(1, len(days) + 1) / len(days), color=colour, label=f"finally {outcome}")
    axes.axvline(180, color=GREY, linestyle="--", label="maturity in the contract")
    axes.set(xlabel="days since the accident", ylabel="share known", xlim=(0, 730), ylim=(0, 1.02))
    axes.legend()


def _scores(axes: "Axes", sample: Sample) -> None:
    import pandas as pd

    for score, colour, label in (("p_observable", INK, "from the form alone"), ("p_all", RUST, "with all information")):
        groups = sample.claims.groupby(pd.qcut(sample.claims[score], 20, labels=False))
        axes.plot(groups[score].mean(), groups["is_fraud"].mean(), marker="o", markersize=4, color=colour, label=label)
    axes.plot([0.003, 1], [0.003, 1], color=GREY, linestyle="--", label="said = seen")
    axes.set(xlabel="mean score", ylabel="share of fraud", xscale="log", yscale="log")
    axes.legend()


def _rings(axes: "Axes", sample: Sample) -> None:
    staged = sample.claims.dropna(subset="ring_id")
    largest = staged["ring_id"].value_counts().index[:12]
    staged = staged[staged["ring_id"].isin(largest)]
    first = staged.groupby("ring_id")["recorded_at"].min().sort_values()
    line = {ring: number for number, ring in enumerate(first.index)}
    colours = dict(
        zip(("north", "south", "east", "west", "islands"), (INK, RUST, "#6a994e", "#7b5ea7", "#d4a017"), strict=True)
    )
    for region, colour in colours.items():
        here = staged[staged["region"] == region]
        axes.scatter(here["recorded_at"], here["ring_id"].map(line), s=12, color=colour, label=region)
    axes.set(ylabel="ring", yticks=[])
    axes.legend(fontsize=8, loc="upper left")


if __name__ == "__main__":
    write_datasheet(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
