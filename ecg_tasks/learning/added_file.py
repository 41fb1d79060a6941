"""Here: whether the file of somebody else's network is what it should be and nothing more. Not here: loading it (``added_process``).

Nothing is unpickled, and no code of the file is run: a format that may hold code is refused, and of Keras's only the layers that are
listed here are let through. Bytes, ZIP and JSON are looked at first, by Python alone; what a native library has to parse is looked at
in a process of its own.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np

from ecg_tasks.errors import ModelRefusedError

MAX_FILE_BYTES = 256 * 2**20
"""Of the file, of what a ZIP archive holds, and of the weights."""
MAX_CONFIG_BYTES = 16 * 2**20
MAX_DEPTH = 100
"""Of a network's description: objects within one another."""
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LITERT = b"TFL3"
_PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

_LAYERS = """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D AveragePooling2D
BatchNormalization Bidirectional Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Cropping1D Cropping2D Dense DepthwiseConv1D
DepthwiseConv2D Dot Dropout ELU Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization Identity InputLayer LSTM LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D
Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute ReLU RepeatVector Rescaling Reshape SeparableConv1D
SeparableConv2D SimpleRNN Softmax SpatialDropout1D SpatialDropout2D Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D
ZeroPadding1D ZeroPadding2D
"""
KERAS_LAYERS = frozenset(_LAYERS.split())
"""Layers that compute, and do nothing else: none that holds a function, reads a file, or wraps another framework's."""
KERAS_MODELS = (
    ("keras.src.models.functional", "Functional"),
    ("keras", "Functional"),
    ("keras", "Sequential"),
    ("keras.models", "Sequential"),
)
_ACTIVATIONS = """
elu exponential gelu hard_sigmoid hard_swish hard_silu leaky_relu linear log_softmax mish relu relu6 selu sigmoid silu softmax softplus
softsign swish tanh
"""
KERAS_ACTIVATIONS = frozenset(_ACTIVATIONS.split())
KERAS_PARTS = frozenset(("keras.initializers", "keras.regularizers", "keras.constraints"))
"""Modules of which any class may be named: what they give is of use to a training alone."""
ONNX_DOMAINS = frozenset(("", "ai.onnx", "ai.onnx.ml"))


class Format(StrEnum):
    """What is taken. The values are stored."""

    KERAS = "keras"
    LITERT = "litert"
    ONNX = "onnx"


def format_of(data: bytes) -> Format:
    """Return the format of a network's file, by its content, after all that can be seen without loading it.

    Raises
    ------
    ModelRefusedError
        If it is too large, of no format that is taken, or holds what may run.
    """
    if not 0 < len(data) <= MAX_FILE_BYTES:
        raise ModelRefusedError(f"the file has {len(data):,} bytes; 1 to {MAX_FILE_BYTES:,} are taken")
    if data.startswith(_PICKLED):
        raise ModelRefusedError("the file is a pickle, which runs code when it is read: save the network as ONNX")
    if data.startswith(_HDF5):
        raise ModelRefusedError("the file is HDF5, as Keras 2 wrote it: load it there and save it as .keras")
    if data[4:8] == _LITERT:
        return Format.LITERT
    if zipfile.is_zipfile(io.BytesIO(data)):
        _check_keras(data)
        return Format.KERAS
    return Format.ONNX  # which has no mark of its own: it is that if it can be parsed


def _check_keras(data: bytes) -> None:
    """Refuse an archive that is no ``.keras`` file, or a network with anything but layers that are listed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = sorted(member.filename for member in members)
            if any(name.endswith((".pkl", ".pickle")) for name in names):
                raise ModelRefusedError("the file is an archive with a pickle in it, as PyTorch's are: save the network as ONNX")
            if names != [_CONFIG, _METADATA, _WEIGHTS]:
                raise ModelRefusedError(f"a .keras file holds {_CONFIG}, {_METADATA} and {_WEIGHTS}; this holds {', '.join(names)[:300]}")
            if (size := sum(member.file_size for member in members)) > MAX_FILE_BYTES:
                raise ModelRefusedError(f"the archive unpacks to {size:,} bytes; {MAX_FILE_BYTES:,} are taken")
            config = _member(archive, _CONFIG, MAX_CONFIG_BYTES)
            _member(archive, _WEIGHTS, MAX_FILE_BYTES)  # whose checksum is looked at
            _member(archive, _METADATA, MAX_CONFIG_BYTES)
        stored = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise ModelRefusedError(f"{_CONFIG} cannot be read: {error}") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise ModelRefusedError(f"the archive cannot be read: {error}") from None
    if not isinstance(stored, dict):
        raise ModelRefusedError(f"{_CONFIG} describes no network")
    network = {name: value for name, value in stored.items() if name != "compile_config"}  # which is never read
    if (network.get("module"), network.get("class_name")) not in KERAS_MODELS:
        raise ModelRefusedError(
            f"the network is a {network.get('module')}.{network.get('class_name')}; Functional and Sequential are taken"
        )
    for described in _objects(network, 0):
        if fault := _fault_of_keras(described):
            raise ModelRefusedError(f"the network has {fault}")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Read one member, and no more of it than its header says."""
    if archive.getinfo(name).file_size > most:
        raise ModelRefusedError(f"{name} unpacks to {archive.getinfo(name).file_size:,} bytes; {most:,} are taken")
    with archive.open(name) as file:
        return file.read(most + 1)


