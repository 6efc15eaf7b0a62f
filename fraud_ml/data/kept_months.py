"""What caches of months have in common: where a month's record lies, and which months go first when room is short.

A month is two files of one name: the record, `<folder>/ab/<inputs>.json`, written last, and the content beside it.
"""

from contextlib import suppress
from pathlib import Path


def record_of(folder: Path, inputs: str) -> Path:
    """Return where the record of the month with these inputs (a digest) lies."""
    return folder / inputs[:2] / f"{inputs}.json"


def trim(folder: Path, suffix: str, most_bytes: int) -> None:
    """Remove the months that were not used for longest until `most_bytes` hold the contents of the rest.

    A record whose content is gone is removed.
    """
    aged = []
    for record in folder.glob("*/*.json"):
        with suppress(OSError):  # another process removes it
            content = record.with_suffix(suffix)
            if not content.is_file():
                record.unlink()
                continue
            aged.append((record.stat().st_mtime_ns, content.stat().st_size, record))
    held = 0
    for _, size, record in sorted(aged, reverse=True):
        held += size
        if held > most_bytes:
            record.unlink(missing_ok=True)
            record.with_suffix(suffix).unlink(missing_ok=True)
