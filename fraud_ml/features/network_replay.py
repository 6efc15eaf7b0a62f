"""The slow way to a claim's network columns: plain pandas over the log's rows, cut at the claim's own moment.

It shares nothing with features/network but the contract and the definitions there, so that the two can disagree.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from fraud_ml.contract import Contract, Network
from fraud_ml.data.sealing import ERASED

if TYPE_CHECKING:
    import pandas as pd

_MOST_WALKED = 20  # a party with more earlier claims is not walked through
_UNIT = 1_000_000_000
_FROM_PARTIES_PERCENT = 85


class NetworkReplay:
    """The rows of a log, asked about one claim at a time."""

    def __init__(self, rows: "pd.DataFrame", contract: Contract, network: Network) -> None:
        """rows: every row known of any claim, with its parties in plain, sorted by `recorded_at`."""
        self._contract, self._network = contract, network
        self._rows = rows.reset_index(drop=True)
        self._moments = self._rows["recorded_at"].to_numpy()
        self._first = self._rows.drop_duplicates(contract.key).reset_index().set_index(contract.key)["index"]
        self._codes = self._rows[contract.key].factorize()[0]
        self._named = self._parties_of_rows()
        self._heard: dict[Any, tuple[pd.Series[Any], pd.Series[Any]]] = {}

    def of(self, key: str) -> dict[str, float]:
        """Return the claim's network columns by name, from the rows recorded before its first one."""
        place = int(self._first[key])
        moment = self._moments[place]
        own = self._rows_named(place, place + 1)
        if own.empty:
            return {column.name: np.nan for column in self._contract.network_features}
        known = int(np.searchsorted(self._moments, moment, side="left"))
        links, outcomes = self._links(known, moment), self._outcomes(known)
        found: dict[str, float] = {}
        for name in self._network.parties:
            parties = own.loc[own["column"] == name, "party"]
            told = outcomes.reindex(links.loc[links["party"].isin(parties), "claim"]).to_numpy()
            frauds, decided = float((told == 1).sum()), float((told >= 0).sum())
            found[f"network_{name}_claims"] = float(len(told)) if len(parties) else np.nan
            found[f"network_{name}_confirmed"] = frauds if len(parties) else np.nan
            found[f"network_{name}_fraud_share"] = frauds / decided if decided else np.nan
        kinds = self._reached(own, links)
        found |= {f"network_{kind}_reached": float((kinds == kind).sum()) for kind in self._network.kinds}
        return {**found, "network_ring_score": self._ring_score(own, moment)}

    def _parties_of_rows(self) -> "pd.DataFrame":
        """Return one line for each party that a row names: row (its place), claim, column, kind, party (a code)."""
        import pandas as pd

        lines = []
        for name, kind in self._network.parties.items():
            cells = self._rows[name].dropna()
            if separator := self._contract.separator(name):
                cells = cells[~cells.isin(self._contract.nobody(name))].str.split(separator, regex=False).explode()
            nobody = ["", *self._contract.nobody(name)]
            if self._contract.erasure and name in self._contract.erasure.mentions:
                nobody.append(ERASED)
            cells = cells[~cells.isin(nobody)]
            lines.append(pd.DataFrame({"row": cells.index, "column": name, "kind": kind, "party": kind + " " + cells}))
        named = pd.concat(lines, ignore_index=True).drop_duplicates()
        named["claim"] = self._codes[named["row"]]
        named["party"] = pd.factorize(named["party"])[0]
        return named.sort_values("row", kind="stable", ignore_index=True)

    def _rows_named(self, begin: int, end: int) -> "pd.DataFrame":
        """Return the lines of the rows from place `begin` to before `end`."""
        first, last = np.searchsorted(self._named["row"].to_numpy(), [begin, end])
        return self._named.iloc[first:last]

    def _links(self, known: int, moment: Any) -> "pd.DataFrame":
        """Return claim, party and kind of each link in the first `known` rows that is no older than the window."""
        links = self._rows_named(0, known).drop_duplicates(["claim", "party"])
        oldest = moment - np.timedelta64(self._network.window_days, "D")
        return links[self._moments[links["row"]] >= oldest]

    def _outcomes(self, known: int) -> "pd.Series[Any]":
        """Return by claim what its last of the first `known` rows says: 1 fraud, 0 none, -1 nothing."""
        import pandas as pd

        label = self._rows[self._contract.label.column].iloc[:known]
        said = np.select(
            [label.isin(self._contract.label.positive), label.isin(self._contract.label.negative)], [1, 0], -1
        )
        told = pd.Series(said, index=self._codes[:known])
        return told[~told.index.duplicated(keep="last")]

    def _reached(self, own: "pd.DataFrame", links: "pd.DataFrame") -> "pd.Series[Any]":
        """Return the kinds of the other parties in the earlier claims of `own`'s parties, one entry a party."""
        size = links["party"].value_counts()
        walked = [party for party in own["party"] if size.get(party, 0) <= _MOST_WALKED]
        met = links[links["claim"].isin(links.loc[links["party"].isin(walked), "claim"])]
        return met[~met["party"].isin(own["party"])].drop_duplicates("party")["kind"]

    def _ring_score(self, own: "pd.DataFrame", moment: Any) -> float:
        month = moment.astype("datetime64[M]").astype(self._moments.dtype)
        if month not in self._heard:
            self._heard[month] = self._heard_by(month)
        score, claims = self._heard[month]
        parties = own["party"].unique()
        reached = [party for party in parties if party in score.index]
        steps = np.floor(score[reached] / np.sqrt(len(parties) * claims[reached].astype(float)))
        return float(steps.sum()) / _UNIT

    def _heard_by(self, month: Any) -> "tuple[pd.Series[Any], pd.Series[Any]]":
        """Return, by party, what it had heard of known frauds at the first instant of the month, and its claims."""
        import pandas as pd

        known = int(np.searchsorted(self._moments, month, side="left"))
        links, outcomes = self._links(known, month), self._outcomes(known)
        claims = links["party"].value_counts()
        root = np.sqrt((links["claim"].map(links["claim"].value_counts()) * links["party"].map(claims)).astype(float))
        frauds = outcomes.index[outcomes == 1]

        def passed_on(start: "pd.Series[Any]", source: str, target: str) -> "pd.Series[Any]":
            steps = np.floor(links[source].map(start) / root).dropna().astype("int64")
            return steps.groupby(links[target]).sum()

        first = passed_on(pd.Series(_UNIT, index=frauds), "claim", "party")
        second = passed_on(first, "party", "claim") * _FROM_PARTIES_PERCENT // 100
        second = second.add(pd.Series(_UNIT // 100 * (100 - _FROM_PARTIES_PERCENT), index=frauds), fill_value=0)
        return passed_on(second.astype("int64"), "claim", "party"), claims