def _objects(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON document, at any depth."""
    if depth > MAX_DEPTH:
        raise ModelRefusedError(f"{_CONFIG} has more than {MAX_DEPTH} objects within one another")
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _objects(inner, depth + 1)


def _fault_of_keras(described: dict[str, Any]) -> str:
    """Return what Keras must not be asked to make of one object of a network's description, as the end of a sentence; nothing if it may."""
    if described.get("compile_config"):
        return "a part that is compiled"
    if "class_name" not in described:
        return ""
    module, name, registered = (described.get(part) for part in ("module", "class_name", "registered_name"))
    if not isinstance(name, str) or not isinstance(module, str | None):
        return f"a {module}.{name}, which is no name"
    if name == "function":
        config = described.get("config")
        known = module in ("builtins", "keras.activations") and isinstance(config, str) and config in KERAS_ACTIVATIONS
        return "" if known else f"a function {config!r} of {module!r}; activations of Keras are taken"
    if registered not in (None, name):
        return f"a class {registered!r} of its own"
    known = (
        (module in ("keras.layers", "keras") and name in KERAS_LAYERS)
        or (module, name) in KERAS_MODELS
        or (module in KERAS_PARTS and name.isidentifier())
        or (module, name) in {("keras", "DTypePolicy"), (None, "__keras_tensor__")}
    )
    return "" if known else f"a {module}.{name}, which is none of the layers that are taken"


def check_weights(data: bytes) -> int:
    """Look into the weights of a ``.keras`` file; returns how many numbers there are.

    Only in a process of its own: HDF5 is parsed by its library.

    Raises
    ------
    ModelRefusedError
        If anything in it lies in another file, is no plain number, or is larger than a network may be.
    """
    import h5py

    with zipfile.ZipFile(io.BytesIO(data)) as archive, h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r") as file:
        return _weights_in(file, 0)


def _weights_in(group: Any, depth: int) -> int:
    import h5py

    if depth > MAX_DEPTH:
        raise ModelRefusedError(f"{_WEIGHTS} has more than {MAX_DEPTH} groups within one another")
    n_weights = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ModelRefusedError(f"{_WEIGHTS}: {name} is a link to another place")
        found = group[name]
        if isinstance(found, h5py.Group):
            n_weights += _weights_in(found, depth + 1)
            continue
        if found.external or found.is_virtual or found.dtype.kind not in "fiub":
            raise ModelRefusedError(f"{_WEIGHTS}: {name} is not an array of numbers in the file itself")
        n_weights += int(np.prod(found.shape, dtype=np.float64))
        if n_weights * found.dtype.itemsize > MAX_FILE_BYTES:
            raise ModelRefusedError(f"{_WEIGHTS} has more than {MAX_FILE_BYTES:,} bytes of numbers")
    return n_weights


def check_litert(data: bytes) -> int:
    """Look into a LiteRT file; returns how many numbers its constants hold. Only in a process of its own.

    Raises
    ------
    ModelRefusedError
        If it has an operation that is not built in, or data outside the file.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(data, 0)
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        if code.CustomCode() or schema.BuiltinOperator.CUSTOM in (code.BuiltinCode(), code.DeprecatedBuiltinCode()):
            named = (code.CustomCode() or b"?").decode(errors="replace")
            raise ModelRefusedError(f"the network has the operation {named!r}, which is not built in")
    if model.ExternalBuffersLength() or model.ExternalBufferGroupsLength():
        raise ModelRefusedError("the network's weights lie in another file")
    n_bytes: int = sum(model.Buffers(index).DataLength() for index in range(model.BuffersLength()))
    return n_bytes // np.dtype(np.float32).itemsize


def check_onnx(data: bytes) -> int:
    """Look into an ONNX file; returns how many numbers its constants hold. Only in a process of its own.

    Raises
    ------
    ModelRefusedError
        If it cannot be parsed, has an operation of another domain than ONNX's own, a function of its own, or data outside the file.
    """
    import onnx

    def refused(error: Exception) -> ModelRefusedError:
        return ModelRefusedError(f"the file is no ONNX, no .keras and no LiteRT file: {' '.join(str(error).split())[:300]}")

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # noqa: BLE001 - its parser raises kinds of its own
        raise refused(error) from None
    if model.functions:
        raise ModelRefusedError("the network has functions of its own: export it with them inlined")
    if strange := sorted({one.domain for one in model.opset_import} - ONNX_DOMAINS):
        raise ModelRefusedError(f"the network has operations of {', '.join(strange)}; those of ONNX itself are taken")
    n_weights = 0
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto) and message.domain not in ONNX_DOMAINS:
            raise ModelRefusedError(
                f"the network has the operation {message.op_type!r} of {message.domain!r}; those of ONNX itself are taken"
            )
        if isinstance(message, onnx.TensorProto):
            if message.external_data or message.data_location == onnx.TensorProto.EXTERNAL:
                raise ModelRefusedError("the network's weights lie in another file: save it with them inside")
            n_weights += int(np.prod(message.dims, dtype=np.float64))
    try:
        onnx.checker.check_model(model)  # only now: it looks for weights that lie in other files
    except Exception as error:  # noqa: BLE001 - likewise
        raise refused(error) from None
    return n_weights


def _messages(message: Any) -> Iterator[Any]:
    """Yield a protocol message and all that are within it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                yield from _messages(inner)
