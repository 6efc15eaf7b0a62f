"""A dataset's contract: what its columns are, what they are for, when a claim happened, and what its label means.

One folder under expectations/ is one line of business; its contract.yaml is read here. Code never names a column.

columns.py      one column
sections.py     what the contract says of source, times, label, landing and people
checks.py       what it tells validation
network.py      the parties of a claim, and the columns made of them
line.py         the whole
soundness.py    the whole held against itself
reading.py      from its file
"""

from fraud_ml.contract.checks import Checks, KnownChange, Sense
from fraud_ml.contract.columns import SEALED, Column, Kind, Role
from fraud_ml.contract.line import Contract
from fraud_ml.contract.network import RING_SCORE, Network
from fraud_ml.contract.reading import CONTRACT_FILE, load_contract
from fraud_ml.contract.sections import (
    BadRows,
    Bounds,
    Erasure,
    EventKinds,
    Investigation,
    Label,
    Landing,
    Mentions,
    Offsets,
    RecordingStopped,
    Schedule,
    Slice,
    Source,
    Split,
    Times,
)

__all__ = [
    "CONTRACT_FILE",
    "RING_SCORE",
    "SEALED",
    "BadRows",
    "Bounds",
    "Checks",
    "Column",
    "Contract",
    "Erasure",
    "EventKinds",
    "Investigation",
    "Kind",
    "KnownChange",
    "Label",
    "Landing",
    "Mentions",
    "Network",
    "Offsets",
    "RecordingStopped",
    "Role",
    "Schedule",
    "Sense",
    "Slice",
    "Source",
    "Split",
    "Times",
    "load_contract",
]
