"""What each party of a claim was known for: its earlier claims, and what had come out of them.

A party's history is a list of events, each with what it adds: a link (one claim more), another outcome, and, once the
link is older than `window_days`, all of that taken back. A claim looks the sums up as of its own moment: one running
sum over each party's events and questions, in which a question stands before the events of its own moment. So the work
grows with the links, however many claims a garage has.
"""

from typing import Any


def count_parties(duck: Any) -> None:
    """Leave table `counted`: claim, place, kind, party, and of that party claims, confirmed and decided by then."""
    duck.execute(
        "CREATE TEMP TABLE events AS"
        " SELECT party, since AS moment, 1 AS claims, 0 AS confirmed, 0 AS decided FROM links"
        " UNION ALL SELECT party, expires, -1, 0, 0 FROM links"
        " UNION ALL SELECT party, greatest(since, moment), 0, confirmed, decided"
        " FROM links JOIN changes USING (claim) WHERE moment < expires"
        " UNION ALL SELECT party, expires, 0, -confirmed, -decided"
        " FROM links JOIN changes USING (claim) WHERE moment < expires"
    )
    duck.execute(
        "CREATE TEMP TABLE counted AS SELECT claim, place, kind, party,"
        " CAST(sum(claims) OVER before AS INTEGER) AS claims,"
        " CAST(sum(confirmed) OVER before AS INTEGER) AS confirmed,"
        " CAST(sum(decided) OVER before AS INTEGER) AS decided"
        " FROM ("
        "SELECT party, moment, claims, confirmed, decided, NULL AS claim, NULL AS place, NULL AS kind FROM events"
        " UNION ALL SELECT party, moment, 0, 0, 0, claim, place, kind FROM own JOIN claims USING (claim))"
        " WINDOW before AS (PARTITION BY party ORDER BY moment, claim IS NULL ROWS UNBOUNDED PRECEDING)"
        " QUALIFY claim IS NOT NULL"
    )
    duck.execute("DROP TABLE events")
