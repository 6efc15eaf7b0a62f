"""The validate stage: fold the snapshot pinned in the workspace, judge it, and leave what was found."""

import shutil
from datetime import date

from fraud_ml.artifacts import SnapshotManifest, Verdict, Workspace, load, save
from fraud_ml.contract import load_contract
from fraud_ml.data.duck import io_errors
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.snapshots import open_snapshot
from fraud_ml.errors import Unavailable
from fraud_ml.params import ValidationParams
from fraud_ml.settings import Settings
from fraud_ml.validation.changed_months import EarlierFolds
from fraud_ml.validation.months import table_of_fold
from fraud_ml.validation.partial_cache import PartialCache
from fraud_ml.validation.quarantine import write_quarantine
from fraud_ml.validation.report import write_report
from fraud_ml.validation.rulebook import require_sound_rules
from fraud_ml.validation.served import read_served
from fraud_ml.validation.verdict import judge_table

DATA_DOCS = "data_docs"


def judge_pinned(workspace: Workspace, params: ValidationParams) -> Verdict:
    """Judge the snapshot pinned in the workspace; write its fold, report, quarantine, and last the verdict.

    Raises Unavailable when a file cannot be read or written; then there is no verdict.
    """
    workspace.validation_verdict.unlink(missing_ok=True)
    try:
        return _judge_pinned(workspace, params)
    except io_errors() as error:
        raise Unavailable(
            f"could not judge the snapshot: {getattr(error, 'strerror', None) or type(error).__name__}",
            expected="room and leave to write in the workspace, in the home folder and for temporary files",
            next_step="make room, and run the validate stage again",
        ) from None


def _judge_pinned(workspace: Workspace, params: ValidationParams) -> Verdict:
    manifest = load(SnapshotManifest, workspace.snapshot_manifest)
    contract = load_contract(manifest.dataset, workspace.expectations)
    require_sound_rules(manifest.dataset, workspace.expectations)
    snapshot = open_snapshot(workspace.snapshot, contract)
    settings = Settings.load()
    keys, served = snapshot.keys, read_served(workspace.served)  # asked for before anything is written
    folds = FoldCache(settings.fold_cache)
    fold = snapshot.fold_into(workspace.claims, folds)
    report = workspace.validation_report
    shutil.rmtree(report, ignore_errors=True)
    rules = workspace.expectations / manifest.dataset
    judgement = judge_table(
        table_of_fold(
            workspace.claims,
            fold.manifest,
            contract,
            keys,
            rules=rules,
            cache=PartialCache(settings.verdict_cache),
            earlier=EarlierFolds(folds, fold.inputs),
        ),
        contract,
        params,
        rules=rules,
        as_of=date.fromisoformat(manifest.as_of),
        subject_digest=manifest.digest,
        tfdv_python=settings.tfdv_python,
        data_docs=report / DATA_DOCS,
        served=served,
    )
    write_report(report, judgement, title=contract.title, dataset=manifest.dataset, as_of=manifest.as_of)
    write_quarantine(judgement.set_aside, workspace.quarantine)
    save(judgement.verdict, workspace.validation_verdict)
    return judgement.verdict
