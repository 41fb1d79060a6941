"""Here: a resting ECG of a Philips cardiograph (PageWriter, TraceMasterVue) as Sierra XML. Not here: unpacking (``xli``).

References
----------
Philips, Sierra ECG XML schema 1.03 and 1.04; the sierra-ecg-tools project.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import date
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, Patient, Recording
from ecg_tasks.readers.blanking import age_and_unit, impossible, kept_names
from ecg_tasks.readers.xml_formats import kept
from ecg_tasks.readers.xml_formats.base import XmlReader
from ecg_tasks.readers.xml_formats.text import bytes_in, needed, number, parse_xml, text_at
from ecg_tasks.readers.xml_formats.xli import packed_size, unpack_xli
from ecg_tasks.signals.record import STANDARD_LEADS

_VERSIONS = ("1.03", "1.04", "1.04.01", "1.04.02")
_TYPES = ("SierraECG", "PhilipsECG")
_STANDARD_ACQUISITIONS = ("STD-12", "10-WIRE")
_LIMB = STANDARD_LEADS[:6]
_KEPT_S = 10.0
_PULSE_UNTIL_S = 11.0
"""A recording of eleven seconds is ten of the patient and one that ends with a calibration pulse of 1 mV in every lead."""
_AGE_UNITS = ("years", "months", "weeks", "days")
_BAND = re.compile(r"([\d.]+)-([\d.]+)", re.ASCII)
_NAMESPACE = "http://www3.medical.philips.com"
_SIGNAL = "dataacquisition/signalcharacteristics"
_NUMBERS = dict.fromkeys(("samplingrate", "resolution", "signalresolution", "numberchannelsallocated"), kept.number)
_NUMBERS |= dict.fromkeys(("hipass", "lowpass", "acsetting", "notchfilterfreqs"), kept.hertz)
_KEPT = (
    {"documentinfo/documenttype": kept.one_of(*_TYPES), "documentinfo/documentversion": kept.one_of(*_VERSIONS)}
    | {"dataacquisition/machine": kept.model, "patient/generalpatientdata/sex": kept.nothing}
    | kept.below(_SIGNAL, _NUMBERS)
    | {
        f"{_SIGNAL}/signalbandwidth": kept.matching(_BAND.pattern),
        f"{_SIGNAL}/notchfiltered": kept.one_of("true", "false"),
        f"{_SIGNAL}/acquisitiontype": kept.one_of(*_STANDARD_ACQUISITIONS),
    }
)
"""What stays of a file without identifiers, beside the waveforms."""
_OF_WAVEFORMS = dict.fromkeys(("@dataencoding", "@compression", "@compressmethod"), kept.one_of("Base64", "XLI"))
_OF_WAVEFORMS |= {"@durationperchannel": kept.number}


class PhilipsXmlReader(XmlReader):
    """Philips' Sierra XML, versions 1.03 to 1.04.02: its rhythm, never its representative beats."""

    name = "philips_xml"
    title = "a Philips ECG XML file"
    root = "restingecgdata"

    def recordings(self, root: Element, *, name: str) -> tuple[Recording, ...]:
        """Read the waveforms, without the second that holds the calibration pulse.

        Raises
        ------
        BadInputError
            ``unreadable`` for another version or packing; ``incomplete`` with both counts; ``unit_unknown``.
        """
        version = text_at(root, "documentinfo/documentversion")
        if text_at(root, "documentinfo/documenttype") not in _TYPES or version not in _VERSIONS:
            raise BadInputError(Reason.UNREADABLE, f"{name}: its type or version is not supported; these are: {', '.join(_VERSIONS)}")
        acquired = root.find("dataacquisition")
        signal = None if acquired is None else acquired.find("signalcharacteristics")
        recorded_on = _day("" if acquired is None else acquired.get("date", ""))
        clock = ("" if acquired is None else acquired.get("time", "")).split(":")
        made = Acquisition(
            recorded=metadata.moment(recorded_on, *clock) if len(clock) == 3 else recorded_on,  # noqa: PLR2004 - hours, minutes, seconds
            device=metadata.line(text_at(acquired, "machine")),
            filters=_filters(signal),
            source_format=f"Philips Sierra XML {version}",
        )
        leads = _leads(root, signal, name=name)
        patient = _patient(root.find("patient/generalpatientdata"), on=recorded_on)
        return (Recording(name=name, leads=leads, patient=patient, acquisition=made),)

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the waveforms again, with age, sex, year, device and filters; measurements, statements and other channels are left out."""
        ((file, data),) = files.items()
        root = parse_xml(data, name=name)
        patient = self.read(files, name).recordings[0].patient
        acquired, stored = root.find("dataacquisition"), root.find(".//parsedwaveforms")
        if acquired is None or stored is None:
            raise impossible(name, "its waveforms are not in the usual place")
        unread = {f"{_SIGNAL}/signalresolution"} if text_at(root, f"{_SIGNAL}/resolution") else set()
        unread |= {f"{_SIGNAL}/numberchannelsallocated"} if stored.get("leadlabels", "").split() else set()
        tree = kept.copy_of(root, {path: keep for path, keep in _KEPT.items() if path not in unread})
        if recorded := _day(acquired.get("date", "")):
            kept.put(tree, "dataacquisition", "", date=f"{recorded.year:04}-01-01", time="00:00:00")
        age, unit = age_and_unit(patient.age)
        if age:
            kept.put(tree, f"patient/generalpatientdata/age/{unit}", age)
        kept.put(tree, "patient/generalpatientdata/sex", (patient.sex or "").capitalize())
        labels = _labels(stored, acquired.find("signalcharacteristics"), name=name)
        waveforms = kept.copy_of(stored, _OF_WAVEFORMS)
        waveforms.set("numberofleads", str(len(labels)))
        if stored.get("leadlabels", "").split():
            waveforms.set("leadlabels", " ".join(kept_names(labels)))
        packed = bytes_in("".join(stored.itertext()), what="the waveforms", name=name)
        waveforms.text = base64.b64encode(packed[: packed_size(packed, n_leads=len(labels))]).decode("ascii")
        SubElement(tree, "waveforms").append(waveforms)
        return {file: kept.written(tree, namespace=_NAMESPACE)}


def _leads(root: Element, signal: Element | None, *, name: str) -> tuple[Lead, ...]:
    stored = root.find(".//parsedwaveforms")
    if stored is None:
        raise BadInputError(Reason.UNREADABLE, f"{name}: it has no parsedwaveforms, so it has no signal; export the ECG with its waveforms")
    if stored.get("dataencoding") != "Base64" or (stored.get("compression") or stored.get("compressmethod")) != "XLI":
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: its waveforms are not compressed as XLI in Base64; other waveforms are not supported"
        )
    fs = needed(text_at(signal, "samplingrate"), what="samplingrate", name=name, most=100_000)
    duration_ms = needed(stored.get("durationperchannel", ""), what="durationperchannel", name=name, most=3_600_000)
    resolution = text_at(signal, "resolution") or text_at(signal, "signalresolution")
    if not resolution:
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: it does not give the resolution in uV, so its samples cannot be converted to mV")
    scale = needed(resolution, what="resolution", name=name)
    labels = _labels(stored, signal, name=name)
    n_samples = int(duration_ms * fs / 1000)
    metadata.check_size(n_samples * len(labels), name=name)
    packed = bytes_in("".join(stored.itertext()), what="the waveforms", name=name)
    counts = _whole(unpack_xli(packed, n_leads=len(labels), n_samples=n_samples, name=name))
    kept = round(_KEPT_S * fs) if _KEPT_S * fs < n_samples <= _PULSE_UNTIL_S * fs else n_samples
    return tuple(Lead(name=label, units="uV", fs=fs, samples=row[:kept] * scale) for label, row in zip(labels, counts, strict=True))


def _labels(stored: Element, signal: Element | None, *, name: str) -> Sequence[str]:
    """Return the leads in their order; the first six are always the limb leads, four of which are stored as what is left of them."""
    labels = stored.get("leadlabels", "").split()
    if labels:
        promised = number(stored.get("numberofleads", "")) or 0
        if len(labels) < promised:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: {len(labels)} leads have names; numberofleads is {promised:g}")
        labels = labels[: int(promised) or len(labels)]
    elif text_at(signal, "acquisitiontype") in _STANDARD_ACQUISITIONS:
        labels = list(STANDARD_LEADS[: int(number(text_at(signal, "numberchannelsallocated")) or 0)])
    if tuple(labels[: len(_LIMB)]) != _LIMB:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: its leads do not begin with {', '.join(_LIMB)}, from which the others are computed"
        )
    return labels


def _whole(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the leads, shape (n_leads, n_samples), from the packed ones, where III, aVR, aVL and aVF are what is left after I and II."""
    one, two = counts[0], counts[1]
    three = two - one - counts[2]
    counts[2] = three
    counts[3] = -counts[3] - (one + two) // 2
    counts[4] = (one - three) // 2 - counts[4]
    counts[5] = (two + three) // 2 - counts[5]
    return counts


