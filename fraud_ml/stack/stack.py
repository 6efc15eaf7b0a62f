"""The stack as a whole: bring it up, take it down, say how it is."""

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import SETTINGS_FILE, Settings
from fraud_ml.stack import processes
from fraud_ml.stack.airflow import AIRFLOW, command_environment
from fraud_ml.stack.component import Absent, Component, NotReady
from fraud_ml.stack.delivery import RELAY, SCORER
from fraud_ml.stack.mlflow import MLFLOW
from fraud_ml.stack.place import Place, write_private
from fraud_ml.stack.postgres import POSTGRES
from fraud_ml.stack.rabbitmq import RABBITMQ
from fraud_ml.stack.s3 import S3
from fraud_ml.stack.supervision import Supervisor

# One row a component, in the order in which people think of them; `needs` decides when each starts.
COMPONENTS: tuple[Component, ...] = (POSTGRES, S3, RABBITMQ, MLFLOW, *AIRFLOW, RELAY, SCORER)

READY_TIMEOUT_S = 240.0  # ten servers starting side by side on two busy cores need most of it
_POLL_S = 0.15
_GIVE_UP_AFTER_DEATHS = 5


@dataclass(frozen=True)
class ComponentStatus:
    """How one component is. state: ready, starting, failed, stopped, outside or absent."""

    name: str
    state: str
    pid: int | None
    detail: str
    log: str

    def as_dict(self) -> dict[str, str | int | None]:
        return asdict(self)


def say(line: str) -> None:
    """Show progress to a person."""
    print(f"stack: {line}", file=sys.stderr, flush=True)


