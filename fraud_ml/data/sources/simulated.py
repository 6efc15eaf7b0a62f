"""The simulator as a source: the claim log of an insurer that does not exist, as one delivery."""

import io
from collections.abc import Iterator
from datetime import date
from urllib.parse import parse_qsl

from fraud_ml.contract import Contract
from fraud_ml.data.sources.files import SourceTable, read_content
from fraud_ml.data.sources.port import Delivery
from fraud_ml.errors import BadInput
from fraud_ml.settings import Settings

_DEFAULTS = {"claims": "20000", "seed": "7", "from": "2023-01-01", "to": "2025-12-31"}  # as `fraud-ml simulate`


class SimulatedSource:
    """`simulator:?claims=20000&seed=7&from=2023-01-01&to=2025-12-31`; equal settings give equal claims."""

    is_stream = False

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:  # noqa: ARG002 - the table's shape
        given = dict(parse_qsl(address.removeprefix("simulator:").removeprefix("?"), keep_blank_values=True))
        if unknown := sorted(set(given) - set(_DEFAULTS)):
            raise BadInput(f"{address}: unknown setting `{unknown[0]}`", expected=f"of {', '.join(_DEFAULTS)}")
        self._contract = contract
        self._chosen = _DEFAULTS | given
        try:
            self._claims, self._seed = int(self._chosen["claims"]), int(self._chosen["seed"])
            self._begin, self._end = (date.fromisoformat(self._chosen[name]) for name in ("from", "to"))
        except ValueError:
            raise BadInput(
                f"{address}: not settings of the simulator", expected="claims=20000&seed=7&from=YYYY-MM-DD&to=…"
            ) from None

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the whole log of the simulated time."""
        name = "simulator:?" + "&".join(f"{key}={value}" for key, value in self._chosen.items())
        yield Delivery(name, lambda: self._read(name))

    def confirm(self, delivery: Delivery) -> None:
        """Nothing to do: the same settings give the same rows."""

    def close(self) -> None:
        """Nothing to do."""

    def _read(self, name: str) -> SourceTable:
        from fraud_ml.data.simulator import simulate

        rows = simulate(self._contract.dataset, claims=self._claims, seed=self._seed, begin=self._begin, end=self._end)
        content = io.BytesIO()
        rows.to_parquet(content, index=False)
        return read_content(f"{name}.parquet", content.getvalue(), self._contract, name=name)
