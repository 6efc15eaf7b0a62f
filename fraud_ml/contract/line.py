"""A line of business: the whole of one contract."""

from typing import Annotated

from pydantic import Field

from fraud_ml.contract.checks import Checks
from fraud_ml.contract.columns import Column, Role
from fraud_ml.contract.network import Network, network_columns
from fraud_ml.contract.sections import Erasure, Label, Landing, Schedule, Slice, Source, Split, Times
from fraud_ml.documents import Document
from fraud_ml.errors import BadInput


class Contract(Document):
    """A line of business."""

    dataset: str
    title: str
    owner: str
    source: Source = Source()
    key: str
    times: Times
    label: Label
    schedule: Schedule
    split: Split = Split()
    landing: Landing = Landing()
    erasure: Erasure | None = None  # absent where the source identifies nobody
    group: str | None = None  # the column that names who claims: claims of one claimant are not independent
    amount: str | None = None  # the column that says what a claim costs, in one currency
    slices: tuple[Slice, ...] = ()  # whom the evaluation tells apart
    checks: Checks = Checks()
    network: Network | None = None  # absent where nothing is learned from who is connected with whom
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    @property
    def features(self) -> tuple[Column, ...]:
        """The source's columns that reach a model."""
        return tuple(column for column in self.columns if column.role is Role.FEATURE)

    @property
    def network_features(self) -> tuple[Column, ...]:
        """The columns that the features stage adds; none without a `network` section.

        Raises BadInput when a party's column is not among `columns`, which `load_contract` rules out.
        """
        if self.network is None:
            return ()
        return network_columns(self.network, {column.name: column for column in self.columns})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def personal(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.personal)

    def column(self, name: str) -> Column:
        """Return the column of this name: the source's, or one made of `network`. Raises BadInput for any other."""
        found = next((column for column in self.columns if column.name == name), None)
        found = found or next((column for column in self.network_features if column.name == name), None)
        if found is None:
            raise BadInput(
                f"the contract of `{self.dataset}` knows no column `{name}`",
                next_step=f"declare `{name}`, or correct it",
                column=name,
            )
        return found

    def separator(self, name: str) -> str:
        """Return what stands between several values in a cell of the column; empty where a cell holds one."""
        mentions = self.erasure.mentions.get(name) if self.erasure else None
        return mentions.joined_by if mentions else self.column(name).joined_by

    def nobody(self, name: str) -> tuple[str, ...]:
        """Return the words by which the column says that it names none."""
        mentions = self.erasure.mentions.get(name) if self.erasure else None
        return (*self.column(name).nothing, *(mentions.nobody if mentions else ()))
