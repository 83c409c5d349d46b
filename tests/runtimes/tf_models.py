"""Small models of TensorFlow whose answers can be told by heart."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

FED = {
    "left": np.array([[1.5, 2, 3], [0, -1, 2]], dtype=np.float32),
    "right": np.array([[10, 2**40], [-3, 4]], dtype=np.int64),
}
"""Two rows for :func:`two_heads`."""


def two_heads() -> keras.Model:
    """Two inputs, ``left`` of numbers and ``right`` of whole ones; two outputs: a product, and the double."""
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right", dtype="int64")
    dense = keras.layers.Dense(1, name="score")
    model = keras.Model([left, right], [dense(left), keras.ops.add(right, right)])
    dense.set_weights([np.array([[1], [2], [-0.1]], dtype=np.float32), np.array([0.5], dtype=np.float32)])
    return model


class Lengths(tf.Module):  # type: ignore[misc]  # tensorflow has no types
    """A text and a number: the text's bytes times the number, the text itself, and whether it is long."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None], tf.float32, "scale")]
    )
    def __call__(self, text: tf.Tensor, scale: tf.Tensor) -> dict[str, tf.Tensor]:
        length = tf.strings.length(text)
        return {"length": tf.cast(length, tf.float32) * scale, "same": text, "long": length > 3}
