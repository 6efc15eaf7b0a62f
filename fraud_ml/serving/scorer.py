"""Which models answer now. One thread changes them; requests read a reference that is exchanged in one step."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from fraud_ml.errors import BadInput, FraudMLError, Rejected, Unavailable
from fraud_ml.serving.deployment import Deployment
from fraud_ml.serving.shelf import Shelf

if TYPE_CHECKING:
    from fraud_ml.models import Predictor

_REMEMBERED = 50
_log = logging.getLogger(__name__)


class Change(StrEnum):
    """What a promotion did."""

    DEPLOYED = "deployed"
    REPEATED = "repeated"  # it had been served before: nothing was loaded


class NotLive(BadInput):
    """No model of that name answers here."""


@dataclass(frozen=True)
class LiveModel:
    """A loaded model and the deployment that it came with."""

    deployment: Deployment
    predictor: "Predictor"


class Scorer:
    """The live model of each dataset, in memory and, by its shelf, across restarts."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._live: Mapping[str, LiveModel] = {}
        self._missing: Mapping[str, FraudMLError] = {}
        self._is_restored = False
        self._changing = threading.Lock()

    @property
    def live(self) -> Mapping[str, LiveModel]:
        """The models that answer now, by dataset."""
        return self._live

    @property
    def missing(self) -> Mapping[str, FraudMLError]:
        """Datasets whose model should be live and is not, with the reason."""
        return self._missing

    @property
    def is_ready(self) -> bool:
        """Whether everything that was live before the last restart is live again."""
        return self._is_restored and not self._missing

    def model(self, dataset: str | None) -> LiveModel:
        """Return the live model of `dataset`, or of the only one. Raises NotLive, Unavailable while it is missing."""
        live = self._live
        if dataset is None and len(live) == 1:
            return next(iter(live.values()))
        if dataset in live:
            return live[str(dataset)]
        if dataset in self._missing or not self._is_restored:
            raise Unavailable(
                "the model that should answer is not loaded", next_step="try again, or read the scorer's log"
            )
        raise NotLive(
            "no dataset was named" if dataset is None else "no model of that dataset is live",
            expected=f"one of {', '.join(sorted(live))}" if live else "a promoted model",
            next_step="name a dataset" if live else "promote a model first",
        )

    def restore(self) -> None:
        """Load what was live, proven again; afterwards `missing` names what could not be loaded, and why."""
        with self._changing:
            for dataset in self._shelf.datasets():
                if dataset in self._live or isinstance(self._missing.get(dataset), Rejected):
                    continue
                try:
                    deployment = self._shelf.read(dataset)
                    if deployment is not None:
                        self._swap(LiveModel(deployment, self._shelf.obtain(deployment)))
                except FraudMLError as failure:
                    _log.error("the model of %s is not served: %s", dataset, failure)
                    self._missing = {**self._missing, dataset: failure}
            self._is_restored = True

    def deploy(self, wanted: Deployment) -> Change:
        """Serve `wanted`; afterwards it answers, here and after a restart, or what answered before still does.

        A decision that was served before is REPEATED. Raises Rejected when a later one is live already, Tampered when
        the model's bytes are not the candidate's, Unavailable when they cannot be fetched now.
        """
        with self._changing:
            current = self._live.get(wanted.dataset)
            before = current.deployment if current else self._recorded(wanted.dataset)
            again_for_want_of_a_model = current is None and before and wanted.sequence == before.sequence
            if before and wanted.sequence <= before.sequence and not again_for_want_of_a_model:
                return self._repeated(wanted, before)
            earlier = before.deployed if before else ()
            deployed = (*(number for number in earlier if number != wanted.sequence), wanted.sequence)[-_REMEMBERED:]
            predictor = self._shelf.obtain(wanted)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            deployment = replace(wanted, deployed=deployed, since=now)
            self._shelf.write(deployment)  # from here on a restart serves it
            self._swap(LiveModel(deployment, predictor))
            self._shelf.prune()
            return Change.DEPLOYED

    @staticmethod
    def _repeated(wanted: Deployment, before: Deployment) -> Change:
        same = wanted.sequence != before.sequence or wanted.candidate.digest == before.candidate.digest
        if wanted.sequence in before.deployed and same:
            return Change.REPEATED
        raise Rejected(
            "a later promotion is live already",
            expected=f"a ledger sequence above {before.sequence}",
            arrived=str(wanted.sequence),
            next_step="promote again what should serve",
        )

    def _recorded(self, dataset: str) -> Deployment | None:
        try:
            return self._shelf.read(dataset)
        except FraudMLError:  # a damaged record decides nothing; `restore` reported it
            return None

    def _swap(self, model: LiveModel) -> None:
        dataset = model.deployment.dataset
        self._live = {**self._live, dataset: model}
        self._missing = {name: why for name, why in self._missing.items() if name != dataset}
        _log.info(
            "live: %s version %s, candidate %s, sequence %d",
            dataset,
            model.deployment.version,
            model.deployment.candidate.digest[:12],
            model.deployment.sequence,
        )
