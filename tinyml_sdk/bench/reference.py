"""What the device's outputs are compared with: TFLM's interpreter, or the generated C built for this machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from ..firmware import Inspection, inspect_model
from .tflm_reference import TflmReference

__all__ = ["Reference", "TflmReference", "open_reference"]

Array = npt.NDArray[Any]


class Reference(Protocol):
    """Computes a model's outputs, and any tensor on the way to them."""

    name: str

    def run(self, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
        """The outputs of independent inferences; see `TflmReference.run`."""

    def intermediates(self, inputs: Sequence[Array], tensor_indices: Sequence[int]) -> list[Array]:
        """The values of computed tensors in one inference."""


def open_reference(model: Path, inspection: Inspection | None, stack: ExitStack) -> Reference:
    """The best reference there is on this machine; what must be closed goes on `stack`.

    Args:
        model: The .tflite file.
        inspection: The same, as generated C is made from it; read from the file where None and needed.
        stack: Whoever calls closes it.

    Raises:
        MissingToolError: neither the `tflite-micro` wheel nor a C compiler is installed.
    """
    if TflmReference.available():
        return TflmReference(model.read_bytes())
    # Imported here, as it is needed only without the wheel.
    from .host_reference import HostReference

    return stack.enter_context(HostReference(inspection or inspect_model(model)))
