"""### Retrain, approve and deploy a fraud model for one as-of date

Started by a new snapshot, for the same as-of date (the partition key).

1. **open_run** clones the code into a checkout of the run's own and pins snapshot and champion in it.
2. **stages** are those of `dvc.yaml`, one task each. Same snapshot, parameters and code: the cache answers. A verdict
   `rejected` ends the run at once; its findings stand in the task's log and behind the button *Validation report*.
   Accepted claims are announced as the asset `claims_accepted_<line>`, with the verdict, for whoever waits for them.
3. **register** puts the candidate into MLflow, once. **approval** waits, without a worker, until enough distinct people
   have signed the candidate's digest (`fraud-ml approve`).
4. **promote** writes decision and message in one transaction; **acknowledgement** waits for the scorer's answer.

Where a **backfill** froze the snapshot, the run ends after `register`: approval and all that follows are skipped,
nobody is asked, and no champion is to be beaten, since today's has learned from what came after the date. To promote a
model of that date, trigger this DAG for it over the API.

Every task may be cleared at any time: what was done is found, not done again.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, PartitionedAssetTimetable

from fraud_airflow.checkout import OpenRun
from fraud_airflow.commands import FraudMLOperator
from fraud_airflow.form import RETRAINING_FORM
from fraud_airflow.lines import Line, lines_of_business
from fraud_airflow.plan import read_plan
from fraud_airflow.policies import RETRY_ONLY_WHAT_MAY_PASS, tell_failure
from fraud_airflow.stages import dvc_task_group
from fraud_airflow.waits import AcknowledgementWait, ApprovalWait
from fraud_ml.settings import PROJECT

PLAN = read_plan(PROJECT / "dvc.yaml")
RUN_KEY = "{{ ti.xcom_pull('open_run').run_key }}"
CANDIDATE = "{{ ti.xcom_pull('register').candidate_digest }}"


def fraud_retraining(line: Line) -> DAG:
    with DAG(
        f"fraud_retraining_{line.dataset}",
        description=f"{line.title}: retrain, approve and deploy",
        doc_md=__doc__,
        schedule=PartitionedAssetTimetable(assets=Asset(f"claims_snapshot_{line.dataset}")),
        catchup=False,
        max_active_runs=2,
        rerun_with_latest_version=False,  # a cleared task belongs to its run's checkout, so to the DAG that opened it
        params=RETRAINING_FORM,
        tags=["fraud", "retraining", line.dataset],
        default_args={
            "owner": line.owner,
            "retries": 2,
            "retry_policy": RETRY_ONLY_WHAT_MAY_PASS,
            "execution_timeout": timedelta(minutes=30),
            "on_failure_callback": tell_failure,
        },
    ) as dag:
        run = OpenRun(task_id="open_run", dataset=line.dataset, plan=PLAN)
        stages = dvc_task_group(
            PLAN,
            run.output,
            pools={"train": "training"},
            timeouts={"train": timedelta(hours=8)},
            announces={"validate": Asset(f"claims_accepted_{line.dataset}")},
        )
        registered = FraudMLOperator(task_id="register", run=run.output, arguments=["register", "--run-key", RUN_KEY])
        approval = ApprovalWait(task_id="approval", candidate=registered.output, waits_at_most=timedelta(days=14))
        promoted = FraudMLOperator(task_id="promote", run=run.output, arguments=["promote", CANDIDATE])
        answer = AcknowledgementWait(
            task_id="acknowledgement", candidate=registered.output, waits_at_most=timedelta(days=1)
        )
        crowned = FraudMLOperator(task_id="crown", run=run.output, arguments=["crown", CANDIDATE])
        run >> stages >> registered >> approval >> promoted >> answer >> crowned
    return dag


for business in lines_of_business():
    globals()[f"fraud_retraining_{business.dataset}"] = fraud_retraining(business)
