"""Here: public collections in small, written as their documentation lays them out. Not here: reading them.

Every recording is made up. The sources: PhysioNet's pages of ptb-xl 1.0.3, ptbdb 1.0.0, challenge-2020 and -2021, ecg-arrhythmia 1.0.0,
ludb 1.0.1 and mimic-iv-ecg 1.0; Zheng et al. 2020 for figshare's Chapman; Zenodo's page of CODE-15; Liu et al. 2022 for SPH.
"""

import csv
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

import h5py
import numpy as np

from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.sample_files import wfdb_record
from tests.hospital_files import strip

_seeds = count(1000)


def millivolts(*, fs: float = 500.0, seconds: float = 10.0) -> np.ndarray:
    """Return a made recording of twelve leads, shape (12, n_samples), mV; another one at every call."""
    return strip(seconds=seconds, fs=fs, step_nv=1000, seed=next(_seeds)).uv / 1000


def put_wfdb(
    folder: Path,
    stem: str,
    *,
    comments: Sequence[str] = (),
    leads: Sequence[str] = STANDARD_LEADS,
    matlab: bool = False,
    samples_mv: np.ndarray | None = None,
) -> None:
    """Write a recording; with ``matlab`` its signals as the Challenges have them: MATLAB's version 4, WFDB's format 16+24."""
    path = folder / stem
    path.parent.mkdir(parents=True, exist_ok=True)
    made = wfdb_record(millivolts() if samples_mv is None else samples_mv, fs=500, leads=leads, stem=path.name, comments=comments)
    header, signals = made[f"{path.name}.hea"].decode(), made[f"{path.name}.dat"]
    if matlab:
        n_leads = len(leads)
        head = struct.pack("<5i", 30, n_leads, len(signals) // 2 // n_leads, 0, 4) + b"val\0"
        path.with_suffix(".mat").write_bytes(head + signals)
        header = header.replace(f"{path.name}.dat 16 ", f"{path.name}.mat 16+24 ").replace("# ", "#")
    else:
        path.with_suffix(".dat").write_bytes(signals)
    path.with_suffix(".hea").write_text(header)


def put_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table with the columns of its first row."""
    found = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(found[0]))
        table.writeheader()
        table.writerows(found)


def ptbxl(folder: Path) -> None:
    """Five recordings, with the statements that they need."""
    statements = [("NORM", 1.0, "NORM"), ("IMI", 1.0, "MI"), ("LVH", 1.0, "HYP"), ("SR", "", ""), ("AFIB", "", "")]
    put_table(folder / "scp_statements.csv", [{"": code, "diagnostic": yes, "diagnostic_class": one} for code, yes, one in statements])
    said = ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 80.0, 'LVH': 50.0}", "{'NORM': 80.0, 'LVH': 50.0}", "{'AFIB': 100.0}", "{'LVH': 100.0}"]
    rows = []
    for number, codes in enumerate(said, start=1):
        stem = f"records500/00000/{number:05d}_hr"
        put_wfdb(folder, stem)
        rows.append(
            {
                "ecg_id": number,
                "patient_id": f"{7000 + number}.0",
                "age": 50.0 + number,
                "sex": number % 2,
                "scp_codes": codes,
                "strat_fold": number,
                "filename_lr": f"records100/00000/{number:05d}_lr",
                "filename_hr": stem,
            }
        )
    put_table(folder / "ptbxl_database.csv", rows)


def ptbdb(folder: Path) -> None:
    """Two patients; the reason for admission is in the header."""
    for patient, stem, reason in (("patient001", "s0010_re", "Myocardial infarction"), ("patient104", "s0306lre", "Healthy control")):
        comments = ["age: 81", "sex: female", "ECG date: 01/10/1990", "Diagnose:", f"Reason for admission: {reason}"]
        put_wfdb(folder, f"{patient}/{stem}", comments=comments, leads=[lead.lower() for lead in STANDARD_LEADS])


CINC_SAID = {
    "training/cpsc_2018/g1/A0001": "426783006",
    "training/georgia/g1/E00001": "426783006,164873001",
    "training/georgia/g1/E00002": "426177001",
    "training/ptb-xl/g1/HR00001": "164889003,59118001",
    "training/st_petersburg_incart/g1/I0001": "426783006,999999999",
    "training/ningbo/g1/JS10647": "164865005,999999999",
    "training/ptb/g1/S0001": "",
}
"""What stands behind ``#Dx:`` in the headers of the Challenges' miniature."""


def cinc(folder: Path) -> None:
    """One recording of each source; headers of Georgia name their record by its signal file."""
    for stem, codes in CINC_SAID.items():
        comments = ["Age: 74", "Sex: Male", f"Dx: {codes}", "Rx: Unknown", "Hx: Unknown", "Sx: Unknown"]
        put_wfdb(folder, stem, comments=comments, matlab=True)
        header = (folder / stem).with_suffix(".hea")
        if "/georgia/" in stem:
            header.write_text(header.read_text().replace(f"{header.stem} ", f"{header.stem}.mat ", 1))


def chapman(folder: Path) -> None:
    """PhysioNet's ecg-arrhythmia."""
    (folder / "ConditionNames_SNOMED-CT.csv").write_text("Acronym Name,Full Name,Snomed_CT\nSR,Sinus Rhythm,426783006\n")
    for stem, codes in (("WFDBRecords/01/010/JS00001", "164889003,59118001,164934002"), ("WFDBRecords/01/010/JS00002", "426783006")):
        put_wfdb(folder, stem, comments=["Age: 85", "Sex: Female", f"Dx: {codes}", "Rx: Unknown"], matlab=True)


def chapman_figshare(folder: Path) -> None:
    """Figshare's files, with Diagnostics.xlsx saved as CSV."""
    rows = []
    for stem, rhythm, beat, age, sex in (
        ("MUSE_20180113_171327_27000", "AFIB", "RBBB TWC", 85, "MALE"),
        ("MUSE_20180112_073319_29000", "SR", "NONE", 59, "FEMALE"),
        ("MUSE_20180111_165520_97000", "SB", "NONE", 20, "FEMALE"),
        ("MUSE_20180113_121940_44000", "SR", "XYZ", 66, "MALE"),
    ):
        rows.append({"FileName": stem, "Rhythm": rhythm, "Beat": beat, "PatientAge": age, "Gender": sex, "VentricularRate": 60})
        path = folder / f"ECGData/{stem}.csv"
        path.parent.mkdir(exist_ok=True)
        np.savetxt(path, millivolts().T * 1000, fmt="%.3f", delimiter=",", header=",".join(STANDARD_LEADS), comments="")
    put_table(folder / "Diagnostics.csv", rows)


CODE15_EXAMS = (1169160, 2873686, 168405, 271011, 384368, 590673)


def code15(folder: Path, *, unit: str | None = "mV") -> None:
    """Two parts with three exams each, the filler at the end of each, and a part that is not there."""
    flags = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "normal_ecg")
    said = [{"normal_ecg"}, {"RBBB", "AF"}, {"SB"}, set(), {"normal_ecg", "LBBB"}, {"1dAVb"}]
    rows = [
        {
            "exam_id": exam,
            "age": 38 + number,
            "is_male": number % 2 == 0,
            "nn_predicted_age": 40.16,
            **{flag: flag in found for flag in flags[:-1]},
            "patient_id": 523632 + number // 2,
            "death": "",
            "timey": "",
            "normal_ecg": "normal_ecg" in found,
            "trace_file": f"exams_part{number // 3}.hdf5",
        }
        for number, (exam, found) in enumerate(zip(CODE15_EXAMS, said, strict=True))
    ]
    rows.append(rows[0] | {"exam_id": 1, "trace_file": "exams_part17.hdf5"})
    put_table(folder / "exams.csv", rows)
    for part in range(2):
        exams = CODE15_EXAMS[part * 3 : part * 3 + 3]
        tracings = np.zeros((4, 4096, 12), dtype=np.float32)
        for place in range(3):
            tracings[place, 48:4048] = millivolts(fs=400.0).T
        with h5py.File(folder / f"exams_part{part}.hdf5", "w") as file:
            file["tracings"] = tracings
            file["exam_id"] = np.array([*exams, 0], dtype=np.int64)
    if unit is not None:
        (folder / "signals.json").write_text(f'{{"unit": "{unit}"}}')


