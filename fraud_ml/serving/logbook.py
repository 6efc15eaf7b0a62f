"""The record of what this scorer is asked about: counts of each data set and day (UTC), never a claim.

    <home>/served/folder                  a name that this folder has alone: what another one counted stays beside it
    <home>/served/<dataset>/<day>.json    the day's counts; replaced in one step
    <home>/served/<dataset>/<day>.unsent  the store does not hold these counts yet
    <served>/<dataset>/<day>/<scorer>-<folder>.json    the same in the object store, where runs find it

A request only leaves its claims in a queue; they are counted, written and sent by threads of their own, many at once.
A scorer that is killed loses what it was asked since the last write, a minute at most.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import save
from fraud_ml.errors import FraudMLError
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.scorer import LiveModel
from fraud_ml.settings import Settings
from fraud_ml.validation.served import Served, merge_served, served_of

if TYPE_CHECKING:
    import pandas as pd

    from fraud_ml.models.inputs import Inputs
    from fraud_ml.objects import ObjectStore

COUNTED_EACH_S = 1.0
WRITTEN_EACH_S = 60.0
KEPT_DAYS = 400
MOST_WAITING = 50_000  # claims in memory: beyond, they are scored and not counted
_OF_A_REQUEST = 10  # claims whose memory a request takes at least
_UNSENT = ".unsent"
_log = logging.getLogger(__name__)


def today() -> date:
    return datetime.now(UTC).date()


class Logbook:
    """Counts on behalf of one scorer. `note` is called by requests; everything else by the scorer's own threads."""

    def __init__(self, settings: Settings, metrics: Metrics, *, name: str, today: Callable[[], date] = today) -> None:
        self._settings, self._metrics, self._name, self._today = settings, metrics, name, today
        self._home = settings.scorer_home / "served"
        self._lock = threading.Lock()  # of the queue
        self._waiting: list[tuple[date, LiveModel, pd.DataFrame]] = []
        self._weight = 0
        self._counted: dict[tuple[str, str], Served] = {}  # by data set and day: what this process counted
        self._before: dict[tuple[str, str], Served] = {}  # what stood in the day's file when it began
        self._changed: set[tuple[str, str]] = set()  # since they were written
        self._files = threading.Lock()  # of a day's file and its mark together
        self._store: ObjectStore | None = None
        self._is_away = False

    def note(self, live: LiveModel, frame: "pd.DataFrame") -> None:
        """Leave the claims of a scored request to be counted. It touches no disk, and never raises."""
        weight = max(len(frame), _OF_A_REQUEST)
        with self._lock:
            fits = self._weight + weight <= MOST_WAITING
            if fits:
                self._waiting.append((self._today(), live, frame))
                self._weight += weight
        if not fits:
            self._metrics.uncounted.add(len(frame), dataset=live.deployment.dataset)

    def run(self, stop: threading.Event) -> None:
        """Count, write and send until `stop`; what was noted before is written then, and sent if the store answers."""
        sending = threading.Thread(target=self._send_until, args=(stop,), name="logbook-send", daemon=True)
        sending.start()
        written = time.monotonic()
        while not stop.wait(COUNTED_EACH_S):
            self.count()
            if time.monotonic() - written >= WRITTEN_EACH_S:
                self.write()
                written = time.monotonic()
        self.count()
        self.write()
        sending.join()
        self.send()

    def count(self) -> None:
        """Count what was noted so far."""
        with self._lock:
            waiting, self._waiting, self._weight = self._waiting, [], 0
        alike: dict[tuple[str, str, int], tuple[Inputs, list[pd.DataFrame]]] = {}
        for day, live, frame in waiting:
            inputs, dataset = live.predictor.inputs, live.deployment.dataset
            alike.setdefault((dataset, day.isoformat(), id(inputs)), (inputs, []))[1].append(frame)
        for (dataset, counted_day, _), (inputs, frames) in alike.items():
            try:
                self._add(dataset, counted_day, inputs, frames)
            except Exception as error:  # a message may quote values
                _log.error("requests of %s are not counted: %s", dataset, type(error).__name__)
                self._metrics.uncounted.add(sum(map(len, frames)), dataset=dataset)

    def write(self) -> None:
        """Leave what was counted in the days' files. What cannot be written now is written later."""
        for key, counted in list(self._counted.items()):
            try:
                if key in self._changed:
                    self._write(*key, counted)
            except OSError as error:
                _log.warning("what was asked about on %s is not written: %s", key[1], type(error).__name__)
                continue
            self._changed.discard(key)
            if key[1] < self._today().isoformat():  # over: who comes late finds it in its file
                del self._counted[key], self._before[key]

    def send(self) -> None:
        """Put every day's file that the store does not hold into it, and forget files that nobody asks for any more."""
        try:
            self._forget()
            for mark in sorted(self._home.glob(f"*/*{_UNSENT}")):
                self._send(mark)
            self._is_away = False
        except (FraudMLError, OSError) as away:
            if not self._is_away:  # said once, and tried again each time
                _log.warning("what was asked about is kept here and sent later: %s", away)
            self._is_away = True

    # --- inside ---

    def _add(self, dataset: str, day: str, inputs: "Inputs", frames: "list[pd.DataFrame]") -> None:
        import pandas as pd

        from fraud_ml.serving.counting import count_claims  # heavy: the models' libraries

        claims = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        counted = Served(dataset, (day,), len(claims), count_claims(claims, inputs))
        earlier = self._counted.get((dataset, day))
        self._counted[dataset, day] = merge_served(dataset, [earlier, counted] if earlier else [counted])
        self._changed.add((dataset, day))

    def _write(self, dataset: str, day: str, counted: Served) -> None:
        path = self._home / dataset / f"{day}.json"
        if (dataset, day) not in self._before:
            self._before[dataset, day] = self._read(path, dataset)
        whole = merge_served(dataset, [self._before[dataset, day], counted])
        told = {name: column.told for name, column in whole.columns.items()}
        with self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(_UNSENT).touch()
            save(Served(dataset, (day,), whole.claims, told).sealed(), path)

    def _read(self, path: Path, dataset: str) -> Served:
        """Return what the file holds; nothing where it is absent or damaged."""
        nothing = Served(dataset, (), 0, {})
        try:
            found = served_of(path.read_bytes(), str(path)) if path.is_file() else nothing
        except FraudMLError as damaged:
            _log.warning("the day begins anew: %s", damaged.what)
            return nothing
        return found if found.dataset == dataset else nothing

    def _send_until(self, stop: threading.Event) -> None:
        while not stop.wait(WRITTEN_EACH_S):
            self.send()

    def _send(self, mark: Path) -> None:
        dataset, day = mark.parent.name, mark.stem
        path = mark.with_suffix(".json")
        if not path.is_file():  # killed between mark and file
            mark.unlink()
            return
        content = path.read_bytes()
        url = f"{self._settings.served_url}/{dataset}/{day}/{self._name}-{self._folder()}.json"
        if self._store is None:
            self._store = self._open_store()
        self._store.write(url, content, media_type="application/json")
        with self._files:
            if path.read_bytes() == content:
                mark.unlink()

    def _open_store(self) -> "ObjectStore":
        from fraud_ml.objects import ObjectStore

        return ObjectStore(self._settings)

    def _folder(self) -> str:
        path = self._home / "folder"
        if not path.is_file() or not path.stat().st_size:
            path.write_text(uuid.uuid4().hex[:8], encoding="utf-8")
        return path.read_text(encoding="utf-8")

    def _forget(self) -> None:
        oldest = (self._today() - timedelta(days=KEPT_DAYS)).isoformat()
        for path in self._home.glob("*/[0-9]*"):
            if path.stem < oldest:
                path.unlink(missing_ok=True)
