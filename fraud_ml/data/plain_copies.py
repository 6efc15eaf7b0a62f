"""What of a person lies in plain outside the log, and how it goes when the person is erased.

    quarantine/, dead-letters/          rows and messages that were not landed: their content is taken out
    workspace/subject-keys.parquet      the person's key in each pinned workspace: it is taken out
    workspace/features/*.parquet        windows that hold the person's claims (features, no identifier): removed, in the
                                        workspace and in DVC's caches; the next run makes them anew, without the person

The log, snapshots, folds, the fold cache and the verdict cache are sealed: destroying the key is enough. Counts of
requests (validation/served.py) name nobody and tell no claim alone, so nothing goes from them. Workspaces are
those below `runs` and those that were pinned from this home (`<home>/pinned-workspaces`), as long as they lie where
they lay.
"""

import base64
import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import SUBJECT_KEYS, Workspace
from fraud_ml.contract import Contract
from fraud_ml.data.subject_keys import read_keys, write_keys
from fraud_ml.errors import FraudMLError
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

_PINNED = "pinned-workspaces"
_KEY_DIGEST = "key_sha256"  # the column by which windows name claims


@dataclass(frozen=True)
class Purged:
    """How many copies were changed or removed."""

    quarantined_rows: int
    dead_letters: int
    key_files: int
    windows: int


def note_pinned(settings: Settings, workspace: Workspace) -> None:
    """Remember where a workspace was pinned, so that an erasure finds it. Those below `runs` are found anyway."""
    root = workspace.root.resolve()
    if root.is_relative_to(settings.runs.resolve()):
        return
    noted = settings.home / _PINNED
    if root not in _noted(settings):
        noted.parent.mkdir(parents=True, exist_ok=True)
        with noted.open("a", encoding="utf-8") as lines:
            lines.write(f"{root}\n")


def purge(
    settings: Settings, contract: Contract, *, person: str, pseudonym: str, claims: Collection[str], erased: str
) -> Purged:
    """Take the person out of all these. Doing it again changes nothing. claims: SHA-256 of their claims' keys."""
    store, root = ObjectStore(settings), f"{settings.claims_url.rstrip('/')}/{contract.dataset}"
    says = re.compile(rf"(?<![0-9A-Za-z]){re.escape(person)}(?![0-9A-Za-z])")
    workspaces = list(_workspaces(settings))
    folders = [settings.dvc_cache]
    for workspace in workspaces:
        folders += [workspace.features, workspace.root / ".dvc" / "cache"]
    learned = (*contract.personal, *contract.network_features)
    personal = frozenset(column.name for column in learned if column.personal)
    return Purged(
        quarantined_rows=sum(_clear_rows(store, url, says) for url in store.below(f"{root}/quarantine/")),
        dead_letters=sum(_clear_letter(store, url, says) for url in store.below(f"{root}/dead-letters/")),
        key_files=sum(_drop_key(workspace, contract, pseudonym, erased) for workspace in workspaces),
        windows=sum(_remove_windows(folder, claims, personal) for folder in dict.fromkeys(folders)),
    )


# --- inside ---------------------------------------------------------------------------------------------------------


def _clear_rows(store: ObjectStore, url: str, says: re.Pattern[str]) -> int:
    """Empty the cells of rows that name the person; their codes and hashed keys stay."""
    lines = [json.loads(line) for line in store.read(url).splitlines()]
    found = [line for line in lines if any(says.search(value) for value in line["cells"].values() if value)]
    for line in found:
        line["cells"] = {}
    if found:
        content = "".join(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n" for line in lines)
        store.write(url, content.encode(), media_type="application/x-ndjson")
    store.forget_earlier(url)
    return len(found)


def _clear_letter(store: ObjectStore, url: str, says: re.Pattern[str]) -> bool:
    letter = json.loads(store.read(url))
    raw = base64.b64decode(letter["content_base64"])
    texts = [raw.decode("utf-8", errors="replace"), raw.decode("unicode_escape", errors="replace")]
    found = any(says.search(text) for text in texts)
    if found:
        emptied = {**letter, "content_base64": "", "sha256": ""}
        store.write(url, json.dumps(emptied, indent=2).encode() + b"\n", media_type="application/json")
    store.forget_earlier(url)
    return found


def _drop_key(workspace: Workspace, contract: Contract, pseudonym: str, erased: str) -> bool:
    path = workspace.subject_keys
    try:
        keys = read_keys(path, contract, snapshot_digest=None)
    except FraudMLError:  # absent, or damaged: nothing opens with it
        return False
    if pseudonym not in keys.people or keys.people[pseudonym].key is None:
        return False
    write_keys(keys.without(pseudonym, erased), path)
    return True


def _remove_windows(folder: Path, claims: Collection[str], personal: frozenset[str]) -> int:
    removed = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.is_file() and _holds_claims(path, claims, personal):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _holds_claims(path: Path, claims: Collection[str], personal: frozenset[str]) -> bool:
    """Say whether the file is Parquet with a personal column and a row of one of the claims."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    with suppress(OSError, pa.ArrowException):
        with path.open("rb") as stream:
            if stream.read(4) != b"PAR1":
                return False
        names = set(parquet.read_schema(path).names)
        if _KEY_DIGEST in names and names & personal:
            keys = parquet.read_table(path, columns=[_KEY_DIGEST])[_KEY_DIGEST]
            return bool(pc.any(pc.is_in(keys, pa.array(sorted(claims), pa.string()))).as_py())
    return False


def _workspaces(settings: Settings) -> Iterator[Workspace]:
    """Yield every pinned workspace that still stands."""
    below = (path.parent.parent for path in settings.runs.rglob(f"workspace/{SUBJECT_KEYS}"))
    for root in dict.fromkeys([*below, *_noted(settings), Path.cwd()]):
        if (root / "workspace").is_dir():
            yield Workspace(root)


def _noted(settings: Settings) -> list[Path]:
    noted = settings.home / _PINNED
    return [Path(line) for line in noted.read_text(encoding="utf-8").splitlines()] if noted.is_file() else []
