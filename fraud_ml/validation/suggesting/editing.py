"""Change limits in suite.json and schema.pbtxt where they stand: every other byte stays as people wrote it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_ml.edits import text_of
from fraud_ml.errors import BadInput
from fraud_ml.validation.rulebook.schema_text import read_text_format

_SPACE = re.compile(r"\s*")
_FRACTION = re.compile(r"min_fraction\s*:\s*(?P<value>[-+.\w]+)")
_WORD = re.compile(r'(?P<lead>\n?[ \t]*)value\s*:\s*"(?:[^"\\\n]|\\.)*"(?P<rest>[ \t]*(?:#[^\n]*)?)')


@dataclass(frozen=True)
class Span:
    """Where a value stands in a text: text[begin:end]."""

    begin: int
    end: int


def edit_suite(text: str, changes: Mapping[int, Mapping[str, Any]], added: Sequence[Mapping[str, Any]]) -> str:
    """Return the suite with these arguments of some expectations changed, and expectations added behind the last.

    changes: index of the expectation -> argument -> its new value; a list only ever grows at its end.
    """
    items = _items(text, _members(text, _begin(text, 0))["expectations"].begin)
    edits: list[tuple[Span, str]] = []
    for index, arguments in changes.items():
        kwargs = _members(text, items[index].begin)["kwargs"]
        members = _members(text, kwargs.begin)
        for name, value in arguments.items():
            edits.append(_edit(text, kwargs, members, name, value))
    if added:
        last = items[-1].end
        edits.append((Span(last, last), "".join(f",\n{_written(one)}" for one in added)))
    for span, new in sorted(edits, key=lambda edit: edit[0].begin, reverse=True):
        text = text[: span.begin] + new + text[span.end :]
    return text


def edit_schema(path: Path, fractions: Mapping[str, float], words: Mapping[str, Sequence[str]]) -> str:
    """Return the schema's text with another `min_fraction` of some features, and words added to some domains.

    fractions, words: by feature. What has no such field stays as it is.
    """
    content, text = read_text_format(path), text_of(path)
    begins = [0]
    for one in text.split("\n"):
        begins.append(begins[-1] + len(one) + 1)
    tops = sorted(top.line for top in content.fields)
    edits: list[tuple[Span, str]] = []
    domains: dict[str, Sequence[str]] = {}
    for feature, line in content.messages("feature"):
        steps, shared = feature.message("path"), feature.text("domain")
        name = feature.text("name") or (steps.text("step") if steps else None) or ""
        span = Span(begins[line - 1], _end(begins, tops, line))
        found = _FRACTION.search(text, span.begin, span.end)
        if name in fractions and found:
            edits.append((Span(*found.span("value")), repr(fractions[name])))
        if shared is not None and words.get(name):
            domains[shared] = [*domains.get(shared, ()), *words[name]]
        elif words.get(name) and feature.message("string_domain"):
            edits += _more_words(text, span, words[name])
    for domain, at in content.messages("string_domain"):
        new = list(dict.fromkeys(domains.get(domain.text("name") or "", ())))
        edits += _more_words(text, Span(begins[at - 1], _end(begins, tops, at)), new)
    for span, new_text in sorted(edits, key=lambda edit: edit[0].begin, reverse=True):
        text = text[: span.begin] + new_text + text[span.end :]
    return text


# --- inside ---------------------------------------------------------------------------------------------------------


def _more_words(text: str, domain: Span, words: Sequence[str]) -> list[tuple[Span, str]]:
    """Return the edit that adds words behind the last of a domain, each in a line of its own where that one is."""
    listed = list(_WORD.finditer(text, domain.begin, domain.end))
    if not words or not listed:
        return []
    last = listed[-1]
    own_line = last["lead"].startswith("\n")
    place = last.end() if own_line else last.start("rest")
    lead = last["lead"] if own_line else " "
    return [
        (Span(place, place), "".join(f"{lead}value: {json.dumps(word, ensure_ascii=False)}" for word in words)),
    ]


def _edit(text: str, kwargs: Span, members: Mapping[str, Span], name: str, value: Any) -> tuple[Span, str]:
    if name not in members:
        told = f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        last = max((span.end for span in members.values()), default=kwargs.begin + 1)
        return Span(last, last), f", {told}" if members else told
    span = members[name]
    if not isinstance(value, list):
        return span, json.dumps(value)
    held = _items(text, span.begin)
    more = [json.dumps(one, ensure_ascii=False) for one in value[len(held) :]]
    last = held[-1].end if held else span.begin + 1
    return Span(last, last), "".join(f", {one}" for one in more) if held else ", ".join(more)


def _written(expectation: Mapping[str, Any]) -> str:
    """Return an expectation as they stand in a suite: its arguments in one line, its meta one a line."""
    arguments = json.dumps(expectation["kwargs"], ensure_ascii=False)
    meta = json.dumps(expectation["meta"], ensure_ascii=False, indent=2).replace("\n", "\n      ")
    meta = re.sub(r"\[\s+([\d,\s]+?)\s+\]", lambda found: f"[{', '.join(re.findall(r'[0-9]+', found[1]))}]", meta)
    return (
        f'    {{\n      "type": {json.dumps(expectation["type"])},\n      "kwargs": {arguments},\n'
        f'      "meta": {meta}\n    }}'
    )


def _end(begins: Sequence[int], tops: Iterable[int], line: int) -> int:
    """Return where the message that begins in `line` is over: at the next one, or at the end."""
    after = next((top for top in tops if top > line), None)
    return begins[-1] - 1 if after is None else begins[after - 1]


def _begin(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return place if found is None else found.end()


def _members(text: str, begin: int) -> dict[str, Span]:
    """Return where the values of the object at `begin` stand, by key."""
    found: dict[str, Span] = {}
    place = _begin(text, _opened(text, begin, "{"))
    while text[place] != "}":
        key, place = json.JSONDecoder().raw_decode(text, place)
        place = _begin(text, _begin(text, place) + 1)  # behind the colon
        _, end = json.JSONDecoder().raw_decode(text, place)
        found[key] = Span(place, end)
        place = _next(text, end)
    return found


def _items(text: str, begin: int) -> list[Span]:
    """Return where the items of the list at `begin` stand."""
    found: list[Span] = []
    place = _begin(text, _opened(text, begin, "["))
    while text[place] != "]":
        _, end = json.JSONDecoder().raw_decode(text, place)
        found.append(Span(place, end))
        place = _next(text, end)
    return found


def _opened(text: str, begin: int, mark: str) -> int:
    if text[begin : begin + 1] != mark:
        raise BadInput("suite.json is not laid out as a suite", expected="objects and lists where a suite has them")
    return begin + 1


def _next(text: str, end: int) -> int:
    place = _begin(text, end)
    return _begin(text, place + 1) if text[place] == "," else place
