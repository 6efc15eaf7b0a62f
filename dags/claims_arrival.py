"""### Land the claims that arrive at a line's source

The source is a property of the place: `FRAUD_ML_SOURCE_<DATASET>` names it, as `fraud-ml land` takes it.

| source | how this DAG learns of claims |
|---|---|
| `s3://bucket/prefix*` | **arrival** waits, deferred, until the listing is another than that which was landed last |
| `kafka://host:port/topic?group=…` | messages that the group has not confirmed wake it; a timer catches lost events |
| a folder, `gs://…` | it is asked once an hour |

**land** appends what is new to the claim log; what was landed before adds nothing, so every task may be cleared at any
time. The event of the asset `claims_log_<dataset>` says how many rows came, and what was set aside or refused by code.
**nothing_refused** fails, without retry, when deliveries broke their contract: the log of `land` names them. They are
not tried again until the source changes, and stop no other.

Without a source this DAG has no schedule, and a run of it says which variable to set. Landing freezes nothing: that is
`claims_snapshot`, by the calendar. A source that stays silent for five weeks is told as a failed wait.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset

from fraud_airflow.arrivals import ClaimsArrived
from fraud_airflow.landing import LandClaims, NothingRefused
from fraud_airflow.lines import Line, lines_of_business
from fraud_airflow.policies import RETRY_ONLY_WHAT_MAY_PASS, tell_failure
from fraud_airflow.sources import Source, source_of

LISTING = "{{ (ti.xcom_pull('arrival') or {}).get('listing', '') }}"


def claims_arrival(line: Line, source: Source) -> DAG:
    log = Asset(f"claims_log_{line.dataset}")
    with DAG(
        f"claims_arrival_{line.dataset}",
        description=f"{line.title}: {source.about}",
        doc_md=__doc__,
        schedule=source.schedule,
        catchup=False,
        max_active_runs=1,  # one landing at a time; a run that waits is the only one
        rerun_with_latest_version=True,  # what is landed is fixed by the source's bytes and the contract
        params=source.form,
        tags=["fraud", "landing", line.dataset],
        default_args={
            "owner": line.owner,
            "retries": 3,
            "retry_policy": RETRY_ONLY_WHAT_MAY_PASS,
            "execution_timeout": timedelta(hours=2),
            "on_failure_callback": tell_failure,
        },
    ) as dag:
        landed = LandClaims(task_id="land", source=source, announces=log, listing=LISTING if source.is_listed else "")
        if source.is_listed:
            there = ClaimsArrived(
                task_id="arrival", prefix=source.address, landed=log, waits_at_most=timedelta(weeks=5)
            )
            there >> landed
        landed >> NothingRefused(task_id="nothing_refused", landed=landed.output)
    return dag


for business in lines_of_business():
    globals()[f"claims_arrival_{business.dataset}"] = claims_arrival(business, source_of(business))
