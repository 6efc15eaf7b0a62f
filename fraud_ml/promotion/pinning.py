"""Pin what a run learns from and is measured against: snapshot, the keys that open it, requests, and its champion.

All become plain files of the workspace, so that the stages after them are functions of files alone, on a laptop as
in Airflow. A run's key is a digest of everything that may change its outcome; asked again for the same key, champion
and requests are those that were pinned the first time, and DVC's run cache can answer. A run without a rival has
another key: its candidate never met the champion, so it must not be taken for one that did. So has a run after somebody
of the snapshot was erased.
"""

from dataclasses import dataclass
from datetime import date

from fraud_ml.artifacts import Champion, Workspace, digest_of
from fraud_ml.contract import load_contract
from fraud_ml.data.plain_copies import note_pinned
from fraud_ml.data.snapshots import pin_keys, pin_snapshot
from fraud_ml.params import load_params
from fraud_ml.promotion.champion import none_champion, pin_champion
from fraud_ml.promotion.opening import open_run
from fraud_ml.promotion.served_requests import none_served, pin_served
from fraud_ml.settings import Settings


@dataclass(frozen=True)
class PinnedInputs:
    """What was pinned; `run_key` is 12 hex digits, `served_claims` how many claims scorers were asked about."""

    dataset: str
    as_of: str
    snapshot_digest: str
    run_key: str
    champion: Champion
    served_claims: int


def pin_inputs(
    settings: Settings, workspace: Workspace, *, dataset: str, as_of: str, code_rev: str, with_champion: bool = True
) -> PinnedInputs:
    """Materialise snapshot, keys, requests and champion in the workspace; doing it twice changes nothing.

    Without `with_champion` nothing but the snapshot registry is asked (and, where people can be erased, the object
    store for their keys): the candidate has no rival, and no request is on record.
    Raises Tampered naming the file whose bytes are not the recorded ones.
    """
    contract = load_contract(dataset, workspace.expectations)
    manifest = pin_snapshot(settings, dataset, as_of, workspace)
    keys_digest = pin_keys(settings, contract, workspace)
    note_pinned(settings, workspace)
    run_key = digest_of(
        {
            "dataset": dataset,
            "as_of": as_of,
            "snapshot_digest": manifest.digest,
            "code_rev": code_rev,
            "params_digest": digest_of(load_params(workspace.params).model_dump(mode="json")),
            **({} if with_champion else {"champion": "none"}),
            **({"subject_keys": keys_digest} if contract.erasure else {}),
        }
    )[:12]
    if with_champion:
        opening = open_run(
            settings, dataset=dataset, version=as_of, as_of=date.fromisoformat(manifest.as_of), run_key=run_key
        )
        champion = pin_champion(settings, workspace, opening.champion)
        served = pin_served(settings, workspace, dataset, opening.served)
    else:
        champion = none_champion(workspace)
        served = none_served(workspace, dataset)
    return PinnedInputs(dataset, as_of, manifest.digest, run_key, champion, served.claims)
