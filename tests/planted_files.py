"""Here: a file of every format with a made word planted wherever a word can stand, and the search for these words. Not here: blanking.

What is planted: every field that a file can still be read with. What is not: the device's model and the names of leads, which are kept.
"""

import base64
import binascii
import contextlib
import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache, partial
from itertools import count
from xml.etree import ElementTree as ET

import numpy as np

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError
from tests import hospital_files as hospital

Files = dict[str, bytes]
WORD = re.compile(rb"zxqv\d{4}", re.IGNORECASE)
OF_THE_PERSON = re.compile(rb"mustermann|erika|person-4711|47110815|19530508|1953-05-08|05-08-1953|08-may-1953", re.IGNORECASE)
_NUMBER = count(1)
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{40,}={0,2}")


def word() -> str:
    """Return a word that no file has by chance, and no other field."""
    return f"Zxqv{next(_NUMBER):04}"


def words_in(files: Files, pattern: re.Pattern[bytes] = WORD) -> set[bytes]:
    """Return the planted words that are in files, also inside what is packed, and in UTF-16."""
    return {found.lower() for data in files.values() for part in _unpacked(data) for found in pattern.findall(part.replace(b"\0", b""))}


def _unpacked(data: bytes) -> Iterator[bytes]:
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield member.filename.encode() + archive.read(member)
    elif data.startswith(b"MATLAB 5"):
        at = 128
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            yield zlib.decompress(data[at + 8 : at + 8 + size]) if kind == 15 else data[at : at + 8 + size]
            at += 8 + size
    elif data.startswith(b"PAR1"):
        import pyarrow as pa
        from pyarrow import parquet

        file = parquet.ParquetFile(pa.BufferReader(data))
        yield f"{file.metadata.metadata}{file.schema_arrow.metadata}{[field.metadata for field in file.schema_arrow]}".encode()
        yield file.read().to_pandas().to_csv().encode()
    elif data[:200].lstrip(b"\xff\xfe\0").replace(b"\0", b"").startswith(b"<"):
        for run in _BASE64.findall(data.replace(b"\0", b"")):
            with contextlib.suppress(binascii.Error):
                yield base64.b64decode(run)


def ids_of(name: str, files: Files) -> list[str]:
    """Return the ids of the records in files."""
    return [one.record_id for one in readers.read(name, files).records]


def xml(form: str, *, kept: Sequence[str], word: Callable[[], str] = word) -> Files:
    """Plant a word in every text and attribute that a file can be read with, and in new elements, attributes, comments and instructions.

    Parameters
    ----------
    kept : elements whose words are those of a device
    word : what to plant
    """
    data = hospital.shorter(form)
    text = data.decode("utf-16") if form == "philips" else data.decode("latin-1")
    root = ET.fromstring(text.partition("?>")[2])  # noqa: S314 - our own text
    expected = ids_of("x.xml", {"x.xml": data})

    def reads() -> bool:
        try:
            return ids_of("x.xml", {"x.xml": ET.tostring(root)}) == expected
        except BadInputError:
            return False

    for element in list(root.iter()):
        tag = element.tag.rpartition("}")[2]
        for attribute, old in list(element.items()):
            element.set(attribute, word())
            if not reads():
                element.set(attribute, old)
        if not len(element) and tag not in kept:
            old_text, element.text = element.text, word()
            if not reads():
                element.text = old_text
        element.set("remark", word())
        if len(element):
            element.text = word()
            ET.SubElement(element, "remark").text = word()
            for child in element:
                child.tail = word()
    instruction = f'<!DOCTYPE {root.tag.rpartition("}")[2]} SYSTEM "{word()}.dtd"><!-- {word()} --><?made {word()}?>'
    planted = instruction + ET.tostring(root, encoding="unicode").replace("><", f"><!--{word()}--><", 1) + f"<!--{word()}-->"
    return {"x.xml": planted.encode("utf-16" if form == "philips" else "utf-8")}


def number() -> str:
    """Return a patient's number, which can stand where a word cannot."""
    return "47110815"


