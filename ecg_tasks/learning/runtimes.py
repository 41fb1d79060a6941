"""Here: the two runtimes that serve networks, LiteRT and ONNX Runtime, behind one face. Not here: what goes in or comes out (``serving``).

Neither needs TensorFlow, and each is imported only where a network of its kind is loaded.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ModelRefusedError

LITERT = "model.tflite"
ONNX = "model.onnx"
"""Names of a network's file in a version, which say what runs it."""
_STDERR = 2
_NOTICE = b"INFO: "
_ANSWERS = frozenset(("float", "float16", "float32", "double", "float64"))
"""Kinds of numbers that a network may answer, as either runtime calls them."""


class Runtime(Protocol):
    """A network that is loaded.

    ``shape`` is that of one window, None for a length that the file leaves open; ``batch`` is how many windows it takes at a time, None
    for any number; ``n_values`` are the numbers that it answers for a window.
    """

    shape: tuple[int | None, ...]
    batch: int | None
    dtype: "np.dtype[Any]"
    n_values: int

    def prepare(self, batch: int, shape: tuple[int, ...]) -> None:
        """Make ready for so many windows of this shape at a time."""

    def __call__(self, windows: NDArray[Any]) -> NDArray[Any]:
        """Return the answer to as many windows as were prepared for, shape (batch, n_values)."""


def load(name: str, network: bytes, *, n_threads: int = 1, optimized: bool = True) -> Runtime:
    """Load a network from the bytes of its file in a version.

    Parameters
    ----------
    name : of the file
    optimized : False for a graph that is run as it is written, where the runtime can

    Raises
    ------
    ModelRefusedError
        If it cannot be loaded, is not of one input and one output, or answers whole numbers.
    """
    return _Onnx(network, n_threads=n_threads, optimized=optimized) if name == ONNX else _LiteRt(network, n_threads=n_threads)


_redirecting = threading.Lock()


@contextmanager
def _notices_logged() -> Iterator[None]:
    """Log what LiteRT writes on standard error as a notice, which Airflow would take for an error; everything else goes there.

    It begins notices with ``INFO:``, such as that it created a delegate, and no call of its Python package makes it quiet.
    """
    with _redirecting, os.fdopen(os.memfd_create("notices"), "w+b") as held:
        before = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(before, _STDERR)
            os.close(before)
            held.seek(0)
            for line in held:
                if line.startswith(_NOTICE):
                    logging.getLogger(__name__).debug("LiteRT: %s", line.removeprefix(_NOTICE).decode(errors="replace").strip())
                else:
                    os.write(_STDERR, line)


class _LiteRt:
    def __init__(self, network: bytes, *, n_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter: Any = Interpreter(model_content=network, num_threads=n_threads)
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            raise ModelRefusedError(f"{LITERT} cannot be loaded: {error}") from None
        _check_single(LITERT, inputs, outputs)
        _check_answer(LITERT, np.dtype(outputs[0]["dtype"]).name)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        sizes = inputs[0]["shape_signature"]
        self.batch = _size(sizes[0]) if len(sizes) else 1
        self.shape = tuple(_size(size) for size in sizes[1:])
        self.dtype = np.dtype(inputs[0]["dtype"])
        self.n_values = int(np.prod([int(size) for size in outputs[0]["shape_signature"][1:]]))

    def prepare(self, batch: int, shape: tuple[int, ...]) -> None:
        """Make ready for so many windows of this shape at a time."""
        try:
            self._interpreter.resize_tensor_input(self._input, (batch, *shape))
            with _notices_logged():
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelRefusedError(f"{LITERT} cannot be loaded: {error}") from None

    def __call__(self, windows: NDArray[Any]) -> NDArray[Any]:
        """Return the answer to as many windows as were prepared for."""
        self._interpreter.set_tensor(self._input, windows)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output)).reshape(len(windows), -1)


class _Onnx:
    def __init__(self, network: bytes, *, n_threads: int, optimized: bool) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what is wrong is an exception, or no matter of ours
        level = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
        try:
            self._session: Any = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its own kinds of exception have no common base
            raise ModelRefusedError(f"{ONNX} cannot be loaded: {error}") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_single(ONNX, inputs, outputs)
        _check_answer(ONNX, outputs[0].type.removeprefix("tensor(").removesuffix(")"))
        self._input = inputs[0].name
        sizes = inputs[0].shape
        self.batch = _size(sizes[0]) if sizes else 1
        self.shape = tuple(_size(size) for size in sizes[1:])
        self.dtype = np.dtype({"tensor(uint8)": np.uint8, "tensor(float)": np.float32}.get(inputs[0].type, np.object_))
        answer = [_size(size) for size in outputs[0].shape[1:]]
        if None in answer:
            raise ModelRefusedError(f"{ONNX} does not say how many numbers it answers: {outputs[0].shape}")
        self.n_values = int(np.prod([size or 0 for size in answer]))

    def prepare(self, batch: int, shape: tuple[int, ...]) -> None:
        """Need nothing: any number of windows may come."""

    def __call__(self, windows: NDArray[Any]) -> NDArray[Any]:
        """Return the answer to so many windows."""
        (answer,) = self._session.run(None, {self._input: windows})
        return np.asarray(answer).reshape(len(windows), -1)


def _check_single(name: str, inputs: Any, outputs: Any) -> None:
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelRefusedError(f"{name} has {len(inputs)} inputs and {len(outputs)} outputs; one of each is known here")


def _check_answer(name: str, kind: str) -> None:
    if kind not in _ANSWERS:
        raise ModelRefusedError(f"{name} answers {kind}; it must be float, as whole numbers are steps of some scale, or names")


def _size(size: Any) -> int | None:
    """Return a size of a shape; None for one that is open, which has a name, or is negative."""
    return int(size) if not isinstance(size, str) and size is not None and int(size) > 0 else None
