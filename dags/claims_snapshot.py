"""### Freeze what was known about claims on a date

A run's **partition key is its as-of date**: everything recorded up to and including that day is frozen as one versioned
snapshot (git tag `claims/<dataset>/<as-of>`), and nothing recorded later. Freezing a date again finds the same bytes.
The snapshot is announced as an asset under the same key, which starts `fraud_retraining` for that date.

| you want | do |
|---|---|
| to see what a backfill would do | `fraud-ml backfill plan <dataset> --from … --to …` |
| the past | `fraud-ml backfill start …`, or the `airflow backfill create …` that the plan prints |
| one date | trigger over the API with `partition_key: YYYY-MM-DD` |

**A day is frozen when it is over.** The calendar's run begins on its date and waits, deferred, until midnight (UTC); so
does a backfill's. A run that you trigger freezes at once what is known by then, and says that the day is open: rows
recorded later on it make a revision (`<as-of>.r2`), as do rows that a source restates with an old recorded time.

**A backfill never promotes.** It freezes, and says so in its asset event; a retraining that it wakes ends once its
candidate is registered. Killed, it goes on; started again, it makes only what is missing or failed.

A run without a key is refused. Rejected input fails at once; a server that does not answer is asked again.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronPartitionTimetable

from fraud_airflow.commands import FreezeSnapshot
from fraud_airflow.lines import Line, lines_of_business
from fraud_airflow.policies import RETRY_ONLY_WHAT_MAY_PASS, tell_failure


def claims_snapshot(line: Line) -> DAG:
    with DAG(
        f"claims_snapshot_{line.dataset}",
        description=f"{line.title}: freeze the claims known on a date",
        doc_md=__doc__,
        schedule=CronPartitionTimetable(line.cron, timezone="UTC", key_format="%Y-%m-%d"),
        catchup=False,
        max_active_runs=2,  # one may wait for its day to end; freezing itself takes turns, a backfill's runs too
        rerun_with_latest_version=True,  # a date's bytes are fixed by the claim log; newer code can only mend
        tags=["fraud", "snapshot", line.dataset],
        default_args={
            "owner": line.owner,
            "retries": 3,
            "retry_policy": RETRY_ONLY_WHAT_MAY_PASS,
            "execution_timeout": timedelta(hours=2),
            "on_failure_callback": tell_failure,
        },
    ) as dag:
        FreezeSnapshot(task_id="freeze", dataset=line.dataset, announces=Asset(f"claims_snapshot_{line.dataset}"))
    return dag


for business in lines_of_business():
    globals()[f"claims_snapshot_{business.dataset}"] = claims_snapshot(business)
