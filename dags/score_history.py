"""### Score a snapshot's claims in bulk

A run's **partition key is its as-of date**: every claim of the snapshot frozen for that date is scored as it was known
then, by the model that the form names, into one Parquet file an event month (`fraud-ml score`). Rows hold the claim's
key, its probability, whether it is to be investigated, why, and which model says so.

| you want | do |
|---|---|
| history, scored anew | `airflow backfill create --dag-id score_history_<dataset> --from-date … --to-date …` |
| one date | trigger over the API with `partition_key: YYYY-MM-DD` |
| another model than the one that serves | give `model` in the form: a version, or a candidate's digest |

It is **paused until somebody wants it**: then it also scores on the calendar, as soon as the date's snapshot stands; a
date that was never frozen is refused, naming those that were.

Every task may be cleared at any time. Months that stand, made of the same claims by the same model and code, are not
scored again; a killed run goes on behind its last whole month. Scores are for people and reports: nothing is promoted.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronPartitionTimetable

from fraud_airflow.form import SCORING_FORM
from fraud_airflow.lines import Line, lines_of_business
from fraud_airflow.policies import RETRY_ONLY_WHAT_MAY_PASS, tell_failure
from fraud_airflow.scoring import ScoreClaims


def score_history(line: Line) -> DAG:
    with DAG(
        f"score_history_{line.dataset}",
        description=f"{line.title}: score the claims known on a date",
        doc_md=__doc__,
        schedule=CronPartitionTimetable(line.cron, timezone="UTC", key_format="%Y-%m-%d"),
        catchup=False,
        is_paused_upon_creation=True,
        max_active_runs=2,
        rerun_with_latest_version=True,  # scores name the code that made them; newer code makes them again
        params=SCORING_FORM,
        tags=["fraud", "scoring", line.dataset],
        default_args={
            "owner": line.owner,
            "retries": 3,
            "retry_policy": RETRY_ONLY_WHAT_MAY_PASS,
            "execution_timeout": timedelta(hours=8),
            "on_failure_callback": tell_failure,
        },
    ) as dag:
        ScoreClaims(task_id="score", dataset=line.dataset, pool="training")  # it takes every processor
    return dag


for business in lines_of_business():
    globals()[f"score_history_{business.dataset}"] = score_history(business)
