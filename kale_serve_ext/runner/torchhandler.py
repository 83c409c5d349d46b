"""TorchServe's handler of a program that this package has saved: tensors by name in, tensors by name out.

It lies in the model archive beside the program, and runs in TorchServe's worker, where this package need not be: it
needs torch alone. A request is what :func:`pack` makes of a message and arrays; so is the answer.
"""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np

_LONGEST = 500


def pack(message, arrays=()):  # type: ignore[no-untyped-def]  # Python of any age runs this
    """A message, as JSON, and arrays by name, as bytes."""
    told = [{"name": name, "dtype": array.dtype.str, "shape": list(array.shape)} for name, array in arrays]
    head = json.dumps({**message, "tensors": told}).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, *(np.ascontiguousarray(a).tobytes() for _, a in arrays)])


def unpack(data):  # type: ignore[no-untyped-def]  # as above
    """The reverse: the message, and the arrays by name."""
    size = int.from_bytes(data[:4], "little")
    message = json.loads(bytes(data[4 : 4 + size]))
    arrays, at = {}, 4 + size
    for one in message.pop("tensors"):
        dtype, shape = np.dtype(one["dtype"]), one["shape"]
        count = int(np.prod(shape, dtype=np.int64))
        # A copy: a module may write to what it is given.
        arrays[one["name"]] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += count * dtype.itemsize
    return message, arrays
