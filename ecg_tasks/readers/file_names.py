"""Here: what a file is for, by its name alone; the only home of suffixes. Not here: its content, or what becomes of it (``pipeline``)."""

import posixpath
import re
from enum import StrEnum
from functools import lru_cache

HEADER_SUFFIX = ".hea"
SIGNAL_SUFFIXES = (".dat", ".xyz", ".mat")
"""Files that mean nothing without a WFDB header, and wait for one."""
CSV_SUFFIXES = (".csv", ".csv.gz")
ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".parquet")
"""Arrays and tables that may need a sidecar to say their rate, unit and leads."""
SIDECAR = "signals.json"
LABEL_TABLE = "labels.csv"
_LABEL_TABLES = re.compile(r"labels(?: ?\(\d+\)| ?- ?copy(?: ?\(\d+\))?)?\.csv(?:\.gz)?", re.ASCII | re.IGNORECASE)
"""What a label table may be called: as browsers and file managers name a second copy, too."""
_LIKE_LABEL_TABLES = (".csv", ".csv.gz", ".tsv", ".tab", ".txt", ".xlsx", ".xls", ".ods", ".csv.zip", ".json", ".parquet")

_PARTIAL_SUFFIXES = (
    *(".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".opdownload", ".upload", ".uploading"),
    *(".incomplete", ".inprogress", ".aria2", ".s3tmp", ".swp", "~"),
)
_PARTIAL = re.compile(r"\.[^/]+\.[A-Za-z0-9]{6}|~syncthing~.*|\.syncthing\..*|\.goutputstream-.*|\.nfs[0-9a-f]+|\.fuse_hidden.*", re.DOTALL)
"""rsync's, Syncthing's, GNOME's and NFS's names for a file that is still being written."""

_OF_SYSTEMS = {
    ".ds_store",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    ".directory",
    ".localized",
    ".gitkeep",
    ".gitignore",
    ".keep",
}
_OF_SYSTEMS |= {".gitattributes"}
_FOLDERS_OF_SYSTEMS = {
    "__macosx",
    ".trashes",
    ".spotlight-v100",
    ".fseventsd",
    ".temporaryitems",
    "$recycle.bin",
    "system volume information",
}
_FOLDERS_OF_SYSTEMS |= {"@eadir", ".git"}
_OF_DATA_SETS = re.compile(
    r"(records|annotators)([-_][^.]*)?(\.txt)?|(sha(1|256|512)|md5|check)sums?(\.txt)?|"
    r"(licen[cs]e|readme|changelog|authors|citation)([-_][^.]*)?(\.(txt|md|rst|cff|html?))?|index\.html?|robots\.txt"
)
_SIDE_SUFFIXES = re.compile(r".*\.(atr[0-9a-z_]*|xws|[ewgs]?qrs[0-9]?|ann|ari|pu[0-9]?|q[12]c|qt[12]|sha(1|256|512)|md5)")
"""Annotations (WFDB's annotators), settings of its viewer WAVE, and sums of single files."""
_OTHER_FORMATS = (
    *(".csv", ".csv.gz", ".tsv", ".txt", ".md", ".rst", ".json", ".yaml", ".yml", ".xml", ".html", ".htm", ".pdf", ".rtf", ".doc", ".docx"),
    *(".odt", ".xls", ".xlsx", ".ods", ".ppt", ".pptx", ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".heic", ".webp"),
    *(".zip", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".edf", ".bdf", ".gdf", ".dcm", ".scp", ".mfer", ".mwf", ".ishne"),
    *(".feather", ".pkl", ".pickle", ".joblib", ".py", ".ipynb", ".m", ".r", ".sh", ".exe"),
    *(".mp3", ".mp4", ".wav", ".flac", ".mov", ".avi", ".log", ".bak", ".sqlite", ".db", ".eml", ".msg"),
)
"""No header can mean these but by its words, so they need not wait for one."""
_NO_SIGNAL = (
    *(".md", ".rst", ".yaml", ".yml", ".html", ".htm", ".pdf", ".rtf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods", ".ppt", ".pptx"),
    *(".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".heic", ".webp", ".py", ".ipynb", ".m", ".r", ".sh", ".exe"),
    *(".mp3", ".mp4", ".wav", ".mov", ".avi", ".log", ".bak", ".eml", ".msg"),
)
"""Documents, pictures and programs. Not among them are .txt, .json and tables: recordings are written into such files, too."""
_ENDINGS = frozenset((HEADER_SUFFIX, f".{SIDECAR}", *SIGNAL_SUFFIXES, *CSV_SUFFIXES, *ARRAY_SUFFIXES, *_OTHER_FORMATS))
"""Each begins with a dot."""
_LONGEST_ENDING = max(map(len, _ENDINGS))


class Kind(StrEnum):
    """What a file is for, as far as its name says."""

    HEADER = "header"
    SIGNAL = "signal"
    """Signals by its suffix; others may be called anything, and are known by the header that names them."""
    UNFINISHED = "unfinished"
    """A program's name for an upload that goes on."""
    SIDE = "side"
    """Belongs to a recording, a data set or an operating system, and holds no recording."""
    FOLDER = "folder"
    """A mark that stands for a folder."""
    ARRAY = "array"
    """Arrays, which may need a sidecar."""
    SIDECAR = "sidecar"
    """Describes the arrays in its folder, or the one whose stem it has, where they don't describe themselves."""
    OTHER = "other"
    """A separate format."""
    UNKNOWN = "unknown"
    """Its name says nothing."""


def kind_of(key: str) -> Kind:
    """Tell what a file is for, given its path.

    >>> [kind_of(f"inbox/{name}").value for name in ("A.HEA", "a.mat", "a.csv.part", "a.atr", "._a.hea", "RECORDS", "w/", "a.csv", "a")]
    ['header', 'signal', 'unfinished', 'side', 'side', 'side', 'folder', 'other', 'unknown']
    """
    name = posixpath.basename(key).casefold()
    found = Kind.UNKNOWN
    if key.endswith("/"):
        found = Kind.FOLDER
    elif _is_of_a_system(key):
        found = Kind.SIDE
    elif is_header(name) and not name.startswith("."):
        found = Kind.HEADER
    elif name.endswith(_PARTIAL_SUFFIXES) or name.startswith((".~", "~$")) or _PARTIAL.fullmatch(posixpath.basename(key)):
        found = Kind.UNFINISHED
    elif _OF_DATA_SETS.fullmatch(name) or _SIDE_SUFFIXES.fullmatch(name):
        found = Kind.SIDE
    elif is_signal(name):
        found = Kind.SIGNAL
    elif is_sidecar(name):
        found = Kind.SIDECAR
    elif name.endswith(ARRAY_SUFFIXES):
        found = Kind.ARRAY
    elif name.endswith(_OTHER_FORMATS):
        found = Kind.OTHER
    return found


def is_header(name: str) -> bool:
    """Tell whether a file is a WFDB header."""
    return name.casefold().endswith(HEADER_SUFFIX)


def is_signal(name: str) -> bool:
    """Tell whether a file holds signals that a WFDB header names; others may be called anything."""
    return name.casefold().endswith(SIGNAL_SUFFIXES)


def is_matlab(name: str) -> bool:
    """Return whether a file is MATLAB's by its name: signals of a WFDB header, or a separate array."""
    return name.casefold().endswith(".mat")


def is_csv(name: str) -> bool:
    """Tell whether a file is a table by its name."""
    return name.casefold().endswith(CSV_SUFFIXES)


def is_sidecar(name: str) -> bool:
    """Tell whether a file is a sidecar: ``signals.json``, or ``a.signals.json``, which speaks of the file ``a.npy`` alone."""
    return posixpath.basename(name).casefold() == SIDECAR or name.casefold().endswith(f".{SIDECAR}")


def sidecars_of(path: str) -> tuple[str, str]:
    """Return the names of the sidecars that a file may have in its folder; the first that is there counts.

    >>> sidecars_of("ward/a.npy")
    ('a.signals.json', 'signals.json')
    """
    return f"{posixpath.splitext(posixpath.basename(path))[0]}.{SIDECAR}", SIDECAR


def holds_no_signal(name: str) -> bool:
    """Tell whether a file is a document, a picture or a program by its name: what lies beside recordings, and is none.

    >>> holds_no_signal("ward/letter.PDF"), holds_no_signal("ward/ecg.txt")
    (True, False)
    """
    return name.casefold().endswith(_NO_SIGNAL)


def is_label_table(path: str) -> bool:
    """Tell whether a file is a label table.

    >>> is_label_table("ward/Labels (1).CSV"), is_label_table("ward/my_labels.csv")
    (True, False)
    """
    return _LABEL_TABLES.fullmatch(posixpath.basename(path)) is not None


def is_like_a_label_table(path: str) -> bool:
    """Tell whether a file is called as people call label tables that they saved in other ways."""
    name = posixpath.basename(path).casefold()
    return name.startswith("labels") and name.endswith(_LIKE_LABEL_TABLES)


@lru_cache(maxsize=1024)
def known_ending(name: str) -> str:
    """Return what a file's name ends with where that says its format, and else nothing: an ending that nobody knows may be a name.

    >>> known_ending("Erika.signals.json"), known_ending("beats.CSV.gz"), known_ending("ecg.mustermann")
    ('.signals.json', '.CSV.gz', '')
    """
    last = name.casefold()[-_LONGEST_ENDING:]
    dots = (place for place, letter in enumerate(last) if letter == ".")
    found = next((last[dot:] for dot in dots if last[dot:] in _ENDINGS), "")
    return name[len(name) - len(found) :]


def header_beside(path: str) -> str:
    """Return the path of the header of the same stem: ``inbox/a/100.hea`` for ``inbox/a/100.ii``."""
    return f"{posixpath.splitext(path)[0]}{HEADER_SUFFIX}"


def header_of_segments(path: str) -> str:
    """Return the path of the header that names this one as a segment, as programs name them.

    >>> header_of_segments("inbox/a/100_0001.hea")
    'inbox/a/100.hea'
    """
    return f"{posixpath.splitext(path)[0].rpartition('_')[0]}{HEADER_SUFFIX}"


def recording_name(path: str) -> str:
    """Return the name of the recording, or of the table's rows before ``#``, that a file of this path holds.

    >>> recording_name("ward/100.HEA"), recording_name("ward/beats.csv")
    ('ward/100', 'ward/beats.csv')
    """
    return path[: -len(HEADER_SUFFIX)] if is_header(path) else path


def recording_beside(path: str) -> str:
    """Return the name of the recording that a file speaks of which holds none itself: that of its stem.

    >>> [recording_beside(path) for path in ("ward/100.atr", "ward/100.dat.md5", "ward/beats.csv.sha256")]
    ['ward/100', 'ward/100', 'ward/beats.csv']
    """
    stem = posixpath.splitext(path)[0]
    return posixpath.splitext(stem)[0] if is_header(stem) or is_signal(stem) else stem


def finished_name(key: str) -> str:
    """Return what an unfinished upload would be called in the end, as far as its name says, and else nothing.

    >>> finished_name("inbox/w/beats.csv.part"), finished_name("inbox/.beats.csv.Xk29aQ")
    ('beats.csv', '')
    """
    name = posixpath.basename(key)
    suffix = next((suffix for suffix in _PARTIAL_SUFFIXES if name.casefold().endswith(suffix)), "")
    return name[: -len(suffix)] if suffix and not name.startswith(".") else ""


def _is_of_a_system(key: str) -> bool:
    *folders, name = key.casefold().split("/")
    return name in _OF_SYSTEMS or name.startswith("._") or not _FOLDERS_OF_SYSTEMS.isdisjoint(folders)