def mimic_iv_ecg(folder: Path) -> None:
    """Four studies of three subjects; the last has no row among the measurements."""
    reports = (
        ["Sinus rhythm", "Normal ECG"],
        ["Sinus rhythm.", "Inferior infarct - age undetermined", "Possible left atrial abnormality", "Abnormal ECG"],
        ["Sinus bradycardia", "Borderline ECG"],
    )
    listed, measured = [], []
    for number in range(4):
        subject, study = 10000032 + number // 2, 40689238 + number
        path = f"files/p{str(subject)[:4]}/p{subject}/s{study}/{study}"
        put_wfdb(folder, path, leads=["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"])
        row = {"subject_id": subject, "study_id": study}
        listed.append(row | {"file_name": study, "ecg_time": "2180-07-23 08:44:00", "path": path})
        if number < len(reports):
            texts = dict(enumerate(reports[number]))
            measured.append(
                row | {"cart_id": 1, "ecg_time": "", **{f"report_{at}": texts.get(at, "") for at in range(18)}, "rr_interval": 900}
            )
    put_table(folder / "record_list.csv", listed)
    put_table(folder / "machine_measurements.csv", measured)


def sph(folder: Path) -> None:
    """Five recordings in half precision, and one that is listed and not there."""
    (folder / "records").mkdir()
    (folder / "code.csv").write_text("Category,Code,Description\nA,1,Normal ECG\n")
    rows = []
    for number, codes in enumerate(("1", "60+310;22", "22;23", "161+312", "142;147+999", "106"), start=1):
        rows.append(
            {
                "ECG_ID": f"A{number:05d}",
                "AHA_Code": codes,
                "Patient_ID": f"S{number:05d}",
                "Age": 30 + number,
                "Sex": "MF"[number % 2],
                "N": 5000,
                "Date": "2020-03-04",
            }
        )
        if number <= 5:
            with h5py.File(folder / f"records/A{number:05d}.h5", "w") as file:
                file["ecg"] = millivolts().astype(np.float16)
    put_table(folder / "metadata.csv", rows)


