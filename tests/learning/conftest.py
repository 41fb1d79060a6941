"""Here: one small trained network for all tests of this folder, and checkpoints in memory."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ecg_tasks.learning.augmentation import NO_AUGMENTATION, Augmentation
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet
from ecg_tasks.learning.decisions import ClassRule
from ecg_tasks.learning.parameters import TrainingParams
from ecg_tasks.learning.runtimes import LITERT
from ecg_tasks.learning.version import KERAS, Golden, ModelSpec, TrainingPatient, version_files

SHAPE = (16, 24, 2)


@dataclass
class MemoryCheckpoints:
    """Keeps the latest state; after ``die_after`` epochs it kills the training, having kept the state."""

    latest: tuple[int, bytes] | None = None
    die_after: int = 0

    def load(self):
        """Give the latest state."""
        return self.latest

    def save(self, epoch, data):
        """Keep the state, and die if told so."""
        self.latest = (epoch, data)
        if epoch == self.die_after:
            raise KeyboardInterrupt


def _windows(n_records, *, seed):
    """Records of one to four windows; an abnormal one is brighter in one band of rows."""
    rng = np.random.default_rng(seed)
    records = np.repeat(np.arange(n_records), rng.integers(1, 5, n_records))
    labels = (records % 2).astype(np.uint8)
    images = rng.integers(0, 180, (len(records), *SHAPE), dtype=np.uint8)
    images[labels == 1, 4:8] += 40
    return TrainingSet(images=images, labels=labels, records=records)


@pytest.fixture(scope="session")
def train_set():
    """Forty records to train on."""
    return _windows(40, seed=1)


@pytest.fixture(scope="session")
def validation_set():
    """Sixteen other records."""
    return _windows(16, seed=2)


@pytest.fixture(scope="session")
def windows(train_set, validation_set):
    """Both in one set: the first are trained on, the last held out."""
    return TrainingSet(
        images=np.concatenate([train_set.images, validation_set.images]),
        labels=np.concatenate([train_set.labels, validation_set.labels]),
        records=np.concatenate([train_set.records, 1000 + validation_set.records]),
    )


@pytest.fixture(scope="session")
def held_out(windows):
    """One member, stopped on the other records."""
    return [windows.records >= 1000]


def _with_classes(windows):
    """Give records two classes that show in bands of rows: ``MI`` is known of all, ``CD`` not of every fifth.

    Of every seventh record only classes are known.
    """
    images, number = windows.images.copy(), windows.records
    infarction, conduction = number // 2 % 2 == 0, number // 4 % 2 == 0
    images[infarction, 9:12] += 40
    images[conduction, 13:16] += 40
    classes = np.column_stack([infarction, np.where(number % 5 == 0, NOT_KNOWN, conduction)]).astype(np.uint8)
    labels = np.where(number % 7 == 0, NOT_KNOWN, windows.labels).astype(np.uint8)
    return TrainingSet(images=images, labels=labels, records=number, class_names=("MI", "CD"), classes=classes)


@pytest.fixture(scope="session")
def windows_with_classes(windows):
    """The same records with two classes."""
    return _with_classes(windows)


@pytest.fixture(scope="session")
def strangers_with_classes():
    """So many other records that no class goes along with another by chance."""
    return _with_classes(_windows(160, seed=3))


@pytest.fixture(scope="session")
def params():
    """Every change to pictures is on, so that resuming is tested with all of them."""
    augmentation = Augmentation(time_shift=0.2, frequency_mask=0.1, time_mask=0.1, lead_dropout=0.1, mixup=0.2)
    return TrainingParams(seed=11, epochs=4, batch_size=16, learning_rate=3e-3, weight_decay=0.01, patience=4, augmentation=augmentation)


@pytest.fixture
def memory():
    """Build checkpoints in memory."""
    return MemoryCheckpoints


@pytest.fixture(scope="session")
def training_log():
    """Lines that the shared training logged."""
    return []


@pytest.fixture(scope="session")
def finished():
    """What the shared training left as its checkpoint."""
    return MemoryCheckpoints()


@pytest.fixture(scope="session")
def trained(windows, held_out, params, training_log, finished):
    """One training without interruption."""
    from ecg_tasks.learning.training import train

    return train(windows, held_out, network="compact", params=params, checkpoints=finished, log=training_log.append)


@pytest.fixture(scope="session")
def trained_with_classes(windows_with_classes, held_out, params):
    """The same for classes too."""
    from ecg_tasks.learning.training import train

    changed = replace(params, epochs=6, augmentation=NO_AUGMENTATION)
    return train(windows_with_classes, held_out, network="compact", params=changed, checkpoints=MemoryCheckpoints(), log=print)


@pytest.fixture(scope="session")
def litert(trained):
    """The same network as a LiteRT file."""
    from ecg_tasks.learning.export import export_litert

    return export_litert(trained.keras)


@pytest.fixture(scope="session")
def litert_of():
    """Score pictures by a ``.keras`` file as LiteRT does, without any rule of a version."""

    def score(keras, images):
        from ai_edge_litert.interpreter import Interpreter

        from ecg_tasks.learning.export import export_litert

        interpreter = Interpreter(model_content=export_litert(keras))
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[:, 0]

    return score


@pytest.fixture(scope="session")
def spec(trained):
    """A specification of the shared network."""
    return ModelSpec(
        recipe="heartbeat",
        recipe_digest="0123456789ab",
        version="v1",
        dataset_id="d1",
        threshold=0.5,
        abstain=(0.4, 0.6),
        temperature=1.5,
        min_quality=0.3,
        image_shape=SHAPE,
        network="compact",
        n_weights=trained.n_weights,
        seed=11,
        synthetic=True,
        training={"kept_epochs": list(trained.kept_epochs)},
        environment={"keras": "3"},
        sources=("made for this test",),
    )


@pytest.fixture(scope="session")
def version_input(spec, trained, litert, validation_set):
    """What ``version_files`` takes for the shared network."""
    from ecg_tasks.learning.export import keras_scores

    images = validation_set.images[:8]
    return {
        "spec": spec,
        "network": {KERAS: trained.keras, LITERT: litert},
        "metrics": {"test": {"auroc": {"value": 0.9, "low": 0.8, "high": 0.95}}},
        "golden": Golden(images=images, scores=keras_scores(trained.keras, images)),
        "pictures": {"roc.svg": b"<svg/>"},
        "splits": {"b" * 32: "train", "a" * 32: "test"},
        "patients": [TrainingPatient("c" * 24, "d" * 12, None), TrainingPatient("b" * 24, "d" * 12, "e" * 24)],
    }


@pytest.fixture(scope="session")
def spec_with_classes(spec, trained_with_classes):
    """A specification that serves the second class alone: of the first there were too few."""
    conduction = ClassRule(
        name="CD",
        output=2,
        temperature=2.0,
        bias=0.5,
        threshold=0.5,
        abstain=(0.4, 0.6),
        system="http://snomed.info/sct",
        code="44808001",
        display="Conduction disorder of the heart",
    )
    return replace(spec, version="v2", n_weights=trained_with_classes.n_weights, classes=(conduction,))


@pytest.fixture(scope="session")
def files_with_classes(version_input, spec_with_classes, trained_with_classes):
    """All files of a version with classes."""
    from ecg_tasks.learning.export import export_litert, keras_scores

    keras, images = trained_with_classes.keras, version_input["golden"].images
    golden = Golden(images=images, scores=keras_scores(keras, images))
    return version_files(
        **version_input | {"spec": spec_with_classes, "network": {KERAS: keras, LITERT: export_litert(keras)}, "golden": golden}
    )


@pytest.fixture(scope="session")
def files(version_input):
    """All files of a version of the shared network."""
    return version_files(**version_input)
