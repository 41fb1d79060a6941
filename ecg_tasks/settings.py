"""Here: what the environment decides, read once into one frozen object. Not here: per-run parameters or defaults of algorithms."""

import logging
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.names import RecipeName

_MIN_PATIENT_KEY_BYTES = 32

RawKeeps = Literal["deidentified", "as_dropped", "nothing"]
Sandbox = Literal["if_possible", "required"]
"""Whether files are read behind as many walls as the kernel can put up, or behind all or not at all."""
DecideWhen = Literal["nightly", "at_once"]
Dates = Literal["exact", "month", "year"]
"""How much of a recording's date and time is kept."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the data lives and under which rules it is taken in.

    The store's address and credentials are the standard AWS variables (``AWS_ENDPOINT_URL_S3``,
    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_DEFAULT_REGION``) and are read by boto3 itself.
    """

    bucket: str
    """Name of the bucket (``ECG_BUCKET``)."""
    patient_key: bytes
    """Secret of the keyed hash that replaces every patient id (``ECG_PATIENT_KEY``, 32 bytes or more)."""
    recipes: tuple[str, ...] = (RecipeName.TWELVE_LEAD.value, RecipeName.HEARTBEAT.value)
    """Recipes that are rendered and classified, the first that takes a recording decides on it (``ECG_RECIPES``)."""
    wfdb_grace_s: float = 3600.0
    """Seconds that a WFDB header waits for the files it names (``ECG_WFDB_GRACE_S``)."""
    max_object_bytes: int = 256 * 1024 * 1024
    """Larger objects in the inbox are refused as ``too_large`` (``ECG_MAX_OBJECT_BYTES``)."""
    max_archive_bytes: int = 50_000_000_000
    """Larger archives are refused as ``too_large``, packed or unpacked (``ECG_MAX_ARCHIVE_BYTES``)."""
    max_archive_members: int = 200_000
    """Archives of more members are refused as ``too_large`` (``ECG_MAX_ARCHIVE_MEMBERS``): a plan holds a kilobyte or two for each."""
    min_tasks: int = 1
    """Work too small to fill many tasks is shared by so many (``ECG_MIN_TASKS``): on several machines as many as may run at once."""
    keep_names: bool = False
    """Names of files and folders are stored as they are (``ECG_KEEP_NAMES``): for collections in which they are nobody's."""
    raw_keeps: RawKeeps = "deidentified"
    """What is kept of the bytes of a dropped file (``ECG_RAW_KEEPS``): ``deidentified``, ``as_dropped`` or ``nothing``."""
    dates: Dates = "year"
    """How much of a recording's date and time is stored, from its intake on (``ECG_DATES``): ``exact``, ``month`` or ``year``."""
    sites: tuple[str, ...] = ()
    """Folders of the inbox that count as sites (``ECG_SITES``); the name of any other folder may be a person's, and is not stored."""
    sandbox: Sandbox = "if_possible"
    """Whether a kernel without Landlock or seccomp may read files (``ECG_SANDBOX``): ``if_possible`` or ``required``."""
    review_blind: bool = True
    """Reviewers see what the model and the source say only after their verdict (``ECG_REVIEW_BLIND``)."""
    logs: Path | None = None
    """Folder in which the embedded stack keeps the logs of all that it runs (``ECG_LOGS``, which it sets itself): they forget, too."""
    notify: tuple[str, ...] = ()
    """Addresses that the counts of each classification run go to, such as ``slack://…`` or ``mailtos://…`` (``ECG_NOTIFY``)."""
    notify_email: tuple[str, ...] = ()
    """Who gets the same by mail, through Airflow's connection ``smtp_default`` (``ECG_NOTIFY_EMAIL``; older than ``ECG_NOTIFY``)."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Raises
        ------
        ConfigurationError
            Names the variable that is missing or cannot be read.
        """
        env = os.environ if environment is None else environment
        patient_key = _required(env, "ECG_PATIENT_KEY").encode()
        if len(patient_key) < _MIN_PATIENT_KEY_BYTES:
            raise ConfigurationError(f"ECG_PATIENT_KEY has {len(patient_key)} bytes; it needs at least {_MIN_PATIENT_KEY_BYTES}")
        return cls(
            bucket=_required(env, "ECG_BUCKET"),
            patient_key=patient_key,
            recipes=_list(env, "ECG_RECIPES", cls.recipes),
            wfdb_grace_s=_number(env, "ECG_WFDB_GRACE_S", cls.wfdb_grace_s),
            max_object_bytes=int(_number(env, "ECG_MAX_OBJECT_BYTES", cls.max_object_bytes)),
            max_archive_bytes=int(_number(env, "ECG_MAX_ARCHIVE_BYTES", cls.max_archive_bytes)),
            max_archive_members=int(_number(env, "ECG_MAX_ARCHIVE_MEMBERS", cls.max_archive_members)),
            min_tasks=max(1, int(_number(_renamed(env, "ECG_SPREAD", "ECG_MIN_TASKS"), "ECG_MIN_TASKS", cls.min_tasks))),
            keep_names=_flag(env, "ECG_KEEP_NAMES", default=cls.keep_names),
            raw_keeps=_raw_keeps(env, cls.raw_keeps),
            dates=_dates(env, cls.dates),
            sites=_sites(env),
            sandbox=sandbox_in(env),
            review_blind=_flag(env, "ECG_REVIEW_BLIND", default=cls.review_blind),
            logs=Path(env["ECG_LOGS"]) if env.get("ECG_LOGS") else None,
            notify=(*_notify(env), *_old(env, "ECG_NOTIFY_WEBHOOK", _address(env, "ECG_NOTIFY_WEBHOOK"))),
            notify_email=_old(env, "ECG_NOTIFY_EMAIL", *_list(env, "ECG_NOTIFY_EMAIL", ())),
        )


