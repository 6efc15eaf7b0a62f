"""Become a component: what supervisord runs, so that no secret stands in an argument and no orphan blocks a restart.

    python -m fraud_ml.stack.launch <home>/stack/run/<component>.json

Ends what an earlier incarnation of the component left behind (workers, log servers, daemons), marks the environment
and replaces itself by the component's program.
"""

import json
import os
import sys
from pathlib import Path

from fraud_ml.stack import processes

LEFTOVER_GRACE_S = 3.0


def main(order: Path) -> None:
    launch = json.loads(order.read_text(encoding="utf-8"))
    stack_id, component = launch["stack_id"], launch["component"]
    for leftover in processes.end(stack_id, component, grace_s=LEFTOVER_GRACE_S):
        print(f"stack: ended process {leftover.pid}, left behind by an earlier {component}", flush=True)
    os.umask(0o077)
    os.chdir(launch["folder"])
    os.execvpe(
        launch["command"][0],
        launch["command"],
        {
            **launch["environment"],
            processes.MARK: f"{stack_id}/{component}",
            "SPT_NOENV": "1",  # programs that rename themselves must not overwrite the mark (setproctitle)
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
