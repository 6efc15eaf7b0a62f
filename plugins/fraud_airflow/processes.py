"""Run one program as a process group of its own that leaves nothing behind, whoever is killed at whatever instant.

A note beside the work names the group before the program starts, so that a later attempt finds and ends what an
earlier one left. A lock, held by the runner and by the program it started, keeps two attempts out of the same folder;
the kernel lets go of it when the last holder dies.

A process counts as ours when it is in the noted group or session and works inside the noted folder, or when it carries
the note's path in its environment (a child that made a session of its own still does).
"""

import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.errors import Unavailable

Say = Callable[[str], None]

_MARK = "FRAUD_AIRFLOW_NOTE"
_LONGEST_LINE = 4000
_PATIENCE_S = 10.0
# The leader notes itself, then becomes the program: at no instant does an unnoted program run. $1 note, $2 owner.
_LAUNCH = (
    'printf "%s\\n" "$2" >"$1.new" && cat "/proc/$$/stat" >>"$1.new" && mv -f "$1.new" "$1" && shift 2 && exec "$@"'
)


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (negative: the signal that killed it), seconds, and its last lines."""

    returncode: int
    wall_s: float
    lines: tuple[str, ...]
    output: str  # standard output, when it was kept apart from what is said; else empty


@dataclass(frozen=True)
class _Note:
    owner: str
    leader: int
    started: int  # clock ticks since boot: tells a process from a later one with the same number


@dataclass(frozen=True)
class _Process:
    pid: int
    state: str
    group: int
    session: int
    started: int


class ProcessGroup:
    """One place for one program at a time. `owner` names the task; a new attempt of it may end the one before."""

    def __init__(self, note: Path, folder: Path, owner: str) -> None:
        self.note = note
        self.folder = folder.resolve()
        self.owner = " ".join(owner.split())
        self._lock: int | None = None

    @contextmanager
    def held(self, say: Say) -> Iterator[bool]:
        """Hold the place alone; yields True when the program before did not end by itself (none of it runs any more).

        Waits while another task's program works here; what lives of an earlier attempt of this very task is ended.
        """
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.note.with_name(self.note.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for_lock(say)
            was_cut_short = self.note.exists()
            if ended := self.end():
                say(f"ended {len(ended)} process(es) that an earlier attempt had left in {self.folder}")
            yield was_cut_short
        finally:
            os.close(self._lock)
            self._lock = None

    def run(self, command: Sequence[str], *, env: Mapping[str, str], say: Say, one_stream: bool = True) -> Ended:
        """Run `command` in the folder to its end, saying each line; afterwards none of its processes lives.

        Only within `held()`. The note goes when the program ended by itself, and stays when it was killed.
        """
        assert self._lock is not None, "run() needs held()"
        begin = time.monotonic()
        process = subprocess.Popen(
            ["/bin/sh", "-c", _LAUNCH, "sh", str(self.note), self.owner, *command],
            cwd=self.folder,
            env={**env, _MARK: str(self.note)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if one_stream else subprocess.PIPE,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        streams = _Streams(process, say, keep_output=not one_stream)
        try:
            while process.poll() is None:
                streams.read(wait_s=0.2)
                if not streams.are_open:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=0.2)
        finally:
            self._end_started(process)
            streams.drain()
        if process.returncode >= 0:
            self.note.unlink(missing_ok=True)
        return Ended(process.returncode, time.monotonic() - begin, streams.last_lines, streams.output)

    def end(self, *, wait: bool = True) -> set[int]:
        """Kill whatever the note names and is ours, until none of it lives; return the process ids.

        What is dead but not yet reaped by its parent can do nothing, and is not waited for. Safe in a signal handler
        with `wait=False`. Raises Unavailable when something does not die within ten seconds.
        """
        killed: set[int] = set()
        deadline = time.monotonic() + _PATIENCE_S
        while members := self._members():
            for member in members:
                killed.add(member.pid)
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            if not wait:
                break
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{len(members)} process(es) of an earlier attempt do not end",
                    arrived=f"process ids {', '.join(str(member.pid) for member in members)}",
                    next_step="end them, then clear the task",
                )
            time.sleep(0.02)
        return killed

    # --- internals ---

    def _wait_for_lock(self, say: Say) -> None:
        assert self._lock is not None
        has_said = False
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                note = self._read_note()
                if note and note.owner == self.owner:
                    self.end()
                elif not has_said:
                    say(f"waiting: {note.owner if note else 'another task'} works in {self.folder}")
                    has_said = True
                time.sleep(0.1)

    def _end_started(self, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # alive and our child, so the number is still its own
            process.wait()
        self.end()

    def _read_note(self) -> _Note | None:
        try:
            owner, stat = self.note.read_text(encoding="utf-8").split("\n", 1)
        except (FileNotFoundError, ValueError):
            return None
        leader = _parse_stat(stat)
        return _Note(owner, leader.pid, leader.started) if leader else None

    def _members(self) -> list[_Process]:
        """Return the living processes that are ours, never this one."""
        note = self._read_note()
        found = []
        living = [process for process in _processes() if process.state not in "ZX" and process.pid != os.getpid()]
        leader = next((process for process in living if note and process.pid == note.leader), None)
        number_is_reused = note is not None and leader is not None and leader.started != note.started
        for process in living:
            in_group = (
                note is not None
                and not number_is_reused
                and note.leader in (process.group, process.session)
                and self._works_here(process.pid)
            )
            if in_group or self._is_marked(process.pid):
                found.append(process)
        return found

    def _works_here(self, pid: int) -> bool:
        try:
            folder = Path(os.readlink(f"/proc/{pid}/cwd"))
        except OSError:
            return False
        return folder == self.folder or self.folder in folder.parents

    def _is_marked(self, pid: int) -> bool:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return f"{_MARK}={self.note}".encode() in environ


class _Streams:
    """A program's output as lines, said as they come."""

    def __init__(self, process: "subprocess.Popen[bytes]", say: Say, *, keep_output: bool) -> None:
        self._say = say
        self._keep_output = keep_output
        self._partial: dict[int, bytes] = {}
        self._output: list[bytes] = []
        self._last: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._stdout = process.stdout
        self._pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe]
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    @property
    def are_open(self) -> bool:
        return bool(self._selector.get_map())

    @property
    def last_lines(self) -> tuple[str, ...]:
        return tuple(self._last)

    @property
    def output(self) -> str:
        return b"".join(self._output).decode("utf-8", errors="replace")

    def read(self, *, wait_s: float) -> bool:
        """Read what is there within `wait_s` seconds; return whether anything was."""
        if not self.are_open:
            return False
        ready = self._selector.select(timeout=wait_s)
        for key, _ in ready:
            data = os.read(key.fd, 65536)
            if not data:
                self._selector.unregister(key.fileobj)
            if self._keep_output and self._stdout is not None and key.fd == self._stdout.fileno():
                self._output.append(data)  # an answer for a program; people read the other stream
                continue
            *whole, self._partial[key.fd] = (self._partial.get(key.fd, b"") + data).replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                self._take(line)
        return bool(ready)

    def drain(self) -> None:
        """Read what was written before the end, then close. A pipe kept open by a stranger is not waited for."""
        while self.are_open and self.read(wait_s=0.05):
            pass
        for line in self._partial.values():
            self._take(line)
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", errors="replace").rstrip()[:_LONGEST_LINE]
        if text:
            self._say(text)
            self._last = [*self._last[-199:], text]


def _processes() -> list[_Process]:
    return [found for name in os.listdir("/proc") if name.isdigit() and (found := _process(int(name)))]


def _process(pid: int) -> _Process | None:
    try:
        return _parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _parse_stat(stat: str) -> _Process | None:
    """Read proc(5)'s stat line; the program's name may hold spaces and brackets, so fields count from the last one."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    if not head or len(fields) < 20:
        return None
    return _Process(
        pid=int(head.split(" ", 1)[0]),
        state=fields[0],
        group=int(fields[2]),
        session=int(fields[3]),
        started=int(fields[19]),
    )
