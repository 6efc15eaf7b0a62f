"""Whom a claim's parties had met: the other parties in their earlier claims, each counted once.

A party with more than MOST_WALKED earlier claims in the window is a place where strangers meet, not an acquaintance: a
garage's thousand claims would reach everybody, and cost a thousand times more. It is not walked through (what it is
known for is counted all the same, `counts`); it may be reached.
"""

# ruff: noqa: S608 - moments of our own
from datetime import datetime
from typing import Any

MOST_WALKED = 20  # claims; honest claimants, telephones and addresses have one to three, small garages dozens


def open_reach(duck: Any) -> None:
    """Make the table `reached` (claim, kind, parties), still empty."""
    duck.execute("CREATE TEMP TABLE reached (claim INTEGER, kind TINYINT, parties INTEGER)")


def reach_parties(duck: Any, begin: datetime, end: datetime) -> None:
    """Add to `reached` the claims scored in [begin, end)."""
    then = f"SELECT claim, moment FROM claims WHERE moment >= TIMESTAMP '{begin}' AND moment < TIMESTAMP '{end}'"
    recent = f"SELECT * FROM links WHERE since < TIMESTAMP '{end}' AND expires >= TIMESTAMP '{begin}'"
    walked = (
        "SELECT DISTINCT counted.claim, moment, recent.claim AS other"
        f" FROM counted JOIN ({then}) USING (claim)"
        " JOIN recent ON recent.party = counted.party AND since < moment AND expires >= moment"
        f" WHERE claims BETWEEN 1 AND {MOST_WALKED}"
    )
    duck.execute(
        f"INSERT INTO reached WITH recent AS ({recent}) SELECT claim, kind, count(*) FROM ("
        f"SELECT DISTINCT walked.claim, party, kind FROM ({walked}) AS walked"
        " JOIN recent ON recent.claim = other AND since < moment AND expires >= moment"
        ") ANTI JOIN own USING (claim, party) GROUP BY claim, kind"
    )
