"""Here: a PDF file with pages in millimetres: lines, boxes and real text. Not here: what stands on them (``record_sheets``).

Matplotlib's PDF backend writes it, without its figures: these would take half a second a page. The same drawing gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends import backend_pdf
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.path import Path as Curve
from matplotlib.transforms import IdentityTransform
from numpy.typing import ArrayLike, NDArray

from ecg_tasks import __version__

_BACKEND: Any = backend_pdf
"""It has no types."""
Anchor = Literal["start", "middle", "end"]
POINTS_PER_MM = 72 / 25.4
_RC: dict[Any, Any] = {"pdf.fonttype": 42, "pdf.compression": 6, "path.simplify": True, "path.simplify_threshold": 0.05, "path.snap": False}
"""TrueType fonts, cut down to what is used; whatever a user's own settings say."""
_UNKNOWN = "\ufffd"
"""Stands for a character that the font does not have."""


class Paper(NamedTuple):
    """A sheet in landscape, mm."""

    width: float
    height: float


PAPERS = {"a4": Paper(297.0, 210.0), "letter": Paper(279.4, 215.9)}


class PdfPage:
    """A page to draw on; x runs to the right and y down, in mm from the left upper corner."""

    def __init__(self, renderer: Any, paper: Paper) -> None:
        self._renderer = renderer
        self.paper = paper

    def strokes(self, curves: Iterable[tuple[ArrayLike, ArrayLike]], *, width_mm: float, colour: str) -> None:
        """Draw curves, each through its x and its y, of one width and colour."""
        points, codes = [], []
        for x, y in curves:
            across, down = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
            points.append(self._points(across, down))
            codes.append(np.full(len(across), Curve.LINETO, dtype=np.uint8))
            codes[-1][0] = Curve.MOVETO
        if points:
            gc = self._renderer.new_gc()
            gc.set_foreground(colour)
            gc.set_linewidth(width_mm * POINTS_PER_MM)
            gc.set_capstyle("butt")
            gc.set_joinstyle("round")
            curve = Curve(np.concatenate(points), np.concatenate(codes)) if len(points) > 1 else Curve(points[0])
            self._renderer.draw_path(gc, curve, IdentityTransform())
            gc.restore()

    def box(self, x: float, y: float, width: float, height: float, *, colour: str) -> None:
        """Fill a box."""
        self.shape([x, x + width, x + width, x], [y, y, y + height, y + height], colour=colour)

    def shape(self, x: Sequence[float], y: Sequence[float], *, colour: str) -> None:
        """Fill a shape with these corners."""
        from matplotlib.colors import to_rgb

        gc = self._renderer.new_gc()
        gc.set_linewidth(0)
        corners = self._points(np.array(x), np.array(y))
        self._renderer.draw_path(gc, Curve(corners, closed=False), IdentityTransform(), to_rgb(colour))
        gc.restore()

    def text(
        self, x: float, y: float, content: str, *, size: float = 8.0, bold: bool = False, colour: str = "#182131", anchor: Anchor = "start"
    ) -> float:
        """Write one line; ``y`` is its base line, ``size`` in points. Returns how wide it is, mm."""
        content = writable(content)
        width = width_of(content, size=size, bold=bold)
        if content.strip():
            shift = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            gc = self._renderer.new_gc()
            gc.set_foreground(colour)
            ((left, base),) = self._points(np.array([x - shift]), np.array([y]))
            self._renderer.draw_text(gc, left, base, content, _font(bold, size), 0)
            gc.restore()
        return width

    def paragraph(
        self, x: float, y: float, content: str, *, width: float, size: float = 8.0, bold: bool = False, colour: str = "#182131"
    ) -> float:
        """Write text over as many lines as it takes; returns the base line of the next one."""
        for line in wrapped(content, width=width, size=size, bold=bold):
            self.text(x, y, line, size=size, bold=bold, colour=colour)
            y += line_mm(size)
        return y

    def _points(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([x, self.paper.height - y], axis=1) * POINTS_PER_MM


class Pdf:
    """A PDF file that is written page by page; open it with `pdf`."""

    def __init__(self, file: Any, paper: Paper) -> None:
        self._file = file
        self._paper = paper

    @contextmanager
    def page(self) -> Iterator[PdfPage]:
        """Give the next page to draw on."""
        width, height = self._paper.width / 25.4, self._paper.height / 25.4
        self._file.newPage(width, height)
        renderer = _BACKEND.RendererPdf(self._file, 72, height, width)
        yield PdfPage(renderer, self._paper)
        renderer.finalize()
        self._file.endStream()


@contextmanager
def pdf(out: BinaryIO, *, title: str, paper: Paper) -> Iterator[Pdf]:
    """Write a PDF file in English, with a title that readers show, and no time in it; it is whole when the block has ended."""
    told = {"Title": writable(title), "Creator": f"ecg-spectrograms {__version__}", "CreationDate": None}
    with mpl.rc_context(_RC):
        file = _BACKEND.PdfFile(out, metadata=told)
        file.writeObject(
            file.rootObject,
            {"Type": _BACKEND.Name("Catalog"), "Pages": file.pagesObject, "Lang": "en", "ViewerPreferences": {"DisplayDocTitle": True}},
        )
        yield Pdf(file, paper)
        file.finalize()
        file.close()


def writable(text: str) -> str:
    """Return a text with a sign for every character that cannot be written: those that the font does not have, and line ends."""
    known = _characters()
    return "".join(one if ord(one) in known else " " if one.isspace() else _UNKNOWN for one in text)


def width_of(text: str, *, size: float, bold: bool = False) -> float:
    """Return how wide a line is, mm."""
    return _units_wide(writable(text), bold=bold) * size / POINTS_PER_MM


def line_mm(size: float) -> float:
    """Return from one base line to the next, mm."""
    return 1.25 * size / POINTS_PER_MM


def wrapped(text: str, *, width: float, size: float, bold: bool = False) -> list[str]:
    """Return a text in lines that are no wider than this, mm; a word that is wider is cut."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if width_of(joined, size=size, bold=bold) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if lines[-1] and width_of(lines[-1] + letter, size=size, bold=bold) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def shortened(text: str, *, width: float, size: float, bold: bool = False) -> str:
    """Return a text as it is, or its beginning with dots where it is wider than this, mm."""
    lines = wrapped(" ".join(text.split()).replace(" ", "\u00a0"), width=width - 2, size=size, bold=bold)
    return lines[0] if len(lines) == 1 else f"{lines[0]}…"


@cache
def _units_wide(text: str, *, bold: bool) -> float:
    """Return how wide a line is at one point, in points."""
    font = _measuring(bold)
    font.set_text(text, 0.0)
    width, _ = font.get_width_height()
    return float(width) / 64 / _MEASURED_AT


_MEASURED_AT = 100.0


@cache
def _measuring(bold: bool) -> FT2Font:  # noqa: FBT001 - one of two fonts
    font = FT2Font(str(_path(bold)))
    font.set_size(_MEASURED_AT, 72)
    return font


@cache
def _font(bold: bool, size: float) -> FontProperties:  # noqa: FBT001 - one of two fonts
    return FontProperties(fname=str(_path(bold)), size=size)


@cache
def _characters() -> frozenset[int]:
    return frozenset(FT2Font(str(_path(False))).get_charmap())  # noqa: FBT003


def _path(bold: bool) -> Path:  # noqa: FBT001 - one of two fonts
    """Return a font that comes with Matplotlib, so that no machine lacks it."""
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
