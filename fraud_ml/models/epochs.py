"""The epochs of packed networks: one graph for the whole bag, and a state from which another process goes on alike."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.devices import Devices
from fraud_ml.models.encoder import Encoded
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.tensorflow_runtime import keras, tf
from fraud_ml.params import KerasTabularParams

WEIGHT_DECAY = 1e-4


class Epochs:
    """Networks while they learn. Claims' order depends on seed and epoch alone; other chance is part of the state.

    Of several devices, in whose scope `networks` were made, each learns from its share of every batch, and all take the
    same step.
    """

    def __init__(
        self,
        networks: PackedNetworks,
        claims: Encoded,
        labels: NDArray[np.int8],
        params: KerasTabularParams,
        seed: int,
        devices: Devices,
    ) -> None:
        self.networks, self.seed, self.done = networks, seed, 0
        self.strategy, replicas = devices.strategy, devices.strategy.num_replicas_in_sync
        self.rows = len(labels)
        self.share = max(min(params.batch_size, self.rows) // replicas, 1)
        self.size = self.share * replicas
        self._step = tf.function(self._learn_from, jit_compile=True) if devices.jit_compile else self._learn_from
        self.claims, self.labels = claims, tf.constant(labels.astype(np.float32))
        with self.strategy.scope():
            networks(Encoded(*(part[:1] for part in claims)))  # makes the variables
            self.optimizer = keras.optimizers.AdamW(params.learning_rate, weight_decay=WEIGHT_DECAY)
            self.optimizer.build(networks.trainable_variables)

    def run(self) -> None:
        """Learn from all claims once more; afterwards `done` is one higher."""
        order = np.random.default_rng([self.seed, self.done]).permutation(self.rows)
        self._run(tf.constant(order))
        self.done += 1

    def state(self) -> dict[str, NDArray]:
        """Return everything that the next epoch depends on: weights, optimizer, and dropout's counter."""
        held = {f"held/{place}": variable.numpy() for place, variable in enumerate(self._variables())}
        return {"done": np.array(self.done), **held}

    def go_on_from(self, state: Mapping[str, NDArray]) -> None:
        """Stand where `state` was taken."""
        for place, variable in enumerate(self._variables()):
            variable.assign(state[f"held/{place}"])
        self.done = int(state["done"])

    def _variables(self) -> list[keras.Variable]:
        return [*self.networks.variables, *self.optimizer.variables]

    @tf.function
    def _run(self, order: tf.Tensor) -> None:
        for batch in tf.range(self.rows // self.size):
            rows = order[batch * self.size : (batch + 1) * self.size]
            self.strategy.run(self._step, (rows,))

    def _learn_from(self, rows: tf.Tensor) -> None:
        """Take a step from this device's share of the batch; the devices' gradients are added."""
        here = tf.distribute.get_replica_context().replica_id_in_sync_group
        mine = rows[here * self.share : (here + 1) * self.share]
        variables = self.networks.trainable_variables
        with tf.GradientTape() as tape:
            picked = Encoded(*(tf.gather(part, mine) for part in self.claims))
            logits = self.networks.member_logits(picked, training=True)
            truth = tf.broadcast_to(tf.gather(self.labels, mine), tf.shape(logits))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=truth, logits=logits)
            loss = tf.reduce_mean(losses) / self.strategy.num_replicas_in_sync
        self.optimizer.apply(tape.gradient(loss, variables), variables)