def ludb(folder: Path) -> None:
    """Three subjects, with diagnoses in the headers."""
    rows = []
    for number, said in enumerate(
        (
            ["Rhythm: Sinus rhythm.", "Electric axis of the heart: normal."],
            ["Rhythm: Sinus bradycardia.", "Electric axis of the heart: left axis deviation. ", "Left ventricular hypertrophy. "],
            ["Rhythm: Atrial flutter, typical.", "STEMI: anterior wall. ", "Ventricular extrasystole, type: single PVC. "],
        ),
        start=1,
    ):
        comments = ["<age>: 51" if number < 3 else "<age>: >89", f"<sex>: {'FM'[number % 2]}", "<diagnoses>:", *said]
        put_wfdb(folder, f"data/{number}", comments=comments, leads=[lead.lower() for lead in STANDARD_LEADS])
        rows.append({"ID": number, "Sex": "F", "Age": 51, "Rhythms": said[0]})
    put_table(folder / "ludb.csv", rows)


LAYOUTS: Mapping[str, Callable[[Path], None]] = {
    "ptbxl": ptbxl,
    "ptbdb": ptbdb,
    "cinc": cinc,
    "chapman": chapman,
    "chapman figshare": chapman_figshare,
    "code15": code15,
    "mimic_iv_ecg": mimic_iv_ecg,
    "sph": sph,
    "ludb": ludb,
}
"""Everything that is written in small; of Chapman there are two layouts."""
