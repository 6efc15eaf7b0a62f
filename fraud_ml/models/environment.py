"""What decides, besides claims, params and seed, which bits are learned: code, libraries and the processor."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

from fraud_ml.artifacts import file_digest

PACKAGE = Path(__file__).resolve().parents[1]
LEARNING_CODE = ("models", "training")
LIBRARIES = ("keras", "numpy", "scikit-learn", "tensorflow")
LOCK = PACKAGE.parent / "requirements" / "main.txt"


def running_version() -> dict[str, str]:
    """Return the versions of our learning code, of Python and of the libraries that learn."""
    digest = hashlib.sha256()
    for room in LEARNING_CODE:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    code = {"code": digest.hexdigest()[:12], "python": platform.python_version()}
    return code | {library: version(library) for library in LIBRARIES}


def running_environment() -> dict[str, str]:
    """Return `running_version`, the locked dependencies' digest, and which kind of processor computes."""
    lock = file_digest(LOCK)[:12] if LOCK.is_file() else "none"
    gpu = "none" if os.environ.get("CUDA_VISIBLE_DEVICES", "-1") in ("", "-1") else "visible"
    return {**running_version(), "lock": lock, "cpu": cpu_family(), "gpu": gpu}


def cpu_family() -> str:
    """Return vendor and family: within one, the same kernels run and round alike."""
    told: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else ():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    family = [told[name] for name in ("vendor_id", "cpu family", "CPU implementer", "CPU part") if name in told]
    return " ".join([platform.machine(), *(family or [platform.processor()])])
