"""Run alone (`python -I child.py <program> <model folder>`): open the model, ask its golden claims, print the answer.

Nothing here may import fraud_ml, and nothing can: the first thing done is to make that fail, and to see it fail.
"""

import json
import resource
import runpy
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path


class _Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        if name.partition(".")[0] == "fraud_ml":
            raise ModuleNotFoundError(f"{name} does not exist here", name=name)


def main(program: str, folder: str) -> dict[str, object]:
    """Return the answers, and what they took; or what went wrong, without a claim's values."""
    sys.meta_path.insert(0, _Refuse())
    try:
        import fraud_ml  # noqa: F401

        return {"problem": "fraud_ml could be imported"}
    except ModuleNotFoundError:
        pass
    try:
        answer = runpy.run_path(program)["open_model"](Path(folder))
        golden = json.loads((Path(folder) / "golden.json").read_text(encoding="utf-8"))
        probabilities = [float(value) for value in answer(golden["claims"])]
    except Exception as error:
        return {"problem": f"the model could not be opened or asked ({type(error).__name__})"}
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "probabilities": probabilities,
        "memory_mib": _peak_kib() / 1024,
        "cpu_s": spent.ru_utime + spent.ru_stime,
    }


def _peak_kib() -> float:
    """Return this program's own peak; getrusage's would hold that of the process it was forked from."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])), flush=True)
