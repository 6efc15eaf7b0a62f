"""Several small networks, computed side by side, over encoded claims."""

import numpy as np

from fraud_ml.models.encoder import Encoded
from fraud_ml.models.tensorflow_runtime import keras, tf
from fraud_ml.params import KerasTabularParams


class PackedDense(keras.layers.Layer):
    """`members` dense layers side by side: (1 or members, n, width) -> (members, n, units)."""

    def __init__(self, members: int, units: int, bias: float = 0.0, precision: str = "float32") -> None:
        super().__init__(dtype=precision)
        self.members, self.units, self.first_bias = members, units, bias

    def build(self, shape: tuple[int, ...]) -> None:
        farthest = float(np.sqrt(6 / (shape[-1] + self.units)))  # Glorot & Bengio 2010, for each member by itself
        spread = keras.initializers.RandomUniform(-farthest, farthest)
        self.kernel = self.add_weight(shape=(self.members, shape[-1], self.units), initializer=spread, name="kernel")
        start = keras.initializers.Constant(self.first_bias)
        self.bias = self.add_weight(shape=(self.members, 1, self.units), initializer=start, name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.matmul(inputs, self.kernel) + self.bias


class PackedNetworks(keras.Model):
    """Encoded claims to log-odds: (n,) averaged over members, or (members, n) from `member_logits`.

    The members share one embedding and differ in everything after it. They start from `prior`, the training window's
    log-odds of fraud, so that rare fraud needs no weights.
    """

    def __init__(self, n_cells: int, prior: float, params: KerasTabularParams, precision: str = "float32") -> None:
        """precision: the Keras dtype policy of the hidden layers until `compute_exactly`; weights are float32."""
        super().__init__()
        spread = keras.initializers.RandomNormal(stddev=0.3)
        self.embedding = keras.layers.Embedding(max(n_cells, 1), params.embedding_size, embeddings_initializer=spread)
        self.hidden = [PackedDense(params.members, units, precision=precision) for units in params.hidden_units]
        self.dropout = keras.layers.Dropout(params.dropout)
        self.head = PackedDense(params.members, 1, bias=prior)

    def member_logits(self, claims: Encoded, training: bool) -> tf.Tensor:
        return self.logits_of(self.values_of(claims), training)

    def values_of(self, claims: Encoded) -> tf.Tensor:
        """Return (n, width): the words' embeddings, one after the other, then numbers, then crosses."""
        width = claims.cells.shape[1] * self.embedding.output_dim
        embedded = tf.reshape(self.embedding(claims.cells), (-1, width)) if width else claims.numbers[:, :0]
        return tf.concat([embedded, claims.numbers, claims.crosses], axis=1)

    def logits_of(self, values: tf.Tensor, training: bool) -> tf.Tensor:
        values = values[None]
        for layer in self.hidden:
            values = self.dropout(tf.nn.relu(layer(values)), training=training)
        return self.head(values)[..., 0]

    def compute_exactly(self) -> None:
        """Afterwards all layers compute in float32, as whoever serves them does."""
        for layer in self.hidden:
            layer.dtype_policy = "float32"

    def call(self, claims: Encoded, training: bool = False) -> tf.Tensor:
        return tf.reduce_mean(self.member_logits(claims, training), axis=0)
