"""Here: one recording written in every format that is read, each by the format's own library where there is one. Not here: timing it.

The samples are whole microvolts, so that every format holds them without loss.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.record import HEARTBEAT_SAMPLES, STANDARD_LEADS

FS = 500
N_SAMPLES = 5000

Files = dict[str, bytes]
"""Bytes by file name, the file itself first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """Write a recording of twelve leads: ``stored`` of shape (n_samples, 12), int16, µV, at ``fs`` Hz."""

    stored: NDArray[np.int16]
    fs: float = FS
    leads: tuple[str, ...] = STANDARD_LEADS

    @property
    def millivolts(self) -> NDArray[np.float64]:
        """The same in mV."""
        return self.stored / 1000


def made(seed: int = 0, *, n_samples: int = N_SAMPLES) -> Made:
    """Make a recording: a beat every 0.8 s in every lead, noise, and a drift."""
    rng = np.random.default_rng(seed)
    times = np.arange(n_samples) / FS
    beat = np.exp(-(((times % 0.8) - 0.3) ** 2) / 2e-4)
    sizes = rng.uniform(300, 1200, len(STANDARD_LEADS))
    drift = 80 * np.sin(2 * np.pi * 0.3 * times)[:, np.newaxis]
    waves = beat[:, np.newaxis] * sizes + drift + rng.normal(0, 12, (n_samples, len(STANDARD_LEADS)))
    return Made(stored=np.round(waves).astype(np.int16))


def wfdb(one: Made, *, name: str = "r", per_mv: float = 1000) -> Files:
    """Write a header and a signal file in format 16, of which so many steps are a mV."""
    lines = [
        f"{name}.dat 16 {per_mv!r}/mV 16 0 {signal[0]} {int(signal.sum()) % 65536} 0 {lead}"
        for signal, lead in zip(one.stored.T, one.leads, strict=True)
    ]
    header = "\n".join([f"{name} {len(one.leads)} {one.fs} {len(one.stored)}", *lines]) + "\n"
    return {f"{name}.hea": header.encode(), f"{name}.dat": one.stored.astype("<i2").tobytes()}


def edf(one: Made, *, patient: str = "P7", plus: bool = False, bdf: bool = False) -> Files:
    """Write an EDF or BDF file as edfio writes it, with a person and filters."""
    import edfio

    signal: Any = edfio.BdfSignal if bdf else edfio.EdfSignal
    file: Any = edfio.Bdf if bdf else edfio.Edf
    signals = [
        signal.from_digital(
            np.ascontiguousarray(values, dtype=np.int32 if bdf else np.int16),
            one.fs,
            label=f"ECG {lead}",
            physical_dimension="uV",
            digital_range=(-32768, 32767),
            physical_range=(-32768, 32767),
            prefiltering="HP:0.05Hz LP:150Hz N:50Hz",
        )
        for values, lead in zip(one.stored.T, one.leads, strict=True)
    ]
    written = file(
        signals,
        patient=edfio.Patient(code=patient, sex="F", birthdate=date(1950, 6, 2), name="Nobody"),
        recording=edfio.Recording(startdate=date(2020, 6, 1), equipment_code="Made_1"),
        data_record_duration=1,
        annotations=[edfio.EdfAnnotation(0.5, None, "begin")] if plus else None,
    )
    stream = io.BytesIO()
    written.write(stream)
    return {"r.bdf" if bdf else "r.edf": stream.getvalue()}


