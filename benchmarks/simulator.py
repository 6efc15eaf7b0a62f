"""How fast the simulated motor insurer writes its log, and in how much memory.

`fraud-ml simulate motor --out FOLDER --truth FILE` runs as a process of its own over three years, twice: a million
claims into zstd Parquet part files (`--quick`: a hundred thousand). `peak_gib` is the process's largest resident
memory; `peak_growth` is that over the peak of a tenth of the claims: it grows until a month fills a part of 65,536
claims (at 2.4 million over three years), then no more. `replay_identical` is 1 when both runs' files are equal byte for
byte. `ten_million_s` is seconds a claim times ten million: an extrapolation, for the work is the same for each part.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, Figures
from fraud_ml.artifacts import digest_of, file_digest

_RUN = [sys.executable, "-m", "fraud_ml", "simulate", "motor", "--seed", "7", "--json"]


def run(*, quick: bool) -> Figures:
    claims = 100_000 if quick else 1_000_000
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-simulator."))
    try:
        runs = [_simulated(claims, home / str(number)) for number in range(2)]
        small = _simulated(claims // 10, home / "small")
        files = sorted((home / "0" / "log").iterdir())
        rows = sum(_rows(file) for file in files)
        stored = sum(file.stat().st_size for file in files)
        same = len({_digest(home / str(number)) for number in range(2)}) == 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    seconds = [second for second, _ in runs]
    return {
        "claims_per_s": Figure.median_of(
            [claims / s for s in seconds], "1/s", note=f"{claims:,} claims, truth included"
        ),
        "rows_per_s": Figure.median_of([rows / s for s in seconds], "1/s"),
        "peak_gib": Figure.median_of([peak for _, peak in runs], "GiB"),
        "peak_growth": Figure(round(runs[0][1] / small[1], 3), "ratio", peer="a tenth of the claims"),
        "bytes_per_row": Figure(round(stored / rows, 1), "B"),
        "ten_million_s": Figure.median_of([s / claims * 1e7 for s in seconds], "s", note="extrapolated"),
        "replay_identical": Figure(float(same), "bool"),
    }


def _simulated(claims: int, place: Path) -> tuple[float, float]:
    """Return seconds and peak GiB of one process that writes `claims` into place/log."""
    place.mkdir()
    out = ["--claims", str(claims), "--out", str(place / "log"), "--truth", str(place / "truth.parquet")]
    silent = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    begin = time.perf_counter()
    pid = os.posix_spawn(sys.executable, [*_RUN, *out], dict(os.environ), file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"the simulation of {claims:,} claims ended with status {status}")
    return time.perf_counter() - begin, usage.ru_maxrss / 2**20


def _rows(file: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(file).num_rows)


def _digest(place: Path) -> str:
    return digest_of({path.name: file_digest(path) for path in place.rglob("*") if path.is_file()})
