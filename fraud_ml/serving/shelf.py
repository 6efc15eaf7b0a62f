"""A scorer's folder: exported models by the digest of their files, and which deployment is live for each dataset.

<home>/models/<artifact digest>/     a model, proven whole before it got that name
<home>/models/<artifact digest>.partial/   a download that may have been killed; never read, always begun again
<home>/live/<dataset>.json           the Deployment that is live; replaced in one step, on disk before it counts
"""

import json
import logging
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import load
from fraud_ml.errors import FraudMLError, Tampered
from fraud_ml.objects import ObjectStore
from fraud_ml.serving.deployment import Deployment
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from fraud_ml.models import Predictor

MANIFEST_FILE = "model.json"
_log = logging.getLogger(__name__)


class Shelf:
    """Reads and changes the folder. One thread at a time changes it."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self._models, self._live = home / "models", home / "live"
        self._settings = settings
        for folder in (self._models, self._live):
            folder.mkdir(parents=True, exist_ok=True)

    def datasets(self) -> tuple[str, ...]:
        """Return the datasets for which something was live."""
        return tuple(sorted(path.stem for path in self._live.glob("*.json")))

    def read(self, dataset: str) -> Deployment | None:
        """Return what was live. Raises BadInput or Tampered when the record is damaged."""
        path = self._live / f"{dataset}.json"
        if not path.is_file():
            return None
        deployment = load(Deployment, path)
        deployment.require_whole()
        return deployment

    def write(self, deployment: Deployment) -> None:
        """Make it the live one; afterwards it is so after a power cut, too."""
        path = self._live / f"{deployment.dataset}.json"
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(asdict(deployment), stream, indent=2, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        folder = os.open(self._live, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def obtain(self, deployment: Deployment) -> "Predictor":
        """Return the deployment's model, from the folder when it is whole there, else fetched again.

        Raises Tampered naming the file when the registered copy is not the candidate's, Unavailable when the object
        store is away.
        """
        from fraud_ml.models import verify_model  # heavy: pandas and the model's own library

        folder = self._folder(deployment)
        if folder.exists():
            try:
                return verify_model(folder, deployment.manifest)
            except FraudMLError as damaged:
                _log.warning("the local copy of %s is fetched again: %s", folder.name[:12], damaged.what)
                shutil.rmtree(folder)
        partial = self._fetch(deployment)
        predictor = verify_model(partial, deployment.manifest)
        partial.rename(folder)
        return predictor

    def prune(self) -> None:
        """Remove every model, whole or not, that no dataset's record names; nothing while a record is damaged."""
        try:
            keep = {self._folder(found).name for dataset in self.datasets() if (found := self.read(dataset))}
        except FraudMLError:
            return
        for folder in self._models.iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, deployment: Deployment) -> Path:
        """Return a new folder with exactly the manifest's files; nothing else that lies there is asked for."""
        partial = self._folder(deployment).with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        store, base = ObjectStore(self._settings), deployment.model_uri.rstrip("/")
        held = set(store.below(f"{base}/"))
        wanted = {f"{base}/{name}": partial / name for name in (*deployment.manifest.files, MANIFEST_FILE)}
        absent = sorted(wanted.keys() - held)
        if absent:
            raise Tampered(
                f"{absent[0]} is not there",
                expected=f"{len(wanted)} files of the registered model",
                arrived=f"{len(wanted) - len(absent)}",
                next_step="register the candidate again",
                path=absent[0],
            )
        store.download(wanted)
        return partial

    def _folder(self, deployment: Deployment) -> Path:
        return self._models / deployment.manifest.artifact_digest
