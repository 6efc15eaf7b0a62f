"""What the stack knows about each server: how it is prepared, launched, checked, finished and described to others."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fraud_ml.stack.place import Place


class NotReady(Exception):
    """The component does not answer yet; the message says what is missing, without any secret."""


class Absent(Exception):
    """The component cannot be had on this machine; the stack goes on without it, and says so."""


@dataclass(frozen=True)
class Launch:
    """How a component's process is started. Secrets stand in `environment` or in files, never in `command`."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def nothing(_: Place) -> None:
    """Do nothing: the component needs no step here."""


def no_settings(_: Place) -> dict[str, str]:
    """Return no settings: nobody has to find this component."""
    return {}


@dataclass(frozen=True)
class Component:
    """A row of the stack.

    prepare: makes what the process needs on disk, once, and returns its launch; may raise Absent.
    check:   raises NotReady until the server does its work, asked the way its clients ask.
    finish:  makes what others expect inside the running server; safe to repeat.
    settings: the variables under which others find it.
    outside: when one of these variables is set by the caller, the server is elsewhere and is not started.
    """

    name: str
    prepare: Callable[[Place], Launch]
    check: Callable[[Place], None]
    needs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    finish: Callable[[Place], None] = nothing
    settings: Callable[[Place], dict[str, str]] = no_settings
    outside: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: int = 20
