"""Somebody else's file: what is refused before anything of it is loaded, and that nothing of it is ever run."""

import functools
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.learning import added_file, added_process
from ecg_tasks.learning.added import DESCRIPTION
from ecg_tasks.learning.added_file import Format, format_of
from ecg_tasks.learning.added_process import fault_of_scores, load_apart
from ecg_tasks.learning.keras_file import load_network
from tests.added_networks import changed_keras, described, keras_file, litert_file, onnx_file, saved, zipped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
ROOT = Path(__file__).parents[2]
SHAPE = (4, 5, 2)
WEIGHTS, BIAS = np.linspace(-0.02, 0.02, 40)[:, None], np.zeros(1)
DESCRIBED = described("heartbeat@0", values="probability")
PICTURES = np.random.default_rng(1).integers(0, 256, (6, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def keras():
    """A network in Keras's format."""
    return keras_file(WEIGHTS, BIAS, SHAPE)


@pytest.fixture(scope="module")
def litert(keras):
    """The same in LiteRT's."""
    return litert_file(keras)


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def _functional(layer, shape=(40,)):
    from ecg_tasks.learning.framework import keras_at_work

    with keras_at_work() as keras:
        inputs = keras.Input(shape)
        return saved(keras.Model(inputs, layer(keras)(inputs)))


def test_formats_are_known_by_their_content(keras, litert):
    """Whatever the file is called."""
    assert format_of(keras) is Format.KERAS
    assert format_of(litert) is Format.LITERT
    assert format_of(onnx_file(WEIGHTS, BIAS, SHAPE)) is Format.ONNX


def test_networks_of_our_own_would_be_taken(trained):
    """The list of layers has all that we use, and Keras's own description of a network is understood."""
    assert format_of(trained.keras) is Format.KERAS


def test_a_pickle_is_never_opened(tmp_path):
    """By itself, or in an archive as PyTorch writes it."""
    mark = tmp_path / "was here"
    for data in (pickle.dumps(Planted(mark)), zipped({"archive/data.pkl": pickle.dumps(Planted(mark))})):
        with pytest.raises(ModelRefusedError, match="pickle"):
            load_apart(data, DESCRIBED, PICTURES)
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_lambda_layer_runs_nothing(tmp_path):
    """Its code is marshalled in the file: Keras refuses it when asked to be safe, and here it does not come so far."""
    mark = tmp_path / "was here"
    path = str(mark)
    file = _functional(lambda keras: keras.layers.Lambda(lambda x: (__import__("os").system(f"touch {path}"), x)[1], output_shape=(40,)))
    mark.unlink(missing_ok=True)  # building it ran it
    with pytest.raises(ModelRefusedError, match=r"a function None of None|keras\.layers\.Lambda, which is none of the layers"):
        load_apart(file, DESCRIBED, PICTURES)
    with pytest.raises(ValueError, match=r"[Ll]ambda"):
        load_network(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        ({"module": None, "class_name": "__lambda__", "config": {"value": "4wEAAAAA"}}, "None.__lambda__"),
        ({"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}, "a function 'eval'"),
        ({"module": "keras.utils", "class_name": "function", "config": "get_file"}, "a function 'get_file' of 'keras.utils'"),
        ({"module": "os", "class_name": "system", "config": {}}, "a os.system"),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/x"}}, "keras.layers.TFSMLayer"),
        ({"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}}, "TorchModuleWrapper"),
        ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "StringLookup"),
        (
            {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "theirs>Dense"},
            "a class 'theirs>Dense' of its own",
        ),
        ({"module": "theirs.layers", "class_name": "Dense", "config": {}}, "a theirs.layers.Dense"),
        ({"class_name": "Dense", "config": {}}, "a None.Dense"),
        ({"module": "keras.layers", "class_name": ["Dense"], "config": {}}, "Dense"),
        ({"module": "keras.layers", "class_name": "Dense", "config": {}, "compile_config": {"loss": "x"}}, "a part that is compiled"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value,
)
def test_of_keras_only_layers_that_are_listed_are_let_through(keras, planted, reason):
    """Anywhere in the description: as a layer, or deep in a layer's configuration."""
    for change in (
        lambda config: config["config"]["layers"].append(planted),
        lambda config: config["config"]["layers"][-1]["config"].update(kernel_initializer=[{"a": planted}]),
        lambda config: config.update(build_config=planted),
    ):
        with pytest.raises(ModelRefusedError, match="the network has") as refused:
            format_of(changed_keras(keras, change))
        assert reason in str(refused.value)


def test_a_network_that_is_a_class_of_its_own_is_refused(keras):
    """A subclassed model is code."""
    with pytest.raises(ModelRefusedError, match=r"the network is a theirs\.Net; Functional and Sequential are taken"):
        format_of(changed_keras(keras, lambda config: config.update(module="theirs", class_name="Net")))


def test_an_archive_is_three_files_and_no_more(keras):
    """No path out of it, no file beside, none twice, nothing that unpacks to more than is taken, nothing damaged."""
    with zipfile.ZipFile(io.BytesIO(keras)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in ("../../etc/cron.d/x", "/etc/passwd", "assets/vocabulary.txt", "model.weights.npz"):
        with pytest.raises(
            ModelRefusedError, match=r"a \.keras file holds config\.json, metadata\.json and model\.weights\.h5; this holds"
        ):
            format_of(zipped(members | {name: b"x"}))
    buffer = io.BytesIO(keras)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    with pytest.raises(ModelRefusedError, match=r"this holds config\.json, config\.json"):
        format_of(buffer.getvalue())
    with pytest.raises(ModelRefusedError, match=r"config\.json unpacks to 16,777,217 bytes"):
        format_of(zipped(members | {"config.json": b" " * (added_file.MAX_CONFIG_BYTES + 1)}))
    with pytest.raises(ModelRefusedError, match=r"the archive unpacks to [\d,]+ bytes"):
        format_of(zipped(members | {"model.weights.h5": bytes(added_file.MAX_FILE_BYTES)}))
    damaged = bytearray(zipped(members))
    damaged[60] ^= 0xFF
    with pytest.raises(ModelRefusedError, match="cannot be read"):
        format_of(bytes(damaged))
    for config in (b"[1]", b"nothing", b"[" * 100_000):
        with pytest.raises(ModelRefusedError, match=r"config\.json"):
            format_of(zipped(members | {"config.json": config}))
    deep = 1
    for _ in range(added_file.MAX_DEPTH):
        deep = [deep]
    with pytest.raises(ModelRefusedError, match="more than 100 objects within one another"):
        format_of(changed_keras(keras, lambda config: config.update(more=deep)))


def _refused_or_taken(data):
    try:
        return format_of(data)
    except ModelRefusedError:
        return None


def test_a_file_that_was_changed_anywhere_is_taken_or_refused(keras):
    """Bytes of the archive, and every value of the description exchanged for one of another kind: no other error comes."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        changed = bytearray(keras)
        for at in rng.integers(0, len(changed), 3):
            changed[at] = rng.integers(0, 256)
        _refused_or_taken(bytes(changed))
    with zipfile.ZipFile(io.BytesIO(keras)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def places(value, path=()):
        yield path
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            yield from places(inner, (*path, name))

    for path in places(json.loads(members["config.json"])):
        for other in (None, 1, "x", [], {}, [["class_name"]], {"class_name": {}, "module": [], "config": 1}):
            root = {"": json.loads(members["config.json"])}
            *inner, last = ("", *path)
            functools.reduce(lambda value, name: value[name], inner, root)[last] = other
            _refused_or_taken(zipped(members | {"config.json": json.dumps(root[""]).encode(), "model.weights.h5": b""}))


def test_other_formats_and_sizes_are_refused(monkeypatch):
    """HDF5 of Keras 2 may hold code; an empty file is none; a large one is not even parsed."""
    with pytest.raises(ModelRefusedError, match="HDF5, as Keras 2 wrote it"):
        format_of(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ModelRefusedError, match="the file has 0 bytes"):
        format_of(b"")
    monkeypatch.setattr(added_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(ModelRefusedError, match="the file has 11 bytes; 1 to 10 are taken"):
        format_of(bytes(11))
    monkeypatch.undo()
    with pytest.raises(ModelRefusedError, match=r"the file is no ONNX, no \.keras and no LiteRT file"):
        load_apart(b"what is this", DESCRIBED, PICTURES)


@pytest.mark.parametrize("kind", ["link", "soft", "external", "virtual", "text", "huge"])
def test_weights_lie_in_the_file(keras, tmp_path, kind):
    """HDF5 can lead to other files of the machine, and can promise more numbers than any memory holds."""
    import h5py

    with zipfile.ZipFile(io.BytesIO(keras)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "weights.h5"
    path.write_bytes(members["model.weights.h5"])
    with h5py.File(path, "a") as file:
        if kind == "link":
            file["more"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "soft":
            file["more"] = h5py.SoftLink("/layers")
        elif kind == "external":
            file.create_dataset("more", (10,), np.uint8, external=[("/etc/passwd", 0, 10)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((10,), np.uint8)
            layout[:] = h5py.VirtualSource("other.h5", "x", (10,))
            file.create_virtual_dataset("more", layout)
        elif kind == "text":
            file["more"] = "text"
        else:
            file.create_dataset("more", (2**40,), np.float32, chunks=(1024,))
    file = zipped(members | {"model.weights.h5": path.read_bytes()})
    with pytest.raises(ModelRefusedError, match=r"is a link|not an array of numbers in the file itself|has more than"):
        added_file.check_weights(file)


def test_an_operation_that_is_not_built_in_is_refused(litert):
    """LiteRT: by its own list of operations; weights beside the file too."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    def packed(model):
        builder = Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(litert, 0))
    assert added_file.check_litert(packed(model)) > 40
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = b"FlexPyFunc"
    with pytest.raises(ModelRefusedError, match="the operation 'FlexPyFunc', which is not built in"):
        load_apart(packed(model), DESCRIBED, PICTURES)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(litert, 0))
    group = schema.ExternalBufferGroupT()
    group.name = b"/etc/passwd"
    model.externalBufferGroups = [group]
    with pytest.raises(ModelRefusedError, match="weights lie in another file"):
        load_apart(packed(model), DESCRIBED, PICTURES)


def test_hostile_bytes_end_their_own_process(litert):
    """A file that is cut, or scrambled behind its mark, is refused; this process goes on whatever the library made of it."""
    scrambled = bytearray(litert)
    scrambled[200:800] = np.random.default_rng(0).integers(0, 256, 600, dtype=np.uint8).tobytes()
    for data in (litert[: len(litert) // 3], bytes(scrambled), litert[:8] + bytes(200)):
        with pytest.raises(ModelRefusedError, match="cannot be loaded"):
            load_apart(data, DESCRIBED, PICTURES)


def test_an_onnx_file_has_its_own_operations_and_weights_alone():
    """No other domain, no function of its own, no data elsewhere, at any depth."""
    import onnx
    from onnx import TensorProto, helper

    def changed(change):
        model = onnx.load_model_from_string(onnx_file(WEIGHTS, BIAS, SHAPE))
        change(model)
        return model.SerializeToString()

    def outside(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")

    def strange(model):
        model.opset_import.append(helper.make_opsetid("theirs", 1))
        model.graph.node[0].domain = "theirs"

    def function(model):
        model.opset_import.append(helper.make_opsetid("theirs", 1))
        body = helper.make_function("theirs", "F", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])], [helper.make_opsetid("", 17)])
        model.functions.append(body)

    assert added_file.check_onnx(changed(lambda _model: None)) == 41
    for change, reason in ((outside, "weights lie in another file"), (strange, "operations of theirs"), (function, "functions of its own")):
        with pytest.raises(ModelRefusedError, match=reason):
            added_file.check_onnx(changed(change))


@pytest.mark.parametrize(
    ("weights", "bias", "values", "reason"),
    [
        (WEIGHTS * 0, BIAS, "log-odds", "the network says the same of all golden pictures"),
        (WEIGHTS * np.nan, BIAS, "log-odds", "gives no probability for golden pictures"),
        (WEIGHTS * 100, BIAS, "probability", "does output.values say what its numbers are?"),
    ],
)
def test_answers_that_are_no_use_are_refused(weights, bias, values, reason):
    """Constant, not a number, or no probability."""
    with pytest.raises(ModelRefusedError, match=reason):
        load_apart(onnx_file(weights, bias, SHAPE), described("heartbeat@0", values=values), PICTURES)


def _quantized():
    """A LiteRT network of whole numbers, as converters for small devices make it."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.constant(WEIGHTS, tf.float32)
    asked = tf.function(lambda x: tf.reshape(x, (-1, 40)) @ module.weights, input_signature=[tf.TensorSpec((1, *SHAPE), tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([asked.get_concrete_function()], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None].astype(np.float32)] for one in PICTURES)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning")
def test_an_answer_in_whole_numbers_is_refused():
    """The steps of a quantized network, or the name of a class, would be taken for log-odds."""
    from onnx import TensorProto, helper, load_model_from_string

    model = load_model_from_string(onnx_file(WEIGHTS, BIAS, SHAPE))
    model.graph.node.append(helper.make_node("Cast", [model.graph.output[0].name], ["whole"], to=TensorProto.INT64))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("whole", TensorProto.INT64, ["n", 1]))
    for given, told in ((model.SerializeToString(), "model.onnx answers int64"), (_quantized(), "model.tflite answers uint8")):
        with pytest.raises(ModelRefusedError, match=told):
            load_apart(given, described("heartbeat@0", values="log-odds"), PICTURES)


def test_a_network_with_a_memory_or_dice_is_refused():
    """The same pictures in another order must have the same scores."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["read"], ["still"], to=TensorProto.FLOAT),
        helper.make_node("RandomNormalLike", ["still"], ["noise"], scale=50.0),
        helper.make_node("Add", ["still", "noise"], ["numbers"]),
    ]
    with pytest.raises(ModelRefusedError, match=r"golden scores differ by .* in another order"):
        load_apart(onnx_file(WEIGHTS, BIAS, SHAPE, before=nodes), described("heartbeat@0", values="log-odds"), PICTURES)


def test_scores_are_looked_at_one_by_one():
    """Nan in one of them is enough."""
    good = np.array([[0.1], [0.9]])
    assert fault_of_scores(good, good) == ""
    assert fault_of_scores(np.array([[0.1], [np.nan]]), good).startswith("the network gives no probability")
    assert fault_of_scores(good, good + 0.01).startswith("golden scores differ by 0.01")


def test_the_process_gets_no_credentials(keras, monkeypatch):
    """Of the environment it has what a program needs to start; the bucket's keys are not among that."""
    seen = {}

    def run(command, **options):
        seen.update(options["env"])
        raise added_process.subprocess.TimeoutExpired(command, 1)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("ECG_PATIENT_KEY", "secret")
    monkeypatch.setattr(added_process.subprocess, "run", run)
    with pytest.raises(ModelRefusedError, match="not loaded and tried within 600 s"):
        load_apart(keras, DESCRIBED, PICTURES)
    assert "secret" not in seen.values()


def test_a_network_that_takes_all_memory_ends_its_own_process(tmp_path):
    """Its file is small, and a tensor in it is not: the process may have so much and no more."""
    from onnx import TensorProto, helper, numpy_helper

    def loaded(n_numbers):
        nodes = [
            helper.make_node("Constant", [], ["size"], value=numpy_helper.from_array(np.array([n_numbers]))),
            helper.make_node("ConstantOfShape", ["size"], ["large"]),
            helper.make_node("ReduceMax", ["large"], ["zero"], keepdims=0),
            helper.make_node("Cast", ["read"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["pixels", "zero"], ["numbers"]),
        ]
        (tmp_path / "given").write_bytes(onnx_file(WEIGHTS, BIAS, SHAPE, before=nodes))
        (tmp_path / DESCRIPTION).write_bytes(described("heartbeat@0", values="log-odds"))
        np.save(tmp_path / "pictures.npy", PICTURES)
        script = "from ecg_tasks.learning import added_process as ours; ours.MAX_MEMORY_BYTES = 2**32; "
        script += f"ours._load(ours.Path({str(tmp_path)!r}))"
        return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False, text=True)

    assert loaded(2**20).returncode == 0
    assert "Failed to allocate memory" in loaded(2**30).stderr


def test_what_cannot_be_converted_says_why():
    """A layer that is listed, and that LiteRT has no operation for, is refused with the converter's own words."""
    layers = lambda keras: keras.Sequential([keras.layers.Reshape((4, 10)), keras.layers.GRU(3), keras.layers.Dense(1)])  # noqa: E731
    with pytest.raises(ModelRefusedError, match="the network cannot be converted to LiteRT"):
        load_apart(_functional(layers, SHAPE), described("heartbeat@0", values="log-odds"), PICTURES)