def _patient(who: Element | None, *, on: date | None) -> Patient:
    """Return the person; ``defaultage`` is what the cardiograph assumes where the age is not known, and no age."""
    age = next((f"{text} {unit}" for unit in _AGE_UNITS if (text := text_at(who, f"age/{unit}"))), "")
    return metadata.person(
        id_text=text_at(who, "patientid") or text_at(who, "MRN"),
        age=age,
        born=_day(text_at(who, "age/dateofbirth")),
        on=on,
        sex=text_at(who, "sex"),
    )


def _filters(signal: Element | None) -> Filters:
    """Return the filters of the stored samples; those of ``reportbandwidth`` are for the printed report alone."""
    band = _BAND.fullmatch(text_at(signal, "signalbandwidth"))
    notch = text_at(signal, "notchfiltered").lower()
    notch_hz = {"true": text_at(signal, "notchfilterfreqs") or text_at(signal, "acsetting"), "false": "0"}.get(notch, "")
    return Filters(
        highpass_hz=metadata.hertz(number(text_at(signal, "hipass") or (band[1] if band else ""))),
        lowpass_hz=metadata.hertz(number(text_at(signal, "lowpass") or (band[2] if band else ""))),
        notch_hz=metadata.hertz(number(notch_hz)),
    )


def _day(text: str) -> date | None:
    parts = text.split("-")
    return metadata.day(*parts) if len(parts) == 3 else None  # noqa: PLR2004 - a date has three parts
