"""How promotions reach a scorer: each is checked, served and answered before its message leaves the queue.

Killed at any instant, the message comes again and meets the same scorer: what was served is acknowledged again under
the same event id, and the ledger takes each id once.
"""

import logging
import threading
from datetime import UTC, datetime

from fraud_ml.errors import BadInput, FraudMLError, Rejected, Unavailable
from fraud_ml.events import Event, EventType
from fraud_ml.governance.approvals import read_approvers
from fraud_ml.messaging import SCORER_BINDINGS, Publisher, consume, scorer_queue
from fraud_ml.serving.deployment import read_promotion
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.scorer import Change, Scorer
from fraud_ml.settings import SETTINGS_FILE, Settings, read_env_file

LEAST_APPROVALS = 2
_RETRY_S = 5.0
_log = logging.getLogger(__name__)


def required_approvals(settings: Settings) -> int:
    """Return this scorer's own floor, whatever a message says: two people, or FRAUD_ML_REQUIRED_APPROVALS."""
    spelled = settings.values.get("FRAUD_ML_REQUIRED_APPROVALS") or str(LEAST_APPROVALS)
    if not spelled.isdecimal() or int(spelled) < 1:
        raise BadInput("FRAUD_ML_REQUIRED_APPROVALS is not a number of people", expected="1 or more")
    return int(spelled)


class Deployer:
    """Obeys promotions on behalf of one scorer, in a thread of its own."""

    def __init__(self, settings: Settings, scorer: Scorer, metrics: Metrics, *, name: str) -> None:
        self._settings, self._scorer, self._metrics, self._name = settings, scorer, metrics, name
        self._at_least = required_approvals(settings)

    def run(self, stop: threading.Event) -> None:
        """Serve what was live, then obey promotions until `stop`. Without a broker, what is live goes on serving."""
        self._scorer.restore()
        threading.Thread(target=self._mend, args=(stop,), name="mend", daemon=True).start()
        url = self._await_broker(stop)
        if url is not None:
            consume(url, scorer_queue(self._name), SCORER_BINDINGS, lambda event: self.handle(event, url), stop)

    def handle(self, event: Event, url: str) -> None:
        """Serve one promotion and answer it. Raises Unavailable when that must be tried again."""
        try:
            self._obey(event)
        except Unavailable as away:
            _log.warning("promotion of %s waits: %s", event.subject[:12], away)
            raise
        except Rejected as refusal:
            self._metrics.refusals.add()
            _log.error("promotion of %s refused: %s", event.subject[:12], refusal)
            self._answer(url, event, EventType.REFUSED, str(refusal))
        else:
            self._answer(url, event, EventType.ACKNOWLEDGED)

    def _obey(self, event: Event) -> None:
        wanted = read_promotion(event, approvers=self._approvers(), at_least=self._at_least)
        try:
            change = self._scorer.deploy(wanted)
        except FraudMLError:
            raise
        except OSError as error:
            raise Unavailable(
                "the scorer's folder cannot be written", arrived=type(error).__name__, next_step="make room on its disk"
            ) from error
        except Exception as error:  # whatever a model's library raises, this candidate cannot serve here
            raise Rejected("the model cannot be loaded", arrived=type(error).__name__) from error
        if change is Change.DEPLOYED:
            self._metrics.deployments.add(dataset=wanted.dataset)

    def _approvers(self) -> dict[str, str]:
        """Return who may approve; a file that is not there or not readable is this place's trouble, no refusal."""
        try:
            return read_approvers(self._settings.approvers)
        except BadInput as damaged:
            raise Unavailable(damaged.what, next_step="restore the approvers file") from None

    def _answer(self, url: str, event: Event, kind: EventType, reason: str | None = None) -> None:
        """Tell the ledger, under an id that is the same each time this promotion gets this answer."""
        data = {
            "dataset": event.dataset,
            "candidate_digest": event.subject,
            "scorer": self._name,
            "event_id": event.id,
        }
        answer = Event(
            id=f"{kind.rpartition('.')[2]}-{self._name}-{event.id}",
            type=kind,
            source=f"fraud-ml/scorer/{self._name}",
            subject=event.subject,
            time=_now(),
            data=data if reason is None else {**data, "reason": reason},
        )
        with Publisher(url) as publisher:
            publisher.publish(answer)

    def _mend(self, stop: threading.Event) -> None:
        """Try again to load what was live and could not be fetched while the object store was away."""
        while not stop.wait(_RETRY_S):
            if any(isinstance(failure, Unavailable) for failure in self._scorer.missing.values()):
                self._scorer.restore()

    def _await_broker(self, stop: threading.Event) -> str | None:
        """Return the broker's URL, looking into the stack's settings until there is one; None when stopped first."""
        said = False
        while not stop.is_set():
            url = self._settings.rabbitmq_url or read_env_file(self._settings.home / SETTINGS_FILE).get("RABBITMQ_URL")
            if url:
                return url
            if not said:
                _log.warning("no broker is configured: what is live is served, promotions wait (set RABBITMQ_URL)")
                said = True
            stop.wait(_RETRY_S)
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
