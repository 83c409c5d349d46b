"""Small models of TensorFlow whose answers can be told by heart."""

from __future__ import annotations

from pathlib import Path

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


class Kinds(tf.Module):  # type: ignore[misc]
    """Gives what it takes, of each type in another row and column order, and the length of what are bytes."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None, 2, 2], tf.uint8, "pixels"),
            tf.TensorSpec([None], tf.bool, "flag"),
            tf.TensorSpec([None, 2], tf.int64, "whole"),
            tf.TensorSpec([None, 3], tf.float64, "fine"),
            tf.TensorSpec([None], tf.string, "image_bytes"),
        ]
    )
    def __call__(
        self, pixels: tf.Tensor, flag: tf.Tensor, whole: tf.Tensor, fine: tf.Tensor, image_bytes: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {
            "inverted": 255 - pixels,
            "flipped": tf.logical_not(flag),
            "negative": -whole,
            "half": fine / 2,
            "size": tf.strings.length(image_bytes),
            "copy_bytes": image_bytes,
        }

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])  # type: ignore[untyped-decorator]
    def total(self, x: tf.Tensor) -> tf.Tensor:
        return tf.squeeze(x @ tf.ones((2, 1)), 1)


KINDS = {
    "pixels": np.array([[[0, 255], [1, 2]], [[3, 4], [5, 200]]], dtype=np.uint8),
    "flag": np.array([True, False]),
    "whole": np.array([[1, -(2**53) - 1], [2**62, 0]], dtype=np.int64),
    "fine": np.array([[0.1, 1e-300, 3], [-1, 2, 1 / 3]]),
    "image_bytes": np.array([b"\x89PNG\r\n\x1a\n\xff\x00", b"text"], dtype=object),
}
"""Two rows for :class:`Kinds`."""


def of_examples(folder: Path) -> Path:
    """A SavedModel with signatures to classify and to regress, as estimators have made them; its feature is ``x``."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as running:
        serialized = v1.placeholder(tf.string, [None], "examples")
        x = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([2], tf.float32)})["x"]
        scores = tf.nn.softmax(x)
        classes = tf.tile(tf.constant([["left", "right"]]), [tf.shape(x)[0], 1])
        total = tf.reduce_sum(x, axis=1, keepdims=True)
        made = v1.saved_model.Builder(str(folder))
        define = v1.saved_model.signature_def_utils
        made.add_meta_graph_and_variables(
            running,
            ["serve"],
            signature_def_map={
                "serving_default": define.predict_signature_def({"examples": serialized}, {"total": total}),
                "classify": define.classification_signature_def(serialized, classes, scores),
                "regress": define.regression_signature_def(serialized, total),
            },
        )
        made.save()
    return folder
