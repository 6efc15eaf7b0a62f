"""One changed byte, as a bad disk or somebody's hand leaves it."""

from pathlib import Path


def flipped(content: bytes, at: int | None = None) -> bytes:
    """Return the content with one bit turned over, in its middle byte or in the one at `at`."""
    changed = bytearray(content)
    changed[len(changed) // 2 if at is None else at] ^= 1
    return bytes(changed)


def flip_a_byte(path: Path, at: int | None = None) -> None:
    """Do so to a file, write-protected or not."""
    path.chmod(0o644)
    path.write_bytes(flipped(path.read_bytes(), at))
