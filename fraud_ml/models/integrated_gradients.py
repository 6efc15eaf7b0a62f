"""What each column adds to a network's log-odds: integrated gradients from the average training claim to the claim.

Source: Sundararajan, Taly & Yan 2017. The integral is taken by Gauss and Legendre's rule at a few points of the way.
The networks bend between them, so contributions add up to the log-odds but for a rest: below 0.1 (the contract suite).
"""

import numpy as np

from fraud_ml.models.centre import Centre
from fraud_ml.models.encoder import Encoded
from fraud_ml.models.networks import PackedNetworks
from fraud_ml.models.tensorflow_runtime import tf

POINTS = 16


def integrated_gradients(networks: PackedNetworks, claims: Encoded, centre: Centre) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the centre's log-odds () and contributions (n, n_categories + n_numbers); a cross counts half for each."""
    categories, size = claims.cells.shape[1], networks.embedding.output_dim
    usual_words = tf.reshape(tf.matmul(centre.words, networks.embedding.embeddings), (-1,))
    usual = tf.concat([usual_words[: categories * size], centre.numbers, centre.crosses], axis=0)
    way = networks.values_of(claims) - usual
    points, weights = (part.astype(np.float32) / 2 for part in np.polynomial.legendre.leggauss(POINTS))
    here = tf.reshape(usual + (points + 0.5)[:, None, None] * way, (-1, way.shape[1]))  # all points at once
    with tf.GradientTape() as tape:
        tape.watch(here)
        logits = tf.reduce_mean(networks.logits_of(here, training=False), axis=0)
    slopes = tf.reshape(tape.gradient(logits, here), (POINTS, -1, way.shape[1]))
    slopes = tf.reduce_sum(weights[:, None, None] * slopes, axis=0)
    words, numbers, crosses = tf.split(
        way * slopes, [categories * size, len(centre.numbers), len(centre.crosses)], axis=1
    )
    of_words = tf.reduce_sum(tf.reshape(words, (-1, categories, size)), axis=2) + tf.matmul(crosses, centre.halves)
    scaled, missing = tf.split(numbers, 2, axis=1)
    base = tf.reduce_mean(networks.logits_of(usual[None], training=False))
    return base, tf.concat([of_words, scaled + missing], axis=1)