class Stack:
    """The embedded servers below one folder. Two stacks in two folders do not touch each other."""

    def __init__(self, home: Path, *, progress: Callable[[str], None] = say) -> None:
        self._place = Place(home)
        self._supervisor = Supervisor(self._place, COMPONENTS)
        self._progress = progress

    @property
    def home(self) -> Path:
        return self._place.home

    def settings(self) -> Settings:
        """Return what the stack's settings file says, the process environment winning."""
        return Settings.load({**self._place.environ, "FRAUD_ML_HOME": str(self.home)})

    def up(self, only: Collection[str] | None = None) -> Settings:
        """Have the components (all, or `only` and what they need) running and ready; mends what died.

        Raises Unavailable naming the component and its log when one is not ready in time; the others keep running.
        """
        wanted = _closure(only)
        self._place.make()
        with self._place.lock():
            for leftover in self._supervisor.start():
                self._progress(f"ended process {leftover.pid}, left behind by {leftover.component}")
            embedded = [component for component in wanted if not self._is_outside(component)]
            states = self._supervisor.states()
            for component in embedded:
                if not states[component.name].is_living:
                    for name in self._place.move_taken_ports(component.ports):
                        self._progress(f"{component.name}: the port {name} is taken, using {self._place.port(name)}")
            self._remember({component.name for component in embedded})
            self._write_settings()
            self._start_side_by_side(embedded)
            self._write_settings()
        return self.settings()

    def down(self) -> None:
        """Stop everything that this stack started; afterwards none of its processes lives, and its data stays."""
        if not self._place.exists:
            return
        with self._place.lock():
            waiting = list(COMPONENTS)
            while waiting:
                needed = {name for component in waiting for name in component.needs}
                wave = [component for component in waiting if component.name not in needed]
                self._supervisor.stop(wave)
                waiting = [component for component in waiting if component not in wave]
            self._supervisor.shutdown()

    def status(self) -> list[ComponentStatus]:
        """Say of every component how it is, having asked it."""
        with ThreadPoolExecutor(len(COMPONENTS)) as pool:
            states = self._supervisor.states() if self._place.exists else {}
            return list(pool.map(lambda component: self._status_of(component, states), COMPONENTS))

    def memory_gib(self) -> float:
        """Return the proportional memory (PSS) of all of the stack's processes."""
        return processes.memory_gib(self._place.stack_id)

    def log_of(self, name: str) -> Path:
        """Return the component's log file. Raises BadInput for a name that is none."""
        _closure([name])
        return self._place.log_of(name)

    def airflow_environment(self) -> dict[str, str]:
        """Return the environment in which Airflow's own commands reach this stack's Airflow.

        Raises Unavailable when the stack has never started one, BadInput when the one in use stands elsewhere.
        """
        if any(self._is_outside(component) for component in AIRFLOW):
            raise BadInput(
                "the Airflow in use is not this stack's (FRAUD_ML_AIRFLOW_URL)",
                next_step="run `airflow` where that one is installed",
            )
        return command_environment(self._place)

    def _status_of(self, component: Component, states: dict) -> ComponentStatus:
        known = states.get(component.name)
        state, pid, detail = "stopped", None, ""
        if self._is_outside(component):
            state, detail = "outside", "named by the environment, not started here"
        elif known is not None and known.is_living:
            pid = known.pid
            try:
                component.check(self._place)
                state = "ready"
            except NotReady as missing:
                state, detail = "starting", str(missing)
        elif known is not None and known.state == "FATAL":
            state, detail = "failed", _last_useful_line(self._place.log_of(component.name))
        elif reason := self._absence_of(component):
            state, detail = "absent", reason
        return ComponentStatus(component.name, state, pid, detail, str(self._place.log_of(component.name)))

    def _start_side_by_side(self, components: list[Component]) -> None:
        """Start each component as soon as what it needs is ready."""
        ready = {component.name: threading.Event() for component in components}
        failed = threading.Event()
        began = time.monotonic()

        def start(component: Component) -> None:
            try:
                for name in component.needs:
                    if name in ready:
                        while not ready[name].wait(0.1):
                            if failed.is_set():
                                return
                self._start(component)
                ready[component.name].set()
                self._progress(f"{component.name} is ready ({time.monotonic() - began:.1f} s)")
            except Absent as reason:
                write_private(self._place.folder / f"{component.name}.absent", str(reason))
                ready[component.name].set()
                self._progress(f"{component.name} is not to be had: {reason}. {_without(component)}")
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(len(components) or 1) as pool:
            outcomes = [pool.submit(start, component) for component in components]
        for outcome in outcomes:
            outcome.result()

    def _start(self, component: Component) -> None:
        place = self._place
        launch = component.prepare(place)
        (place.folder / f"{component.name}.absent").unlink(missing_ok=True)
        order = place.orders / f"{component.name}.json"
        content = {
            "stack_id": place.stack_id,
            "component": component.name,
            "command": launch.command,
            "folder": str(launch.folder),
            "own": dict(launch.environment),
        }
        living = self._supervisor.states()[component.name].is_living
        if living and _own_part(order) != json.loads(json.dumps(content)):
            self._progress(f"{component.name} is started again, its settings changed")
            self._supervisor.stop([component])
            living = False
        if not living:
            environment = {**self._inherited(), **launch.environment}
            write_private(order, json.dumps({**content, "environment": environment}, indent=1))
            self._progress(f"{component.name} is starting")
            self._supervisor.launch(component.name)
        self._wait_ready(component)
        component.finish(place)

    def _wait_ready(self, component: Component) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        seen: set[int] = set()
        while True:
            try:
                component.check(self._place)
                return
            except NotReady as missing:
                known = self._supervisor.states()[component.name]
                seen |= {known.pid} if known.pid else set()
                if time.monotonic() < deadline and known.is_living and len(seen) <= _GIVE_UP_AFTER_DEATHS:
                    time.sleep(_POLL_S)
                    continue
                log = self._place.log_of(component.name)
                why = f"{missing}; {_last_useful_line(log)}".rstrip("; ")
                raise Unavailable(
                    f"{component.name} is not ready: {why}",
                    next_step=f"see {log}, then `fraud-ml stack up` again",
                    component=component.name,
                    log=str(log),
                ) from None

    def _is_outside(self, component: Component) -> bool:
        """Say whether the caller's environment names a server of its own, and not just this stack's."""
        environ = self._place.environ
        named = [name for name in component.outside if environ.get(name)]
        if not named:
            return False
        ours = component.settings(self._place) if self._place.exists else {}
        return any(environ[name] != ours.get(name) for name in named)

    def _inherited(self) -> dict[str, str]:
        """Return the shell's part of a component's environment, without an older copy of this stack's settings."""
        kept = self._place.base_environment()
        for component in COMPONENTS:
            if not self._is_outside(component):
                kept = {name: value for name, value in kept.items() if name not in component.settings(self._place)}
        return kept

    def _remember(self, names: set[str]) -> None:
        path = self._place.folder / "chosen.json"
        write_private(path, json.dumps(sorted(names | self._chosen())))

    def _chosen(self) -> set[str]:
        try:
            return set(json.loads((self._place.folder / "chosen.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return set()

    def _write_settings(self) -> None:
        """Write what others need to find the chosen components, here or outside."""
        chosen = self._chosen()
        values = {"FRAUD_ML_HOME": str(self.home)}
        for component in COMPONENTS:
            names = component.settings(self._place)
            if self._is_outside(component):
                values |= {name: self._place.environ.get(name, "") for name in names}
            elif component.name in chosen and not self._absence_of(component):
                values |= names
        values = {name: value for name, value in values.items() if value}
        write_private(self.home / SETTINGS_FILE, "".join(f"{name}={value}\n" for name, value in values.items()))

    def _absence_of(self, component: Component) -> str | None:
        path = self._place.folder / f"{component.name}.absent"
        return path.read_text(encoding="utf-8") if path.is_file() else None


def _closure(only: Iterable[str] | None) -> list[Component]:
    """Return the named components and all that they need. Raises BadInput for a name that is none."""
    by_name = {component.name: component for component in COMPONENTS}
    if only is None:
        return list(COMPONENTS)
    wanted: set[str] = set()
    waiting = list(only)
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            raise BadInput("no such component", expected=", ".join(by_name), arrived=name)
        if name not in wanted:
            wanted.add(name)
            waiting += by_name[name].needs
    return [component for component in COMPONENTS if component.name in wanted]


def _own_part(order: Path) -> dict | None:
    """Return the order without what it inherited from a shell; None when there is none."""
    try:
        content: dict = json.loads(order.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return {name: value for name, value in content.items() if name != "environment"}


def _last_useful_line(log: Path) -> str:
    """Return the last line of the log that looks like a reason, else its last line."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace")[-20_000:].splitlines()
    except OSError:
        return ""
    lines = [line.strip() for line in lines if line.strip()]
    reasons = [line for line in lines if any(word in line.lower() for word in ("error", "fatal", "refused", "in use"))]
    return (reasons or lines or [""])[-1][:300]


def _without(component: Component) -> str:
    return "Events wait in the outbox until RABBITMQ_URL names a broker." if component.name == "rabbitmq" else ""
