"""TensorFlow and Keras, imported so that equal runs give equal bits. Whoever needs them imports them from here.

Loading this module takes five seconds; family modules do, nothing else may.
"""

import os

# oneDNN chooses other kernels on other processors, and with them other low bits; it must be off before the import.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks: a GPU gains nothing and rounds differently

import keras
import tensorflow as tf

__all__ = ["keras", "make_deterministic", "number_alike", "tf"]

_NUMBERS = 100_000  # far more than a training or an export gives out


def make_deterministic(seed: int) -> None:
    """Afterwards everything that Keras and TensorFlow draw or add up depends on `seed` alone."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # the process already computed something: its threads stay, the bits are tested to be the same
        return


def number_alike() -> None:
    """Afterwards graph functions and tables get the numbers in their names that they get in every process here.

    TensorFlow counts what it ever named. A training that went on from a checkpoint named less than an undisturbed one,
    and what it exported would be other bytes of the same model: so the count goes on at the next round number.
    """
    from tensorflow.python.framework import ops  # there is no public way to it

    next_round = (ops.uid() // _NUMBERS + 1) * _NUMBERS
    while ops.uid() < next_round:  # ten milliseconds
        pass
