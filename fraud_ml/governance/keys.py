"""People's keys: a private key in a file of one's own, its public half in the approvers file (Ed25519)."""

import base64
import binascii
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import save
from fraud_ml.errors import BadInput, Unavailable

_PERSON = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


def make_key(person: str, folder: Path, *, approvers: Path) -> Path:
    """Write a new private key to `<folder>/<person>.key` (mode 600), enrol its public half, return the key's path.

    Raises BadInput when that person is enrolled, or that file is there, already: nobody's key is replaced unnoticed.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _PERSON.fullmatch(person):
        raise BadInput(
            "that name cannot be a person's",
            expected="lower-case letters, digits and . _ - @ +, at most 64",
            next_step="rename",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{person}.key"
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with _alone(approvers):
        enrolled = read_approvers(approvers) if approvers.exists() else {}
        if person in enrolled:
            raise BadInput(
                f"{person} is enrolled already", next_step=f"to replace the key, remove {person} from {approvers} first"
            )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise BadInput(f"{path} is there already", next_step="move it away, or choose another --folder") from None
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
        save({**enrolled, person: public_half(key)}, approvers)
    return path


def read_approvers(path: Path) -> dict[str, str]:
    """Return who may approve. Raises Unavailable when the file is absent, BadInput when it is not people and keys."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unavailable(
            f"{path} is not there: nobody may approve yet", next_step="enrol people with `fraud-ml keys make PERSON`"
        ) from None
    except ValueError:
        raise BadInput(f"{path}: not valid JSON", expected="{person: base64 public key}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: not a mapping", expected="{person: base64 public key}", arrived=type(content).__name__)
    for person, key in content.items():
        if not isinstance(key, str) or key_bytes(key) is None:
            raise BadInput(f"{path}: the key of {person} is no Ed25519 public key", expected="32 bytes in base64")
    return content


def read_key(path: Path) -> Any:
    """Return the private key. Raises BadInput when the file is open to others, or holds no such key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read", arrived=type(error).__name__, next_step="name your key file") from None
    if path.stat().st_mode & 0o077:
        raise BadInput(f"{path} is open to others", expected="mode 600", next_step=f"chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(
            f"{path} is no Ed25519 private key", expected="PEM, without a password", next_step="name your key file"
        )
    return key


def public_half(key: Any) -> str:
    """Return the base64 public key of a private key."""
    from cryptography.hazmat.primitives import serialization

    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def key_bytes(public: str) -> bytes | None:
    """Return the 32 bytes of a base64 public key, or None when it is none."""
    try:
        raw = base64.b64decode(public, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == 32 else None


@contextmanager
def _alone(approvers: Path) -> Iterator[None]:
    """Let one process at a time change the approvers file."""
    approvers.parent.mkdir(parents=True, exist_ok=True)
    with (approvers.parent / f".{approvers.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
