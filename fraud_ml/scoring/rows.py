"""Score the claims of one Parquet file into another: a batch at a time, several at once, in the order they stand in.

Nothing of a claim goes out but its key, when it happened, and what the model says. The key is the contract's (it is
never personal); personal features are opened in memory, for the model alone.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fraud_ml.contract import Contract
from fraud_ml.data.sealing import columns_to_open, open_columns
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.data.tables import EVENT_TIME
from fraud_ml.errors import BadInput
from fraud_ml.models.coding import Coder, decode
from fraud_ml.models.family import Coded
from fraud_ml.models.reasons import Reasons, readable
from fraud_ml.scoring.model import BatchModel

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

BATCH = 32_768  # claims decoded, scored and written at once
PROBABILITY, FLAGGED, VERSION, CANDIDATE = "probability", "to_investigate", "model_version", "candidate_digest"
REASONS = "reasons"


@dataclass(frozen=True)
class Counts:
    claims: int
    flagged: int


class RowScorer:
    """One model over the files of one fold."""

    def __init__(
        self, model: BatchModel, contract: Contract, keys: SnapshotKeys, *, reasons: int, at_once: int = 0
    ) -> None:
        """reasons: how many at most, of claims to be investigated; at_once: batches in work; 0: one a processor."""
        self.model, self.contract, self.keys = model, contract, keys
        self.coder = Coder(model.predictor.inputs)
        self.features = list(model.predictor.inputs.names)
        made = {column.name for column in contract.network_features}
        self.connected = [name for name in self.features if name in made]  # these the log tells, not the claim's row
        self.own = [name for name in self.features if name not in made]
        self.at_once = at_once or len(os.sched_getaffinity(0))
        self.most_reasons = reasons
        lacking = [name for name in self.own if name not in contract.names]
        if lacking:
            raise BadInput(
                f"the model takes column `{lacking[0]}`, which the contract of `{contract.dataset}` does not declare",
                next_step="score with a model of this contract",
                column=lacking[0],
            )
        self.reasons = Reasons([contract.column(name).title or readable(name) for name in self.features])

    def score(self, claims: Path, target: Path, network: Path | None = None) -> Counts:
        """Write the scores of the claims in `claims` (a fold's file) to `target`, in the same order.

        network: the same claims' network columns (features/network); only a model that takes some needs them.
        """
        from pyarrow import parquet

        total = flagged = 0
        with parquet.ParquetWriter(
            target,
            self._schema(),
            compression="zstd",
            compression_level=1,
            use_dictionary=[VERSION, CANDIDATE, "reasons.list.element"],
        ) as writer:
            for scored in self._scored(claims, network):
                writer.write_table(scored, row_group_size=BATCH)
                total += scored.num_rows
                flagged += int(scored[FLAGGED].to_numpy().sum())
        return Counts(total, flagged)

    def _scored(self, claims: Path, network: Path | None) -> "Iterator[pa.Table]":
        """Yield each batch's scores, in order, while the next ones are worked on."""
        waiting: deque[Future[pa.Table]] = deque()
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                for batch, beside in self._batches(claims, network):
                    waiting.append(pool.submit(self._answer, batch, beside))
                    if len(waiting) > self.at_once:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for left in waiting:
                    left.cancel()

    def _batches(self, claims: Path, network: Path | None) -> "Iterator[tuple[pa.RecordBatch, pa.Table | None]]":
        """Yield some claims at a time, and beside them their network columns, if the model takes any."""
        from pyarrow import parquet

        words = [column.name for column in self.model.predictor.inputs.categories]
        wanted = [self.contract.key, EVENT_TIME, *columns_to_open(self.contract, self.own)]
        file = parquet.ParquetFile(claims, read_dictionary=words, pre_buffer=True)
        beside = self._network_of(claims, network) if self.connected else None
        done = 0
        for batch in file.iter_batches(batch_size=BATCH, columns=list(dict.fromkeys(wanted))):
            if batch.num_rows:
                yield batch, None if beside is None else beside.slice(done, batch.num_rows)
                done += batch.num_rows

    def _network_of(self, claims: Path, network: Path | None) -> "pa.Table":
        """Return the model's network columns of a whole file, in its order."""
        from pyarrow import parquet

        if network is None:
            raise BadInput(
                "the model takes what the network of parties tells, and it was not computed",
                next_step="score the snapshot, whose log rows tell it",
                column=self.connected[0],
            )
        key = self.contract.key
        found = parquet.read_table(network, columns=[key, *self.connected])
        asked = parquet.read_table(claims, columns=[key])[key]
        if not found[key].cast(asked.type).equals(asked):
            raise BadInput(
                "the network columns are those of other claims", expected="the fold's claims, in its order", column=key
            )
        return found.select(self.connected)

    def _answer(self, batch: "pa.RecordBatch", beside: "pa.Table | None") -> "pa.Table":
        import pyarrow as pa

        opened = open_columns(pa.Table.from_batches([batch]), self.contract, self.keys, self.own)
        if beside is not None:
            for name in self.connected:
                opened = opened.append_column(name, beside[name])
        coded = self.coder.code_batch(opened.combine_chunks().to_batches()[0])
        probabilities = self.model.predictor.opened.answer_coded(coded)
        if not np.isfinite(probabilities).all():
            raise BadInput(
                "the model's answers are no probabilities",
                arrived=f"{int((~np.isfinite(probabilities)).sum())} of {len(probabilities)} not finite",
                next_step="train it again",
            )
        at = np.inf if self.model.threshold is None else self.model.threshold
        return pa.table(
            [
                batch.column(self.contract.key),
                batch.column(EVENT_TIME).cast(pa.timestamp("us")),
                pa.array(probabilities),
                pa.array(probabilities >= at),
                self._why(coded, probabilities >= at),
                _constant(self.model.version, len(probabilities)),
                _constant(self.model.candidate.digest, len(probabilities)),
            ],
            schema=self._schema(),
        )

    def _why(self, coded: Coded, flagged: "NDArray[np.bool_]") -> "pa.Array":
        """Return the reasons of the claims that are to be investigated, none for the others."""
        import pyarrow as pa

        counts, places = np.zeros(len(flagged), np.int32), np.zeros(0, np.int32)
        if self.most_reasons and flagged.any():
            told = decode(Coded(coded.cells[flagged], coded.numbers[flagged]), self.model.predictor.inputs)
            places, counts[flagged] = self.reasons.of(self.model.predictor.opened.explain(told), self.most_reasons)
        words = pa.array(self.reasons.said, pa.string()).take(pa.array(places))
        return pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), words)

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        word = pa.dictionary(pa.int8(), pa.string())
        return pa.schema(
            [
                (self.contract.key, pa.string()),
                (EVENT_TIME, pa.timestamp("us")),
                (PROBABILITY, pa.float64()),
                (FLAGGED, pa.bool_()),
                (REASONS, pa.list_(pa.string())),
                (VERSION, word),
                (CANDIDATE, word),
            ]
        )


def _constant(word: str, rows: int) -> "pa.Array":
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), pa.array([word]))
