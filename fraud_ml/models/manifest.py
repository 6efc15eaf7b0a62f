"""What an exported model is, down to its bytes: written beside it, and proven again before anything of it is loaded."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import ModelManifest, canonical_json, file_digest, save
from fraud_ml.errors import Tampered
from fraud_ml.models.inputs import Inputs

MANIFEST_FILE = "model.json"


def describe_model(
    folder: Path, family: str, inputs: Inputs, weights: Iterable[tuple[str, NDArray]], golden: NDArray[np.float64]
) -> ModelManifest:
    """Write and return the manifest of the model exported to `folder`."""
    files = {path: file_digest(folder / path) for path in files_of(folder)}
    manifest = ModelManifest(
        family=family,
        model_digest=model_digest(family, inputs, weights, golden),
        artifact_digest=ModelManifest.digest_files(files),
        files=files,
        features=inputs.names,
    )
    save(manifest, folder / MANIFEST_FILE)
    return manifest


def model_digest(
    family: str, inputs: Inputs, weights: Iterable[tuple[str, NDArray]], golden: NDArray[np.float64]
) -> str:
    """Return the SHA-256 that is equal for equal training runs, wherever they ran.

    Over the inputs, each weight's name, type, shape and little-endian bytes, and the golden predictions as exact
    float32 bytes: rounding would not make two machines agree (a value next to the rounding's edge still falls to either
    side), it would only hide that they do not.
    """
    digest = hashlib.sha256(canonical_json({"family": family, "inputs": [vars(column) for column in inputs.columns]}))
    for name, weight in [*weights, ("golden", golden.astype(np.float32))]:
        array = np.ascontiguousarray(weight)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(canonical_json([name, array.dtype.str, list(array.shape)]))
        digest.update(array.tobytes())
    return digest.hexdigest()


def files_of(folder: Path) -> list[str]:
    """Return the paths of every file but the manifest, relative to `folder`, sorted. Links count: they are refused."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name != MANIFEST_FILE)


def require_same_files(folder: Path, manifest: ModelManifest) -> None:
    """Raise Tampered naming the file that differs from the manifest, is missing, or was never listed.

    Reads bytes only: whoever loads a model calls this first, because loading may run what the files say.
    """
    if ModelManifest.digest_files(manifest.files) != manifest.artifact_digest:
        raise _tampered(folder / MANIFEST_FILE, "its list of files is not the one its digest was taken over")
    arrived = files_of(folder)
    for name in sorted({*arrived, *manifest.files}):
        path = folder / name
        if name not in arrived:
            raise _tampered(path, "it is listed in the manifest, but not there")
        if name not in manifest.files:
            raise _tampered(path, "it is there, but not listed in the manifest")
        if path.is_symlink() or not path.is_file() or file_digest(path) != manifest.files[name]:
            raise _tampered(path, "its bytes differ from the manifest's digest")


def _tampered(path: Path, what: str) -> Tampered:
    return Tampered(f"{path}: {what}", next_step="fetch the model again, or train it again", path=str(path))
