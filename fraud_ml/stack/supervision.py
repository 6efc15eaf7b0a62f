"""One supervisord a stack: it starts components, starts them again when they die, and stops them with their groups."""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_ml.errors import Unavailable
from fraud_ml.settings import PROJECT
from fraud_ml.stack import processes
from fraud_ml.stack.component import Component
from fraud_ml.stack.place import Place, write_private

SUPERVISOR = "supervisord"
_ANSWER_TIMEOUT_S = 20.0
_LIVING = ("STARTING", "RUNNING", "BACKOFF", "STOPPING")


@dataclass(frozen=True)
class Supervised:
    """What supervisord knows of a component. state: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""

    state: str
    pid: int | None

    @property
    def is_living(self) -> bool:
        return self.state in _LIVING


class Supervisor:
    """Talks to the stack's supervisord over its private Unix socket."""

    def __init__(self, place: Place, components: Sequence[Component]) -> None:
        self._place = place
        self._components = components

    @property
    def _socket(self) -> Path:
        return self._place.socket("supervisor.sock")

    def is_answering(self) -> bool:
        try:
            self._call("getState")
        except OSError:
            return False
        return True

    def start(self) -> list[processes.Process]:
        """Have a supervisord that answers; ends first what one that was killed left behind, and returns that."""
        if self.is_answering():
            self._add_missing()
            return []
        leftovers = self.end_leftovers()
        self._socket.unlink(missing_ok=True)
        write_private(self._place.folder / "supervisord.conf", self._configuration())
        command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(self._place.folder / "supervisord.conf"))
        environment = {
            **self._place.base_environment(),
            processes.MARK: f"{self._place.stack_id}/{SUPERVISOR}",
        }
        started = subprocess.run(
            command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while not self.is_answering():
            if started.returncode != 0 or time.monotonic() > deadline:
                reason = (started.stderr.strip().splitlines() or ["it does not answer"])[-1]
                raise Unavailable(
                    f"the stack's supervisor does not start ({reason})", next_step=f"see {self._place.logs}"
                )
            time.sleep(0.05)
        return leftovers

    def _add_missing(self) -> None:
        """Tell a supervisord that an older version of the platform started of the components it does not know."""
        known = {row["name"] for row in self._call("getAllProcessInfo")}
        missing = [component.name for component in self._components if component.name not in known]
        if missing:
            write_private(self._place.folder / "supervisord.conf", self._configuration())
            self._call("reloadConfig")
            for name in missing:
                self._call("addProcessGroup", name)

    def states(self) -> dict[str, Supervised]:
        """Return what is known of every component; all stopped when no supervisor answers."""
        try:
            rows = self._call("getAllProcessInfo")
        except OSError:
            return {component.name: Supervised("STOPPED", None) for component in self._components}
        return {row["name"]: Supervised(row["statename"], row["pid"] or None) for row in rows}

    def launch(self, name: str) -> None:
        """Start a component that does not live."""
        self._call("startProcess", name, False)

    def stop(self, components: Sequence[Component]) -> None:
        """Stop components side by side, then end whatever escaped their process groups."""
        for component in components:
            if self.states()[component.name].is_living:
                self._call("stopProcess", component.name, False)
        deadline = time.monotonic() + max((component.stop_wait_s for component in components), default=0) + 5
        while any(self.states()[component.name].is_living for component in components):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for component in components:
            processes.end(self._place.stack_id, component.name, grace_s=5, signal_of=self._signal_of)

    def shutdown(self) -> None:
        """End the supervisor, and whatever else carries the stack's mark."""
        if self.is_answering():
            self._call("shutdown")
            processes.wait_gone(self._place.stack_id, SUPERVISOR, 10)
        self.end_leftovers()
        self._socket.unlink(missing_ok=True)

    def end_leftovers(self) -> list[processes.Process]:
        """End every process of the stack: the supervisor first, lest it starts the others again."""
        return [
            *processes.end(self._place.stack_id, SUPERVISOR, grace_s=1, signal_of=lambda _: processes.signal.SIGKILL),
            *processes.end(self._place.stack_id, grace_s=10, signal_of=self._signal_of),
        ]

    def _signal_of(self, name: str) -> Any:
        found = {component.name: component.stop_signal for component in self._components}
        return found.get(name, processes.signal.SIGTERM)

    def _call(self, method: str, *arguments: object) -> Any:
        """Call supervisord. Raises OSError when nobody answers."""
        import http.client
        from xmlrpc.client import Error, ServerProxy

        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        try:
            # "localhost" is only a name here: the transport speaks through the socket
            return getattr(ServerProxy("http://localhost", transport=transport).supervisor, method)(*arguments)
        except (Error, http.client.HTTPException) as error:
            raise OSError(f"supervisord refused {method} ({error})") from None
        finally:
            transport.close()

    def _configuration(self) -> str:
        place = self._place
        sections: list[tuple[str, dict[str, object]]] = [
            ("unix_http_server", {"file": self._socket, "chmod": "0600"}),
            (
                "supervisord",
                {
                    "logfile": place.log_of(SUPERVISOR),
                    "logfile_maxbytes": "1MB",
                    "logfile_backups": 1,
                    "pidfile": place.folder / "supervisord.pid",
                    "childlogdir": place.logs,
                    "directory": PROJECT,
                    "umask": "077",
                },
            ),
            (
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
        ]
        sections += [(f"program:{component.name}", self._program(component)) for component in self._components]
        lines = []
        for title, options in sections:
            lines.append(f"[{title}]")
            lines += [f"{name} = {str(value).replace('%', '%%')}" for name, value in options.items()]
        return "\n".join(lines) + "\n"

    def _program(self, component: Component) -> dict[str, object]:
        order = self._place.orders / f"{component.name}.json"
        return {
            "command": shlex.join((sys.executable, "-m", "fraud_ml.stack.launch", str(order))),
            "directory": PROJECT,
            "autostart": "false",
            "autorestart": "true",
            "startsecs": 1,
            "startretries": 30,
            "stopsignal": component.stop_signal.name.removeprefix("SIG"),
            "stopwaitsecs": component.stop_wait_s,
            "stopasgroup": "true",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": self._place.log_of(component.name),
            "stdout_logfile_maxbytes": "20MB",
            "stdout_logfile_backups": 1,
        }
