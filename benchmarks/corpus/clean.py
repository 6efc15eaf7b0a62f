"""Deliveries that nobody should stop: what changes in the life of an insurer whose claims are sound.

Each is a function from a scene to the scene and the file that arrive instead. Seasons come with the scenes themselves,
whose as-of dates lie in different months, and sampling with their seeds.
"""

import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.corpus.asking import claims_of, inputs_of, newest_claims, record_of
from benchmarks.corpus.faults.parquet_files import typed, written
from benchmarks.corpus.scenes import File, Scene, as_csv
from fraud_ml.contract import Checks, Column, Contract, Kind, KnownChange, Role

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CLEAN_SEEDS = {"tuning": (101, 102, 105, 303, 304, 305), "measuring": (505, 606, 707)}

Change = Callable[[Scene, "np.random.Generator"], tuple[Scene, File]]
CHANGES: dict[str, Change] = {}


def change(act: Change) -> Change:
    """Enter a function into the table of harmless changes under its own name."""
    CHANGES[act.__name__] = act
    return act


@change
def nothing(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    return scene, as_csv(scene.rows)


@change
def rows_in_another_order(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    return scene, as_csv(scene.rows.iloc[dice.permutation(len(scene.arriving))])


@change
def columns_in_another_order(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    return scene, as_csv(scene.rows[list(dice.permutation(scene.arriving.columns))])


@change
def growth(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """A third more claims than in the months before."""
    return replace(scene, history=_thinned(scene, scene.history, 0.75, dice)), as_csv(scene.rows)


@change
def fewer_claims(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """A fifth fewer."""
    return scene, as_csv(_thinned(scene, scene.arriving, 0.8, dice))


@change
def another_sample(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """Nine in ten of the claims, before and now."""
    return replace(scene, history=_thinned(scene, scene.history, 0.9, dice)), as_csv(
        _thinned(scene, scene.arriving, 0.9, dice)
    )


@change
def inflation(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """All amounts are two in a hundred higher; a deductible is chosen from a list, and stays."""
    rows = scene.rows
    for name in set(scene.line.amounts) & set(scene.line.measured):
        rows[name] = [f"{float(text) * 1.02:.2f}" if text else "" for text in rows[name]]
    if "claim_amount" in rows and "claim_amount_eur" in scene.line.amounts:  # one amount in two currencies
        rows["claim_amount"] = [f"{float(text) * 1.02:.2f}" if text else "" for text in rows["claim_amount"]]
    return scene, as_csv(rows)


@change
def new_column_by_contract(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """The source tells more than before, and the contract says since when."""
    contract = scene.contract
    told = Column(name="told_by", kind=Kind.CATEGORY, role=Role.CONTEXT, about="who reported the claim")
    known = KnownChange(column=told.name, since=scene.before, why="asked for in the new form")
    checks = contract.checks.model_copy(update={"known_changes": (*contract.checks.known_changes, known)})
    assert isinstance(checks, Checks)
    wider = contract.model_copy(update={"columns": (*contract.columns, told), "checks": checks})
    assert isinstance(wider, Contract)
    arriving = scene.rows.assign(told_by=dice.choice(["by phone", "online", "by letter"], len(scene.arriving)))
    return replace(scene, contract=wider, history=scene.history.assign(told_by="")), as_csv(arriving)


@change
def delivered_with_the_last_one(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """The file holds the last rows of the delivery before again, as they were."""
    import pandas as pd

    return scene, as_csv(pd.concat([scene.history.tail(200), scene.rows], ignore_index=True))


@change
def a_byte_order_mark_and_other_line_ends(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    text = scene.rows.to_csv(index=False, lineterminator="\r\n")
    return scene, File("delivery.csv", text.encode("utf-8-sig"))


@change
def requests_about_such_claims(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    """Callers ask about claims like the newest ones."""
    dataset, seed = scene.line.dataset, scene.seed
    asked = newest_claims(claims_of(dataset, seed), scene.as_of, int(dice.integers(200, 5_000)), dice)
    return replace(scene, served=record_of(dataset, asked, inputs_of(dataset, seed), scene.as_of)), as_csv(scene.rows)


@change
def packed(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    return scene, File("delivery.csv.gz", gzip.compress(as_csv(scene.rows).content, mtime=0))


@change
def as_parquet(scene: Scene, dice: "np.random.Generator") -> tuple[Scene, File]:
    return scene, File("delivery.parquet", written(typed(scene)))


def _thinned(scene: Scene, rows: "pd.DataFrame", share: float, dice: "np.random.Generator") -> "pd.DataFrame":
    """Return the rows of a random share of the claims, whole."""
    keys = rows[scene.line.key].unique()
    kept = set(keys[dice.random(len(keys)) < share])
    return rows[rows[scene.line.key].isin(kept)]
