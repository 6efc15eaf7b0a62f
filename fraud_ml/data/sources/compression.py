"""Unpack a file that was compressed with gzip (.gz) or Zstandard (.zst)."""

import gzip
import zlib
from collections.abc import Callable

from fraud_ml.errors import BadInput


def unpacked(name: str, raw: bytes) -> bytes:
    """Return the file's content. Raises BadInput when the packed file is cut off or damaged."""
    unpack = next((act for suffix, act in _UNPACKERS.items() if name.lower().endswith(suffix)), None)
    return unpack(name, raw) if unpack and raw else raw


def without_suffix(name: str) -> str:
    """Return the name without the suffix that says how the file was compressed."""
    suffix = next((suffix for suffix in _UNPACKERS if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def _gunzip(name: str, raw: bytes) -> bytes:
    try:
        return gzip.decompress(raw)
    except EOFError:
        raise BadInput(
            f"{name}: the gzip file is cut off",
            expected="its end-of-stream marker",
            next_step="copy the whole file again",
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise BadInput(
            f"{name}: damaged, or not gzip", expected="a whole gzip file", next_step="copy it again"
        ) from None


def _unzstd(name: str, raw: bytes) -> bytes:
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
            content: bytes = stream.read()
    except OSError as error:
        if "Truncated" in str(error):
            raise BadInput(
                f"{name}: the Zstandard file is cut off",
                expected="its last frame, whole",
                next_step="copy the whole file again",
            ) from None
        raise BadInput(
            f"{name}: damaged, or not Zstandard", expected="a whole .zst file", next_step="copy it again"
        ) from None
    return content


_UNPACKERS: dict[str, Callable[[str, bytes], bytes]] = {".gz": _gunzip, ".zst": _unzstd}