def scp() -> Files:
    """Plant words in every tag of section 1, in sections that are not read, and behind what is read of the others."""
    device = struct.pack("<HHHBB", 0, 0, 0, 0, 8) + b"ELI25\0" + bytes(22) + f"{word()}\0{word()}\0{word()}\0{word()}\0Mortara\0".encode()
    device = f"{word()[:6]:6}".encode() + device[6:]
    tags = tuple((tag, device if tag == 14 else f"{word()}\0".encode()) for tag in range(255))

    def encode(values: np.ndarray) -> bytes:
        return hospital.huffman(values) + word().encode()

    whole = hospital.scp(hospital.strip(seconds=6, fs=100), hospital.Scp(interval_us=10_000, tags=tags, encode=encode))
    found = readers.scp.sections.read_sections(whole, name="x").contents  # type: ignore[attr-defined]  # a module below it
    bodies = {number: content + f" {word()} ".encode() for number, content in found.items() if number > 1}
    others = {number: word().encode() * 3 for number in (4, 5, 7, 8, 9, 10, 11)}
    return {"x.scp": hospital.scp_file(bodies | others | {1: found[1].rstrip(b"\0") + b"\0\0" + word().encode()}) + word().encode()}


def ishne() -> Files:
    """Plant words in every field of text, and in the text behind the header."""
    data = bytearray(hospital.ishne(hospital.strip(leads=("I", "II", "V1"), seconds=6), text=f"notes of {word()}, {word()}".encode()))
    for at, size in ((28, 40), (68, 40), (108, 20), (274, 80), (354, 80), (434, 88), *((at, 18) for at in (164, 188, 212))):
        data[at : at + size] = word().encode().ljust(size, b"\0")
    data[260:270] = b"\0" + word().encode() + b"\0"  # behind the end of the device's name
    data[8:10] = bytes(2)
    return {"x.ecg": bytes(data)}


def edf(*, bdf: bool = False) -> Files:
    """Plant words in every field of text, in annotations, and in the name of a signal that is no lead."""
    import edfio

    one = written.made(n_samples=3000)
    signal, file = (edfio.BdfSignal, edfio.Bdf) if bdf else (edfio.EdfSignal, edfio.Edf)
    signals = [
        signal.from_digital(
            np.ascontiguousarray(values, dtype=np.int32 if bdf else np.int16),
            one.fs,
            label=label,
            physical_dimension=unit,
            digital_range=(-32768, 32767),
            physical_range=(-32768, 32767),
            prefiltering=f"HP:0.05Hz LP:150Hz {word()}",
            transducer_type=word(),
        )
        for values, label, unit in zip(
            one.stored.T[:4], ("ECG I", f"II ({word()})", "ECG V1", word()), ("uV", "uV", "uV", "mmHg"), strict=True
        )
    ]
    made = file(
        signals,
        patient=edfio.Patient(code=word(), sex="F", birthdate=date(1953, 5, 8), name=word(), additional=[word()]),
        recording=edfio.Recording(
            startdate=date(2002, 11, 22),
            hospital_administration_code=word(),
            investigator_technician_code=word(),
            equipment_code="Made_1",
            additional=[word()],
        ),
        data_record_duration=1,
        annotations=[edfio.EdfAnnotation(0.5, None, word()), edfio.EdfAnnotation(1.5, 2, f"{word()} {word()}")],
    )
    stream = io.BytesIO()
    made.write(stream)
    data = bytearray(stream.getvalue())
    n_signals = int(data[252:256])
    for at in range(256 + 224 * n_signals, 256 + 256 * n_signals, 32):
        data[at : at + 32] = word().encode().ljust(32)
    data[210:220] = word().encode().ljust(10)
    return {"x.bdf" if bdf else "x.edf": bytes(data)}