def night_deadline_s(environment: Mapping[str, str] | None = None) -> float:
    """Return the seconds after which a nightly run that has not ended is reported late (``ECG_NIGHT_DEADLINE_S``; by default six hours).

    By itself, since the DAG file asks for it, where the rest need not be set.
    """
    return _number(os.environ if environment is None else environment, "ECG_NIGHT_DEADLINE_S", 6 * 3600.0)


def decides_at_once(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether new pictures start ``classify_records`` (``ECG_DECIDE=at_once``), or the night and people do (``nightly``).

    By itself, for the same reason.
    """
    env = os.environ if environment is None else environment
    return _one_of(env, "ECG_DECIDE", "nightly", get_args(DecideWhen)) == "at_once"


def inbox_queue(environment: Mapping[str, str] | None = None) -> str:
    """Return the address of the SQS queue on which the bucket reports new objects (``ECG_INBOX_QUEUE``); empty: the inbox is listed.

    Read apart from `Settings`, because it decides how a DAG file is read, where no bucket need be known.
    """
    return _address(os.environ if environment is None else environment, "ECG_INBOX_QUEUE")


def store_changes(environment: Mapping[str, str] | None = None) -> Path | None:
    """Return the file whose time changes with the store (``ECG_STORE_CHANGES``, which the embedded stack sets itself); None elsewhere."""
    file = (os.environ if environment is None else environment).get("ECG_STORE_CHANGES")
    return Path(file) if file else None


def site_names(text: str) -> tuple[str, ...]:
    """Read names of folders that are sites, as ``ECG_SITES`` has them, where no bucket need be known.

    >>> site_names("north, Ward 3")
    ('north', 'Ward 3')
    """
    return _sites({"ECG_SITES": text})


def retention_days(environment: Mapping[str, str] | None = None) -> dict[str, float]:
    """Read for how many days the scheduled maintenance keeps each prefix (``ECG_RETENTION``, such as ``reports=730,staging=30``).

    What is not named is kept for ever, except what has a deadline of its own (``pipeline.maintenance.rules.DEADLINES``).

    Examples
    --------
    >>> retention_days({"ECG_RETENTION": "reports=730, staging=30"})
    {'reports': 730.0, 'staging': 30.0}

    Raises
    ------
    ConfigurationError
        If a part is not ``prefix=days``.
    """
    env = os.environ if environment is None else environment
    days: dict[str, float] = {}
    for part in _list(env, "ECG_RETENTION", ()):
        prefix, _, number = part.partition("=")
        try:
            days[prefix.strip()] = float(number)
        except ValueError:
            days[prefix.strip()] = math.nan
        if not math.isfinite(days[prefix.strip()]):
            raise ConfigurationError(f"ECG_RETENTION holds {part!r}; write prefix=days, such as reports=730,staging=30")
    return days


def _notify(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return addresses with blanks between; their commas are their own, but for one at the end."""
    found = tuple(filter(None, (part.strip(",") for part in env.get("ECG_NOTIFY", "").split())))
    for place, address in enumerate(found, start=1):
        if "://" not in address:  # told without the address, which may hold a secret
            raise ConfigurationError(
                f"address {place} of ECG_NOTIFY has no scheme; write addresses such as mailtos://…, separated by blanks"
            )
    return found


def _old(env: Mapping[str, str], name: str, *found: str) -> tuple[str, ...]:
    """Return what a setting has that `ECG_NOTIFY` replaced; it is used too, with a warning."""
    if env.get(name):
        logging.getLogger(__name__).warning("ECG_NOTIFY now names every channel; %s still works", name)
    return tuple(filter(None, found))


def _renamed(env: Mapping[str, str], old: str, new: str) -> Mapping[str, str]:
    """Read a setting under the name that it had before where it has not its own, and say so."""
    if old not in env or new in env:
        return env
    logging.getLogger(__name__).warning("%s is now called %s; the old name still works", old, new)
    return {**env, new: env[old]}


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(f"{name} is not set; see docs/commands.md, 'Use your own bucket'")
    return value


def _list(env: Mapping[str, str], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.get(name, ",".join(default)).split(",") if part.strip())


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = env.get(name, "").strip().lower()
    if text and text not in _FLAGS:
        raise ConfigurationError(f"{name} is {text!r}; it must be 1 or 0")
    return _FLAGS[text] if text else default


_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _sites(env: Mapping[str, str]) -> tuple[str, ...]:
    found = _list(env, "ECG_SITES", ())
    if wrong := [one for one in found if "/" in one or one in {".", ".."}]:
        raise ConfigurationError(f"ECG_SITES holds {wrong[0]!r}; write names of folders directly below inbox/, separated by commas")
    return found


def _dates(env: Mapping[str, str], default: Dates) -> Dates:
    return cast("Dates", _one_of(env, "ECG_DATES", default, get_args(Dates)))


def _raw_keeps(env: Mapping[str, str], default: RawKeeps) -> RawKeeps:
    return cast("RawKeeps", _one_of(env, "ECG_RAW_KEEPS", default, get_args(RawKeeps)))


def _one_of(env: Mapping[str, str], name: str, default: str, known: Collection[str]) -> str:
    wanted = env.get(name, "").strip().lower() or default
    if wanted not in known:
        raise ConfigurationError(f"{name} is {wanted!r}; it must be one of {', '.join(known)}")
    return wanted


def sandbox_in(env: Mapping[str, str]) -> Sandbox:
    """Return whether walls around what reads files are required, also where nothing else is set."""
    return cast("Sandbox", _one_of(env, "ECG_SANDBOX", Settings.sandbox, get_args(Sandbox)))


def _address(env: Mapping[str, str], name: str) -> str:
    address = env.get(name, "").strip()
    if address and not address.startswith(("https://", "http://")):
        raise ConfigurationError(f"{name} must begin with https:// or http://")  # without its value, which may hold a secret
    return address


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):  # no limit at all is none that a time or a size can have
        raise ConfigurationError(f"{name} is {text!r}; it must be a number")
    if value < 0:
        raise ConfigurationError(f"{name} is {value}; it must not be negative")
    return value
