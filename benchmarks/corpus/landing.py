"""A scene's deliveries through landing and folding: log rows, and the claims that the fold leaves."""

from functools import cache
from typing import TYPE_CHECKING

from benchmarks.corpus.scenes import File, Scene, as_csv, scene
from fraud_ml.data.sources.files import read_content
from fraud_ml.data.tables import claim_schema, parse_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def land(place: Scene, file: File) -> "pa.Table":
    """Return the file's log rows. Raises BadInput as landing does."""
    return parse_rows(read_content(file.name, file.content, place.contract), place.contract, now=place.now)


def known_claims(place: Scene, rows: "list[pa.Table]") -> "pd.DataFrame":
    """Return the claims of these log rows as the fold leaves them."""
    import pyarrow as pa

    log = pa.concat_tables(rows).cast(claim_schema(place.contract)).to_pandas()
    log = log.sort_values("recorded_at", kind="stable").drop_duplicates(place.contract.key, keep="last")
    return log.sort_values(place.contract.key, ignore_index=True)


@cache
def history(dataset: str, seed: int) -> "pa.Table":
    """Return the log rows of a scene's history."""
    place = scene(dataset, seed)
    return land(place, as_csv(place.history))
