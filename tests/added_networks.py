"""Here: small networks as somebody else would have made them, in the three formats, from weights that a test gives."""

import io
import json
import zipfile

import numpy as np


def keras_file(weights, bias, shape):
    """A ``.keras`` file: pixels to the probability of abnormal by one layer."""
    from ecg_tasks.learning.framework import keras_at_work

    with keras_at_work() as keras:
        layers = keras.layers
        model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(weights.shape[1], activation="sigmoid")])
        model.layers[-1].set_weights([weights.astype(np.float32), bias.astype(np.float32)])
        return saved(model)


def saved(model):
    """The bytes of the file of a Keras model."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def litert_file(keras):
    """The same as a LiteRT file."""
    from ecg_tasks.learning.export import export_litert

    return export_litert(keras)


def onnx_file(weights, bias, shape, *, before=(), kind="uint8", **changed):
    """An ONNX file: what it reads, flattened, to log-odds by one layer; ``before`` are nodes from ``read`` to ``numbers``."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        *(before or [helper.make_node("Cast", ["read"], ["numbers"], to=TensorProto.FLOAT)]),
        helper.make_node("Flatten", ["numbers"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["answer"]),
    ]
    kinds = {"uint8": TensorProto.UINT8, "float": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "theirs",
        [helper.make_tensor_value_info("read", kinds[kind], ["n", *shape])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", weights.shape[1]])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights"), numpy_helper.from_array(bias.astype(np.float32), "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **changed).SerializeToString()


def described(reads, *, values, more="", **output):
    """A description as TOML."""
    columns = output or {"abnormal": 0}
    lines = [f"{name} = {column}" for name, column in columns.items()]
    return f"""
name = "Their network"
reads = "{reads}"
licence = "MIT"
source = "https://example.org/network"
learnt_from = ["PTB-XL 1.0.3"]
{more}
[output]
values = "{values}"
{chr(10).join(lines)}
""".encode()


def changed_keras(keras, change):
    """A ``.keras`` file whose description was changed by hand."""
    members = {}
    with zipfile.ZipFile(io.BytesIO(keras)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    return zipped(members | {"config.json": json.dumps(config).encode()})


def zipped(members):
    """An archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
