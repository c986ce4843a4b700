"""Runs in the worker: the float .tflite model, every activation readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FloatRunner", "Samples", "spread"]

Array = npt.NDArray[Any]
Samples = list[Array]  # one array (N, *shape without batch) for each input


class FloatRunner:
    """A model in TensorFlow Lite's float interpreter, every activation readable."""

    def __init__(self, content: bytes, samples: Samples) -> None:
        import tensorflow as tf

        # Delegates fuse layers, and then their tensors are never written.
        self._interpreter = tf.lite.Interpreter(
            model_content=content,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._interpreter.allocate_tensors()
        self._index = {detail["name"]: detail["index"] for detail in self._interpreter.get_tensor_details()}
        self._slots = [detail["index"] for detail in self._interpreter.get_input_details()]
        self.inputs = tuple(detail["name"] for detail in self._interpreter.get_input_details())
        self.outputs = tuple(detail["name"] for detail in self._interpreter.get_output_details())
        self._samples = samples
        self.count = len(samples[0])

    def run(self, index: int, names: Mapping[str, object]) -> Iterator[tuple[str, Array]]:
        """The named tensors for one sample; each array is a copy, with its batch of one."""
        for slot, array in zip(self._slots, self._samples, strict=True):
            self._interpreter.set_tensor(slot, array[index : index + 1])
        self._interpreter.reset_all_variables()  # samples do not continue one another
        self._interpreter.invoke()
        for name in names:
            yield name, self._interpreter.get_tensor(self._index[name])

    def constant(self, name: str) -> Array:
        """A copy of a constant."""
        values: Array = self._interpreter.get_tensor(self._index[name])
        return values

    def keep(self, names: Mapping[str, object], most: int) -> dict[str, Array]:
        """The named tensors for up to `most` samples spread over the calibration data, (samples, *shape)."""
        rows = [dict(self.run(index, names)) for index in spread(self.count, most)]
        return {name: np.stack([row[name] for row in rows]) for name in names}


def spread(count: int, most: int) -> list[int]:
    """Up to `most` positions spread evenly over `count`. The parent uses the same."""
    return [int(position) for position in np.linspace(0, count - 1, min(most, count)).round()]
