"""How anybody opens an exported TensorFlow model: a SavedModel with one argument for each column. Stand-alone."""

import json
import math
import re


def open_model(folder):  # type: ignore[no-untyped-def]
    """Return a function of {column: list of text or numbers} to probabilities; None is missing."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder / "saved_model"))
    signature = loaded.signatures["serving_default"]
    inputs = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))["columns"]

    def answer(claims):  # type: ignore[no-untyped-def]
        given, taken = {}, set()
        for column in inputs:
            word = re.sub(r"\W", "_", column["name"], flags=re.ASCII)
            word = word if word[:1].isalpha() else f"column_{word}"
            number, argument = 2, word
            while argument in taken:
                argument, number = f"{word}_{number}", number + 1
            taken.add(argument)
            is_text = column["kind"] == "category"
            values = [("" if is_text else math.nan) if v is None else v for v in claims[column["name"]]]
            given[argument] = tf.constant(values, tf.string if is_text else tf.float32)
        return signature(**given)["probability"].numpy().tolist()

    answer.keeps = loaded  # type: ignore[attr-defined]  # a signature alone does not keep its variables alive
    return answer
