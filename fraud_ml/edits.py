"""Changes to files that people keep in git: shown as a diff that git applies, written whole or not at all."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from fraud_ml.errors import BadInput


def text_of(path: Path) -> str:
    """Return the file's text with its own line ends."""
    return path.read_bytes().decode()


@dataclass(frozen=True)
class Edit:
    """A file's text before and after."""

    path: Path
    before: str
    after: str

    def diff(self, name: str) -> str:
        """Return the unified diff that `git apply` takes, of the file `name` in the repository; "" if equal."""
        before, after = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (self.before, self.after))
        lines = unified_diff(before, after, f"a/{name}", f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write_edits(edits: Sequence[Edit]) -> None:
    """Replace the files one after the other; whoever reads one sees the old text or the whole new one.

    Raises BadInput, and writes nothing, when somebody changed one of them since `before` was read.
    """
    halves: list[tuple[Path, Path]] = []
    try:
        for edit in edits:
            path = edit.path.resolve()  # a link stays a link
            if text_of(path) != edit.before:
                raise BadInput(
                    f"{path} was changed meanwhile",
                    expected="the text that the change was made for",
                    next_step="run the command again, or apply its diff by hand",
                )
            half = path.with_name(f".{path.name}.{os.getpid()}")
            halves.append((half, path))
            with half.open("wb") as stream:
                stream.write(edit.after.encode())
                stream.flush()
                os.fsync(stream.fileno())
            half.chmod(path.stat().st_mode & 0o777)
        for half, path in halves:
            half.replace(path)
    finally:
        for half, _ in halves:
            half.unlink(missing_ok=True)
