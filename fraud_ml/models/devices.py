"""What networks learn on: one device, or several that take each step together; and what is left to a GPU alone."""

from dataclasses import dataclass, field
from typing import Any

from fraud_ml.models.tensorflow_runtime import tf
from fraud_ml.params import KerasTabularParams


@dataclass(frozen=True)
class Devices:
    """A `tf.distribute` strategy, in whose scope networks are made; the Keras dtype policy of hidden layers; XLA."""

    strategy: Any = field(default_factory=tf.distribute.get_strategy)
    precision: str = "float32"
    jit_compile: bool = False

    @classmethod
    def visible(cls, params: KerasTabularParams) -> "Devices":
        """Return what the params ask for, of what this process sees.

        Without a GPU there is no mixed precision, which a CPU only emulates, and no XLA, with which a CPU took 10 to 50
        times as long. `mirrored` takes every GPU, or else every logical CPU. TensorFlow is set up from now on.
        """
        gpus = tf.config.list_logical_devices("GPU")
        precision = "mixed_bfloat16" if gpus and params.mixed_precision_on_gpu else "float32"
        jit_compile = bool(gpus) and params.jit_compile_on_gpu
        if params.strategy == "one_device":
            return cls(precision=precision, jit_compile=jit_compile)
        names = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
        return cls(tf.distribute.MirroredStrategy(names), precision, jit_compile)
