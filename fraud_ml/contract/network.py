"""Which columns name the parties of a claim, and which columns the features stage makes of them."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from fraud_ml.contract.columns import Column, Kind, Role
from fraud_ml.documents import Document
from fraud_ml.errors import BadInput

RING_SCORE = "ring_score"
_OF_A_PARTY = {
    "claims": "number of earlier claims",
    "confirmed": "number of earlier frauds",
    "fraud_share": "share of fraud in earlier claims",
}


class Network(Document):
    """Which columns name the parties of a claim, and how far back their other claims count (features/network)."""

    window_days: Annotated[int, Field(ge=1, le=36_525)]
    # column -> the kind of party that it names; columns of one kind name the same people, garages, …
    parties: Annotated[dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]], Field(min_length=1)]

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.parties.values()))


def network_columns(network: Network, declared: Mapping[str, Column]) -> tuple[Column, ...]:
    """Return the columns made of the parties, then of their kinds, then of the whole network.

    declared: the source's columns by name. Raises BadInput when one of the parties is not among them.
    """
    told: list[tuple[str, str, bool]] = []
    is_any_personal = False
    for name in network.parties:
        if name not in declared:
            raise BadInput(
                f"`network.parties` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
                column=name,
            )
        party = declared[name]
        of = party.title or name.removesuffix("_id").removesuffix("_ids").replace("_", " ")
        told += [(f"{name}_{what}", f"{words} of the same {of}", party.personal) for what, words in _OF_A_PARTY.items()]
        is_any_personal |= party.personal
    for kind in network.kinds:
        words = kind.replace("_", " ")
        told.append((f"{kind}_reached", f"number of parties ({words}) met in earlier claims", is_any_personal))
    told.append((RING_SCORE, "closeness to confirmed frauds", is_any_personal))
    return tuple(
        Column(name=f"network_{name}", kind=Kind.NUMBER, role=Role.FEATURE, personal=is_personal, title=title)
        for name, title, is_personal in told
    )
