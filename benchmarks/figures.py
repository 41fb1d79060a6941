"""Here: what is asked of the figures, and the JSON that a program reads. Not here: measuring, or tables for people."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
"""Grows when a program that reads the JSON would have to change."""
MAX_GROWTH = 1.15
TIMES_FASTER = 100.0
TIMES_FASTER_TO_LEARN = 20.0
MAX_TRAINING_MB = 1500.0
MAX_RECORDING_MS = {"500": 4.0, "100": 2.0}
"""Processor time of a twelve-lead recording of ten seconds at so many Hz, from its files to the report."""

_PACKAGES = (
    "numpy",
    "scipy",
    "matplotlib",
    "opencv-python-headless",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "ai-edge-litert",
    "pandas",
    "pyarrow",
    "boto3",
)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One ratio and what is asked of it.

    Parameters
    ----------
    name : its key in the JSON
    says : what is compared, for a person
    value : the ratio
    at_least : it is good to be this large or larger; None if that is not asked
    at_most : it is good to be this small or smaller; None if that is not asked
    """

    name: str
    says: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none.

        What was measured cannot fall to 0: a value there is noise, such as a cost lost in that of the start, and meets no upper bound.
        """
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else 0 < self.value <= self.at_most


def ratios(found: Mapping[str, Any]) -> list[Ratio]:
    """Return the ratios of the benchmarks that were run.

    Parameters
    ----------
    found : results by the name of the benchmark: what ``measure`` of each returns
    """
    ratios_found: list[Ratio] = []
    if "rendering" in found:
        for case, words in (("one_frame", "one frame"), ("many_frames", "40 frames")):
            value = found["rendering"]["cases"][case]["times_faster"]
            says = f"rendering, {words}: matplotlib's time on one core in ours, pixels equal"
            ratios_found.append(Ratio(name=f"rendering_{case}", says=says, value=value, at_least=TIMES_FASTER))
    if "classification" in found:
        theirs, same, ours = (found["classification"][side] for side in ("notebook", "notebook_served", "heartbeat"))
        ratios_found += [
            Ratio(
                name="classification",
                says="classification, PNG to decision: the notebook's time in ours (heartbeat)",
                value=theirs["wall_ms"] / ours["wall_ms"],
                at_least=TIMES_FASTER,
            ),
            Ratio(
                name="classification_processor_time",
                says="the same in processor time: the notebook's uses all cores, ours one",
                value=theirs["cpu_ms"] / ours["cpu_ms"],
            ),
            Ratio(
                name="classification_same_network",
                says="of this from batches and LiteRT: same network, same pictures",
                value=theirs["wall_ms"] / same["wall_ms"],
            ),
            Ratio(
                name="classification_smaller_picture",
                says="of this from the smaller picture and network",
                value=same["wall_ms"] / ours["wall_ms"],
            ),
            Ratio(
                name="classification_memory",
                says="classification: the notebook's peak memory in ours (heartbeat)",
                value=theirs["peak_mb"] / ours["peak_mb"],
            ),
        ]
    if "scaling" in found:
        sizes = found["scaling"]["sizes"]
        span = f"{sizes[-1]['n_records']:,} records against {sizes[0]['n_records']:,}"
        for name, says in (
            ("cost_growth_cpu", "processor time a record"),
            ("cost_growth_wall", "time a record"),
            ("memory_growth", "peak memory"),
        ):
            ratios_found.append(Ratio(name=name, says=f"{says}, {span}", value=found["scaling"][name], at_most=MAX_GROWTH))
    if "twelve_lead" in found:
        for fs, figures in found["twelve_lead"]["rates"].items():
            ratios_found += [
                Ratio(
                    name=f"twelve_lead_{fs}_ms",
                    says=f"twelve leads of 10 s at {fs} Hz, from file to report: processor time, ms",
                    value=figures["ms"],
                    at_most=MAX_RECORDING_MS[fs],
                ),
                Ratio(
                    name=f"twelve_lead_{fs}",
                    says=f"the same: the time by wfdb, SciPy, matplotlib and Keras in ours, {fs} Hz",
                    value=figures["times_faster"],
                ),
                Ratio(
                    name=f"twelve_lead_{fs}_bound",
                    says=f"the same: our time in its bounds, {fs} Hz",
                    value=figures["ms"] / figures["bound_ms"],
                ),
            ]
    if "train" in found:
        ratios_found += [
            Ratio(
                name="training",
                says="learning, from samples to a network: the notebook's time in ours (heartbeat)",
                value=found["train"]["times_faster"],
                at_least=TIMES_FASTER_TO_LEARN,
            ),
            Ratio(
                name="training_auroc_gain",
                says="the same beats scored: our validation AUROC less the notebook's after the steps measured",
                value=found["train"]["heartbeat"]["auroc"] - found["train"]["notebook"]["auroc"],
                at_least=0.0,
            ),
            Ratio(
                name="training_memory_mb",
                says="learning: our peak memory, MB",
                value=found["train"]["heartbeat"]["peak_mb"],
                at_most=MAX_TRAINING_MB,
            ),
        ]
    return ratios_found


def document(found: Mapping[str, Any], *, quick: bool, load_before: float) -> dict[str, Any]:
    """Return everything for a program: the ratios first, then the results of each benchmark, then where they were measured."""
    return {
        "schema_version": SCHEMA_VERSION,
        "quick": quick,
        "ratios": {
            ratio.name: {
                "value": ratio.value,
                "at_least": ratio.at_least,
                "at_most": ratio.at_most,
                "met": ratio.met,
                "says": ratio.says,
            }
            for ratio in ratios(found)
        },
        **found,
        "machine": machine() | {"load_before": load_before, "load_after": os.getloadavg()[0]},
        "versions": versions(),
    }


def machine() -> dict[str, Any]:
    """Describe the machine that the figures were measured on."""
    cpu = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")] if cpu.exists() else []
    )
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": names[0] if names else platform.machine(),
        "n_processors": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
