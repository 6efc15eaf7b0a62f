"""How much known fraud lies near a claim, through whichever parties: two steps of BiRank.

The score of BiRank (He, Gao, Kan and Wang, IEEE TKDE 29, 2017), which Óskarsdóttir and others (Risk Analysis 42,
2022) take for insurance fraud, is a walk that starts at known frauds and goes from claim to party to claim, each step
divided by the square root of both degrees, so that a garage passes on little of what it gets to each of its many
claims. Here it goes out at the first instant of each month, over the links and the outcomes known by then, and is cut
off after fraud → party → claim → party. A claim of that month adds up what lies on its own parties. The work is linear
in the window's links: nothing is joined pair by pair.

Scores are whole billionths, rounded down at every step.
"""

# ruff: noqa: S608 - moments and numbers of our own
from datetime import datetime
from typing import Any

UNIT = 1_000_000_000
DAMPING_PERCENT = 85  # the share of a claim's score that comes from its parties; the rest is its own (BiRank's alpha)


def open_scores(duck: Any) -> None:
    """Make the table `scored` (claim, score), still empty."""
    duck.execute("CREATE TEMP TABLE scored (claim INTEGER, score BIGINT)")


def score_month(duck: Any, begin: datetime, end: datetime) -> None:
    """Add to `scored` those claims scored in [begin, end) that any known fraud reaches."""
    window = f"SELECT claim, party FROM links WHERE since < TIMESTAMP '{begin}' AND expires >= TIMESTAMP '{begin}'"
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE live AS WITH near AS MATERIALIZED ({window})"
        " SELECT claim, party, parties, claims FROM near"
        " JOIN (SELECT claim, count(*) AS parties FROM near GROUP BY claim) USING (claim)"
        " JOIN (SELECT party, count(*) AS claims FROM near GROUP BY party) USING (party)"
    )
    known = f"SELECT claim FROM changes WHERE moment < TIMESTAMP '{begin}' GROUP BY claim HAVING sum(confirmed) > 0"
    step = "CAST(floor({0} / sqrt(CAST(parties * claims AS DOUBLE))) AS BIGINT)"
    first = f"SELECT party, sum({step.format(UNIT)}) AS score FROM live SEMI JOIN known USING (claim) GROUP BY party"
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE heard AS WITH known AS ({known}), first AS ({first}), parts AS ("
        f"SELECT claim, CAST(sum({step.format('score')}) AS BIGINT) * {DAMPING_PERCENT} // 100 AS part"
        " FROM live JOIN first USING (party) GROUP BY claim"
        f" UNION ALL SELECT claim, {UNIT // 100 * (100 - DAMPING_PERCENT)} FROM known),"
        " second AS (SELECT claim, CAST(sum(part) AS BIGINT) AS score FROM parts GROUP BY claim)"
        f" SELECT party, any_value(claims) AS claims, CAST(sum({step.format('score')}) AS BIGINT) AS score"
        " FROM live JOIN second USING (claim) GROUP BY party"
    )
    duck.execute(
        f"INSERT INTO scored SELECT claim, sum({step.format('score')}) FROM ("
        "SELECT DISTINCT claim, party, count(DISTINCT party) OVER (PARTITION BY claim) AS parties FROM own"
        f" SEMI JOIN (FROM claims WHERE moment >= TIMESTAMP '{begin}' AND moment < TIMESTAMP '{end}') USING (claim)"
        ") JOIN heard USING (party) GROUP BY claim"
    )
