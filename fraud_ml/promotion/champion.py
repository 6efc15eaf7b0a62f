"""Pin the champion that a run is measured against: its record and, byte for byte, its model."""

from fraud_ml.artifacts import Champion, ModelManifest, Workspace, load, save, whole_folder
from fraud_ml.errors import FraudMLError
from fraud_ml.governance.candidates import registered_candidate
from fraud_ml.governance.registered_model import MODEL_MANIFEST, differing_files, fetch_model, manifest_in
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings


def pin_champion(settings: Settings, workspace: Workspace, champion: Champion) -> Champion:
    """Leave champion.json and the champion's model in the workspace, and nothing else; doing it twice changes nothing.

    Every file is checked against the digest that was registered for it. Raises Tampered naming the file that differs,
    Unavailable when ledger or object store do not answer; the workspace then holds what it held before.
    """
    if champion.candidate_digest is None:
        return none_champion(workspace)
    registered, _ = registered_candidate(Ledger(settings.ledger_url), champion.candidate_digest)
    manifest = manifest_in(registered)
    if _is_pinned(workspace, champion, manifest):
        return champion
    with whole_folder(workspace.champion) as folder:
        fetch_model(ObjectStore(settings), registered, folder / workspace.champion_model.name)
        save(champion, folder / workspace.champion_record.name)
    return champion


def none_champion(workspace: Workspace) -> Champion:
    """Leave the record that there is no champion, and no model."""
    champion = Champion()
    if not _is_pinned(workspace, champion, None):
        with whole_folder(workspace.champion) as folder:
            save(champion, folder / workspace.champion_record.name)
    return champion


def current_champion(ledger: Ledger, dataset: str) -> Champion:
    """Return the model of the latest promotion that a scorer acknowledged; promotions count, not the answers' order."""
    deployed = ledger.find(kind=EntryKind.DEPLOYED, dataset=dataset)
    if not deployed:
        return Champion()
    newest = max(deployed, key=lambda entry: (entry.body.get("sequence", 0), entry.seq))
    registered, candidate = registered_candidate(ledger, newest.subject)
    return Champion(
        version=str(registered.body["version"]), candidate_digest=candidate.digest, model_digest=candidate.model_digest
    )


def _is_pinned(workspace: Workspace, champion: Champion, manifest: ModelManifest | None) -> bool:
    """Say whether exactly these bytes stand in the workspace already."""
    expected = {workspace.champion_record.name}
    if manifest is not None:
        expected |= {f"{workspace.champion_model.name}/{name}" for name in (MODEL_MANIFEST, *manifest.files)}
    found = {
        path.relative_to(workspace.champion).as_posix() for path in workspace.champion.rglob("*") if path.is_file()
    }
    if found != expected:
        return False
    try:
        if load(Champion, workspace.champion_record) != champion:
            return False
        if manifest is None:
            return True
        model = workspace.champion_model
        return load(ModelManifest, model / MODEL_MANIFEST) == manifest and not differing_files(model, manifest)
    except FraudMLError:
        return False
