"""How anybody opens an exported random forest: skops, its calibration, and the order of its columns. Stand-alone."""

import json
import math

LEAST = 1e-3  # probabilities are kept this far from 0 and 1 before log-odds are taken
TRUSTED = ["numpy.dtype", "sklearn.tree._tree.Tree"]


def open_model(folder):  # type: ignore[no-untyped-def]
    """Return a function of {column: list of text or numbers} to probabilities; None is missing."""
    import numpy as np
    import skops.io

    pipeline = skops.io.load(folder / "forest.skops", trusted=TRUSTED)
    calibration = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))["columns"]
    ordered = sorted(inputs, key=lambda column: column["kind"] != "category")  # categories first, each in their order

    def answer(claims):  # type: ignore[no-untyped-def]
        columns = [
            [("" if column["kind"] == "category" else math.nan) if value is None else value for value in given]
            for column in ordered
            for given in [claims[column["name"]]]
        ]
        arrays = [
            np.array(values, dtype=object if column["kind"] == "category" else np.float32).astype(object)
            for column, values in zip(ordered, columns, strict=True)
        ]
        raw = np.clip(pipeline.predict_proba(np.stack(arrays, axis=1))[:, 1], LEAST, 1 - LEAST)
        logits = calibration["slope"] * np.log(raw / (1 - raw)) + calibration["intercept"]
        return 1 / (1 + np.exp(-logits))

    return answer
