"""Bring a registered candidate's exported model, byte for byte, from where it was registered into a folder."""

from pathlib import Path, PurePosixPath

from fraud_ml.artifacts import ModelManifest, file_digest, save
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.ledger import Entry
from fraud_ml.objects import ObjectStore

MODEL_MANIFEST = "model.json"


def manifest_in(registered: Entry) -> ModelManifest:
    """Return the model's manifest out of its REGISTERED entry, which `registered_candidate` has proven."""
    told = registered.body["manifest"]
    return ModelManifest(**{**told, "features": tuple(told["features"])})


def fetch_model(store: ObjectStore, registered: Entry, into: Path) -> ModelManifest:
    """Write the model into the folder `into`; afterwards its bytes are those that were registered.

    Raises Tampered naming the file that differs, Unavailable when the store does not answer.
    """
    manifest = manifest_in(registered)
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or name == MODEL_MANIFEST:
            raise BadInput(f"ledger entry {registered.seq}: a model's file must lie in its folder", arrived=name)
    address = str(registered.body["model_uri"]).rstrip("/")
    store.download({f"{address}/{name}": into / name for name in manifest.files})
    differing = differing_files(into, manifest)
    if differing:
        raise Tampered(
            f"{address}/{differing[0]} is not the file that was registered",
            expected=manifest.files[differing[0]][:12],
            arrived=file_digest(into / differing[0])[:12],
            next_step="restore it from a backup of the object store",
            path=f"{address}/{differing[0]}",
        )
    save(manifest, into / MODEL_MANIFEST)
    return manifest


def differing_files(folder: Path, manifest: ModelManifest) -> list[str]:
    """Return the manifest's files whose bytes in the folder are others."""
    return [name for name, digest in sorted(manifest.files.items()) if file_digest(folder / name) != digest]
