"""Which living processes belong to a stack, proven by a mark that only its components carry.

Every component is started with MARK=<stack id>/<component> in its environment, and whatever it starts inherits it:
workers, daemons that leave their group, orphans. The stack's id is a secret of its home, so a stranger never carries
it and a process id that was given to someone else is never mistaken for ours. Signals go through a pidfd that was
opened before the mark was read.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "FRAUD_ML_STACK_PROCESS"
_PREFIX = MARK.encode() + b"="


@dataclass(frozen=True)
class Process:
    """A living process of a stack and the component that it belongs to."""

    pid: int
    component: str


def owned(stack_id: str, component: str | None = None) -> list[Process]:
    """Return the living processes of the stack, or of one of its components, this very process left out."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            name = _component_of(int(entry.name), stack_id)
            if name is not None and component in (None, name):
                found.append(Process(int(entry.name), name))
    return found


def end(
    stack_id: str,
    component: str | None = None,
    *,
    grace_s: float,
    signal_of: Callable[[str], signal.Signals] = lambda _: signal.SIGTERM,
) -> list[Process]:
    """End what `owned` finds: politely, after `grace_s` for good. Returns what had to be ended.

    Repeats until nothing is found, because an ending process may still start another one.
    """
    ended: list[Process] = []
    while found := owned(stack_id, component):
        ended.extend(found)
        with _opened(found, stack_id) as descriptors:
            for process, descriptor in descriptors.items():
                _send(descriptor, signal_of(process.component))
            living = _wait(descriptors.values(), grace_s)
            for descriptor in living:
                _send(descriptor, signal.SIGKILL)
            _wait(living, 5.0)
        grace_s = min(grace_s, 0.5)
    return ended


def wait_gone(stack_id: str, component: str, timeout_s: float) -> bool:
    """Wait until no process of the component lives; False when the time is over."""
    deadline = time.monotonic() + timeout_s
    while owned(stack_id, component):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _component_of(pid: int, stack_id: str) -> str | None:
    """Return the component that a living process is marked with; None for strangers, zombies and the dead."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()  # empty for a zombie
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(_PREFIX):
            owner, _, name = variable.removeprefix(_PREFIX).decode(errors="replace").partition("/")
            return name if owner == stack_id else None
    return None


@contextmanager
def _opened(found: Iterable[Process], stack_id: str) -> Iterator[dict[Process, int]]:
    descriptors: dict[Process, int] = {}
    try:
        for process in found:
            try:
                descriptor = os.pidfd_open(process.pid)
            except ProcessLookupError:
                continue
            if _component_of(process.pid, stack_id) == process.component:  # still the same one, not its successor
                descriptors[process] = descriptor
            else:
                os.close(descriptor)
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _send(descriptor: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)


def _wait(descriptors: Iterable[int], timeout_s: float) -> list[int]:
    """Wait for the processes' ends; return the descriptors of those that still live."""
    waiting = select.poll()
    living = set(descriptors)
    for descriptor in living:
        waiting.register(descriptor, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while living and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in waiting.poll(left * 1000):
            waiting.unregister(descriptor)
            living.discard(descriptor)
    return list(living)


def memory_gib(stack_id: str) -> float:
    """Return the proportional memory (PSS: shared pages divided by those who share them) of the stack's processes."""
    kib = 0
    for process in owned(stack_id):
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue  # it has ended since
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 2**20