def dicom(**kind: object) -> Files:
    """Plant a word in every element of text that DICOM has, in private ones, in nested items, and before the file's mark."""
    import pydicom
    from pydicom.datadict import DicomDictionary
    from pydicom.dataset import Dataset

    texts = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
    needed = {0x00080005, 0x00080016, 0x00080070, 0x00081090, 0x00080100, 0x00080102, 0x003A0004, 0x54001006}
    all_of_them = {
        tag: vr
        for tag, (vr, vm, _, retired, _) in DicomDictionary.items()
        if vr in texts and tag not in needed and tag >> 16 > 6 and not retired
    }
    few = dict(list(all_of_them.items())[:: len(all_of_them) // 40])

    def plant(dataset: Dataset, tags: dict[int, str]) -> Dataset:
        for tag, vr in tags.items():
            if tag not in dataset or tag in all_of_them:
                dataset.add_new(tag, vr, word())
        dataset.private_block(0x0041, word(), create=True).add_new(1, "LO", word())
        return dataset

    (data,) = written.dicom(written.made(n_samples=3000), **kind).values()
    dataset = pydicom.dcmread(io.BytesIO(data))
    with pydicom.config.disable_value_validation():
        plant(dataset, all_of_them)
        for keyword in (
            "OtherPatientIDsSequence",
            "RequestAttributesSequence",
            "WaveformAnnotationSequence",
            "PersonIdentificationCodeSequence",
        ):
            setattr(dataset, keyword, [plant(Dataset(), few)])
        for group in dataset.WaveformSequence:
            plant(group, few | {0x003A0020: "SH"})
            for channel in group.ChannelDefinitionSequence:
                plant(channel, {0x003A0203: "SH", 0x00100010: "PN"})
                for code in (channel.ChannelSourceSequence[0], channel.ChannelSensitivityUnitsSequence[0]):
                    plant(code, {0x00080104: "LO", 0x00080103: "SH"})
        dataset.preamble = word().encode().ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = word()
        dataset.file_meta.ImplementationVersionName = word()
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return {"x.dcm": stream.getvalue()}


def wfdb() -> Files:
    """Plant words in comments, in the name, counter, date and unit of a header, and before and behind the samples."""
    counts = hospital.strip(leads=("I", "II", "V1"), seconds=6).counts
    prolog = word().encode().ljust(32)
    lines = [
        f"{word()} 4 500/47110815(47110815) 3000 10:11:12.5 22/11/2002",
        "r.dat 16+32 400/mV 16 0 0 0 0 I",
        f"r.dat 16+32 400/mV 16 0 0 0 0 II ({word()})",
        "r.dat 16+32 400/mV 16 0 0 0 0 V1",
        f"r.dat 16+32 400/{word()} 16 0 0 0 0 {word()}",
        "# age: 97",
        "# sex: female",
        f"# name: {word()}",
        f"#Dx: 426783006, {word()}",
        f"# Reason for admission: Heart failure (NYHA {word()})",
        f"# {word()} born 19530508",
    ]
    stored = np.vstack([counts, counts[:1]]).T.astype("<i2").tobytes()
    return {"r.hea": "\n".join([*lines, ""]).encode(), "r.dat": prolog + stored + word().encode()}


def wfdb_flac() -> Files:
    """Plant words in the tags of a FLAC file."""
    import soundfile

    stream = io.BytesIO()
    counts = hospital.strip(leads=("I", "II"), seconds=6).counts.T.astype(np.int16)
    with soundfile.SoundFile(stream, "w", samplerate=500, channels=2, format="FLAC", subtype="PCM_16") as file:
        file.title, file.artist, file.comment = word(), word(), word()
        file.write(counts)
    lines = ["r 2 500 3000", *(f"r.dat 516 400/mV 16 0 {counts[0, row]} 0 0 {lead}" for row, lead in enumerate(("I", "II"))), ""]
    return {"r.hea": "\n".join(lines).encode(), "r.dat": stream.getvalue()}


def wfdb_segments() -> Files:
    """Plant words in the headers of segments, too."""
    counts = hospital.strip(leads=("I", "II"), seconds=6).counts.T.astype("<i2")
    files = {"r.hea": f"r/2 2 500 3000\nr_0001 1500\nr_0002 1500\n# {word()}\n".encode()}
    for number, part in ((1, counts[:1500]), (2, counts[1500:])):
        lines = [f"{word()} 2 500 1500 10:11:12 22/11/2002", *(f"r_{number}.dat 16 400/mV 16 0 0 0 0 {lead}" for lead in ("I", "II"))]
        files |= {f"r_000{number}.hea": "\n".join([*lines, f"# {word()}", ""]).encode(), f"r_{number}.dat": part.tobytes()}
    return files


def npz() -> Files:
    """Plant words in the names of arrays, in others, and in the archive's own remarks."""
    one = written.made(n_samples=3000)
    stream = io.BytesIO()
    arrays = {word(): one.millivolts, "fs": one.fs, "unit": "mV", "leads": np.array([f"{lead} ({word()})" for lead in one.leads])}
    np.savez_compressed(stream, **arrays, **{word(): np.array([word()]), "patient": np.array([47110815])})
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(f"{word()}.txt", word())
        archive.comment = word().encode()
    return {"x.npz": stream.getvalue()}


def npy() -> Files:
    """Plant words in the sidecar's names of leads."""
    one = written.made(n_samples=3000)
    return written.npy(one) | {"signals.json": written.sidecar(one, leads=[f"{lead} [{word()}]" for lead in one.leads])}


def matlab(level: str = "5") -> Files:
    """Plant words in the names of variables, in others, and in the file's text."""
    import scipy.io

    one = written.made(n_samples=3000)
    stream = io.BytesIO()
    content = {word(): one.millivolts, "fs": one.fs, "unit": "mV", "leads": np.array(one.leads), "name": word(), word(): 3.0}
    scipy.io.savemat(stream, content, format=level, do_compression=level == "5")
    data = stream.getvalue()
    return {"x.mat": f"MATLAB 5.0 MAT-file of {word()}".encode().ljust(116) + data[116:] if level == "5" else data}


def hdf5() -> Files:
    """Plant words in names, other arrays and attributes."""
    import h5py

    one = written.made(n_samples=3000)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        array = file.create_dataset(word(), data=one.millivolts, chunks=(1000, 12), compression="gzip", shuffle=True)
        array.attrs.update({"fs": one.fs, "unit": "mV", "leads": list(one.leads), "name": word(), word(): 1})
        file.attrs["patient"] = word()
        file[word()] = word()
        file.create_group(word()).attrs["x"] = word()
    return {"x.h5": stream.getvalue()}


def code15() -> Files:
    """Plant words beside a file as CODE-15's."""
    import h5py

    files = written.code15([written.made(n_samples=3000)], exams=[7])
    stream = io.BytesIO(files["exams.hdf5"])
    with h5py.File(stream, "a") as file:
        file.attrs["patient"] = word()
        file[word()] = word()
    return files | {"exams.hdf5": stream.getvalue()}


def lead_parquet() -> Files:
    """Plant words in a table's and its columns' remarks, and in an index."""
    import pyarrow as pa
    from pyarrow import parquet

    one = written.made(n_samples=3000)
    names = ["index", "time_s", *(f"{lead} (mV)" for lead in one.leads)]
    columns = [np.full(3000, 47110815), 1.6e9 + np.arange(3000) / 500, *one.millivolts.T]
    fields = [
        pa.field(name, pa.from_numpy_dtype(column.dtype), metadata={"x": word()}) for name, column in zip(names, columns, strict=True)
    ]
    stream = io.BytesIO()
    parquet.write_table(
        pa.Table.from_arrays([pa.array(column) for column in columns], schema=pa.schema(fields, metadata={"x": word()})), stream
    )
    return {"x.parquet": stream.getvalue()}


def lead_csv() -> Files:
    """Plant words in remarks at a lead, an id in an index, the name in gzip's head, and a calendar's times."""
    one = written.made(n_samples=3000)
    head = "sep=,\nindex,time_s," + ",".join(f"{lead} ({word()})_mV" if row == 1 else f"{lead}_mV" for row, lead in enumerate(one.leads))
    rows = [f"47110815,{1605870611 + row / 500:.3f}," + ",".join(map(str, values)) for row, values in enumerate(one.millivolts.tolist())]
    stream = io.BytesIO()
    with gzip.GzipFile(f"{word()}.csv", "wb", fileobj=stream, mtime=0) as file:
        file.write("\n".join([head, *rows, ""]).encode())
    return {"x.csv.gz": stream.getvalue()}


def heartbeat_csv() -> Files:
    """Plant words in rows that are not read, and in names of columns."""
    (data,) = written.heartbeat_csv(written.made(n_samples=1500)).values()
    rows = data.splitlines()
    rows[3:5] = [word().encode() + b",0.5" * 186, f"{word()} of {word()}".encode()]
    return {"x.csv": b"\n".join([b",".join(word().encode() for _ in range(187)), *rows, b"", b""])}


DEVICES = {
    "muse": ["AcquisitionDevice"],
    "aecg": ["manufacturerModelName", "name"],
    "cardiosoft": ["Desc"],
    "philips": ["machine"],
}
"""Of each format of XML the elements that name a device."""
PLANTED: dict[str, Callable[[], Files]] = {
    **{form: partial(xml, form, kept=kept) for form, kept in DEVICES.items()},
    "scp": scp,
    "ishne": ishne,
    "edf": edf,
    "bdf": lambda: edf(bdf=True),
    "dicom": dicom,
    "wfdb": wfdb,
    "wfdb in flac": wfdb_flac,
    "wfdb in segments": wfdb_segments,
    "npz": npz,
    "npy": npy,
    "matlab 5": matlab,
    "matlab 4": lambda: matlab("4"),
    "hdf5": hdf5,
    "code15": code15,
    "lead_parquet": lead_parquet,
    "lead_csv": lead_csv,
    "heartbeat_csv": heartbeat_csv,
}
"""How each format's file is planted."""


@cache
def planted(name: str) -> Files:
    """Return a format's planted file, made once."""
    return PLANTED[name]()
