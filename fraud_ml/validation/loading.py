"""Great Expectations without what it loads for databases, clouds and charts, which nobody asks it for here."""

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_EXTRAS = ("boto3", "botocore", "google", "pyspark", "sqlalchemy")  # optional: it goes on without them
_LATER = ("altair", "scipy.stats")  # it needs them for a few expectations, and then has them


def great_expectations() -> Any:
    """Return the module. Where it was loaded before, or what it loads was, that stays."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # its messages may quote values
    with _without(_EXTRAS), _loaded_when_asked(_LATER):
        import great_expectations as gx

    return gx


# --- inside ---------------------------------------------------------------------------------------------------------


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Let the import of these modules fail, unless they are loaded."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextmanager
def _loaded_when_asked(names: tuple[str, ...]) -> Iterator[None]:
    """Give whoever imports these modules a stand-in, which loads the module when it is first asked for something."""
    later = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(later)
    try:
        yield
    finally:
        for name, module in later.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Later(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)
