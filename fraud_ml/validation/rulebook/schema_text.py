"""Read a protocol buffer in its text format as fields with their lines: enough to compare a TFDV schema.

TFDV's own reader stands in another interpreter (`tfdv_worker.py`) and has the last word on the file.
Source of the grammar: protobuf.dev, Text Format Language Specification.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fraud_ml.errors import BadInput

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+|\#[^\n]*)|(?P<line>\n)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[-+.\w/]+)|(?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Field:
    """A name with a scalar (text, number or enum, as text) or with fields of its own."""

    name: str
    line: int
    value: "str | Message"


@dataclass
class Message:
    """Fields in their order."""

    fields: list[Field] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Field]:
        return (one for one in self.fields if one.name == name)

    def messages(self, name: str) -> "Iterator[tuple[Message, int]]":
        """Yield the submessages of that name with their lines."""
        for one in self.all(name):
            if isinstance(one.value, Message):
                yield one.value, one.line

    def message(self, name: str) -> "Message | None":
        return next((found for found, _ in self.messages(name)), None)

    def text(self, name: str) -> str | None:
        return next((one.value for one in self.all(name) if isinstance(one.value, str)), None)

    def number(self, name: str) -> float | None:
        text = self.text(name)
        try:
            return None if text is None else float(text.rstrip("fF"))
        except ValueError:
            return None


def read_text_format(path: Path) -> Message:
    """Return the file's fields. Raises BadInput naming file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file", next_step="write it: copy that of another dataset") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not readable as text", expected="UTF-8", next_step="save it as UTF-8") from None
    return _Reader(path, list(_tokens(path, text))).message(top=True)


def _tokens(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    line, place = 1, 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _broken(path, line, f"`{text[place]}` stands where no field can")
        if found.lastgroup == "line":
            line += 1
        elif found.lastgroup != "space":
            yield str(found.lastgroup), found.group(), line
        place = found.end()
    yield "end", "the end of the file", line


def _broken(path: Path, line: int, why: str) -> BadInput:
    return BadInput(f"{path}:{line}: not a TFDV schema", arrived=why, next_step="mend it", line=line)


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, path: Path, tokens: list[tuple[str, str, int]]) -> None:
        self._path, self._tokens, self._at = path, tokens, 0

    def _take(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _next_is(self, *texts: str) -> bool:
        kind, text, _ = self._tokens[self._at]
        return kind in ("mark", "end") and (text in texts or kind in texts)

    def message(self, *, top: bool = False) -> Message:
        """Read fields until the message ends."""
        found = Message()
        while True:
            kind, text, line = self._take()
            if kind == "end" or text in ("}", ">"):
                if (kind == "end") is not top:
                    raise _broken(self._path, line, f"{text} where another was due")
                return found
            if text in (",", ";"):
                continue
            if kind != "word":
                raise _broken(self._path, line, f"{text[:20]} where a field's name was due")
            found.fields += self._values(text, line)

    def _values(self, name: str, line: int) -> list[Field]:
        named = self._next_is(":") and bool(self._take())
        if not self._next_is("["):
            return [self._value(name, line, named=named)]
        self._take()
        values = []
        while not self._next_is("]", "end"):
            values.append(self._value(name, line, named=named))
            if self._next_is(","):
                self._take()
        if self._take()[0] == "end":
            raise _broken(self._path, line, "a list that is never closed")
        return values

    def _value(self, name: str, line: int, *, named: bool) -> Field:
        kind, text, at = self._take()
        if text in ("{", "<") and kind == "mark":
            return Field(name, line, self.message())
        if not named or kind not in ("word", "text"):
            raise _broken(self._path, at, f"{text[:20]} where the value of `{name}` was due")
        parts = [text]
        while kind == "text" and self._tokens[self._at][0] == "text":
            parts.append(self._take()[1])
        return Field(name, line, "".join(map(ast.literal_eval, parts)) if kind == "text" else text)