def dicom(one: Made, **changes: Any) -> Files:
    """Write a 12-lead ECG waveform as pydicom writes it, with median beats in front of the rhythm; ``changes`` are further elements."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage, generate_uid

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = TwelveLeadECGWaveformStorage, generate_uid()
    dataset.AcquisitionDateTime, dataset.PatientBirthDate, dataset.PatientSex = "20200601101500", "19500602", "F"
    dataset.PatientID, dataset.IssuerOfPatientID, dataset.PatientAge = "P7", "Ward", ""
    dataset.Manufacturer, dataset.ManufacturerModelName = "Made", "1"
    dataset.WaveformSequence = [_multiplex(one.stored[:600], one), _multiplex(one.stored, one)]
    syntax = changes.pop("syntax", ExplicitVRLittleEndian)
    for key, value in changes.items():
        setattr(dataset, key, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return {"r.dcm": stream.getvalue()}


_SCP_LEADS = MappingProxyType(
    {"I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64}
)


def _multiplex(stored: NDArray[np.int16], one: Made) -> object:
    from pydicom.dataset import Dataset

    def coded(value: str, scheme: str) -> Dataset:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "a word"
        return code

    group = Dataset()
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples, group.SamplingFrequency = len(one.leads), len(stored), str(one.fs)
    group.WaveformOriginality = "ORIGINAL"
    group.ChannelDefinitionSequence = []
    for lead in one.leads:
        channel = Dataset()
        channel.ChannelSourceSequence = [coded(f"5.6.3-9-{_SCP_LEADS[lead]}", "SCPECG")]
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = "1", "1", "0"
        channel.ChannelSensitivityUnitsSequence = [coded("uV", "UCUM")]
        channel.ChannelSampleSkew, channel.WaveformBitsStored = "0", 16
        channel.FilterLowFrequency, channel.FilterHighFrequency, channel.NotchFilterFrequency = "0.05", "150", "50"
        group.ChannelDefinitionSequence.append(channel)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new(0x54001010, "OW", stored.astype("<i2").tobytes())
    return group


def sidecar(one: Made, **changes: object) -> bytes:
    """Write what has to be said of an array of mV."""
    return json.dumps({"fs": one.fs, "unit": "mV", "leads": list(one.leads)} | changes).encode()


def npy(one: Made) -> Files:
    """Write an array of mV, and its sidecar."""
    stream = io.BytesIO()
    np.save(stream, one.millivolts)
    return {"r.npy": stream.getvalue(), "signals.json": sidecar(one)}


def npz(one: Made) -> Files:
    """Write an archive that says all by itself."""
    stream = io.BytesIO()
    np.savez_compressed(stream, signal=one.millivolts, fs=one.fs, unit="mV", leads=np.array(one.leads))
    return {"r.npz": stream.getvalue()}


def mat(one: Made) -> Files:
    """Write a MATLAB file of level 5 that says all by itself."""
    import scipy.io

    stream = io.BytesIO()
    scipy.io.savemat(stream, {"ecg": one.millivolts, "fs": one.fs, "unit": "mV", "leads": np.array(one.leads)})  # type: ignore[arg-type]  # a stream, too
    return {"r.mat": stream.getvalue()}


def hdf5(one: Made) -> Files:
    """Write an HDF5 file that says all by itself, in attributes."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["ecg"] = one.millivolts.T
        file["ecg"].attrs.update({"fs": one.fs, "unit": "mV", "leads": list(one.leads)})
    return {"r.h5": stream.getvalue()}


def code15(ones: list[Made], *, exams: list[int]) -> Files:
    """Write a file as CODE-15's, of recordings at 400 Hz with zeros on both sides, and the unit beside it."""
    import h5py

    tracings = np.zeros((len(ones), 4096, 12), dtype=np.float32)
    for row, one in enumerate(ones):
        start = (4096 - len(one.stored)) // 2
        tracings[row, start : start + len(one.stored)] = one.millivolts
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["tracings"], file["exam_id"] = tracings, np.array(exams)
    return {"exams.hdf5": stream.getvalue(), "signals.json": b'{"unit": "mV"}'}


def lead_csv(one: Made) -> Files:
    """Write a table with a column of time, in µV."""
    rows = [f"{row / one.fs:.3f}," + ",".join(map(str, values)) for row, values in enumerate(one.stored.tolist())]
    return {"r.csv": "\n".join(["time_s," + ",".join(f"{lead}_uV" for lead in one.leads), *rows, ""]).encode()}


def lead_parquet(one: Made) -> Files:
    """Write the same table in Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"time_s": np.arange(len(one.stored)) / one.fs} | {
        f"{lead}_uV": signal for lead, signal in zip(one.leads, one.stored.T.astype(np.float64), strict=True)
    }
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream)
    return {"r.parquet": stream.getvalue()}


def heartbeat_csv(one: Made) -> Files:
    """Write as many heartbeats as give about as many samples."""
    rng = np.random.default_rng(len(one.stored))
    rows = [
        ",".join(f"{value:.4f}" for value in [1.0, *rng.random(HEARTBEAT_SAMPLES - 1)]) for _ in range(one.stored.size // HEARTBEAT_SAMPLES)
    ]
    return {"r.csv": ("\n".join(rows) + "\n").encode()}


WRITERS: Mapping[str, Callable[[Made], Files]] = MappingProxyType(
    {
        "wfdb": wfdb,
        "dicom": dicom,
        "edf": edf,
        "numpy": npy,
        "matlab": mat,
        "hdf5": hdf5,
        "lead_parquet": lead_parquet,
        "lead_csv": lead_csv,
        "heartbeat_csv": heartbeat_csv,
    }
)
"""By the name of the reader that reads what is written."""
