"""The pages of formats: each has an example, and it prints what stands under it."""

import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from benchmarks import written_files as written
from ecg_tasks.readers.sidecar import read_sidecar
from tests.hospital_files import FORMATS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/formats"


def archives(one: written.Made) -> written.Files:
    """Pack a recording and a picture."""
    (recording,) = written.edf(one).values()
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        archive.writestr("ward/a.edf", recording)
        archive.writestr("photo.jpg", b"\xff\xd8\xff")
    return {"night.zip": out.getvalue()}


PAGES: dict[str, Callable[[], list[bytes | tuple[str, bytes]]]] = {
    name: lambda write=write: _files(write(written.made()))
    for name, write in (
        ("archives", archives),
        ("dicom", written.dicom),
        ("edf", written.edf),
        ("lead_tables", written.lead_csv),
        ("numpy", written.npy),
        ("matlab", written.mat),
        ("hdf5", written.hdf5),
    )
} | {name: lambda one=one: [one.write(one.strip)] for name, one in FORMATS.items()}
"""What a page's example reads: the file that it names, then those beside it under their own names."""


def _files(written_files):
    first, *others = written_files.items()
    return [first[1], *others]


@pytest.mark.parametrize("name", PAGES)
def test_the_example_prints_what_stands_under_it(name, tmp_path, monkeypatch):
    """Run beside a file of the format that has the name which the page gives it, to its command as to its example."""
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"```python\n# {name}\n(.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    file_name = re.findall(r"`./ecg classify (.*?)`", page)[0]
    assert file_name in code
    first, *others = PAGES[name]()
    for called, data in ((file_name, first), *others):
        (tmp_path / called).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    out = StringIO()
    with redirect_stdout(out):
        exec(compile(code, f"{name}.md", "exec"), {})  # noqa: S102 - our own text
    assert out.getvalue() == printed


@pytest.mark.parametrize("name", PAGES)
def test_each_format_is_in_the_table_of_files(name):
    """With a link to its page, which says what is read, what is not, and how to export it."""
    assert f"(formats/{name}.md)" in (ROOT / "docs/files.md").read_text(encoding="utf-8")
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", page, re.MULTILINE) == ["What is read", "What is not read", "How to export it"]


def test_every_page_is_tested():
    """A page of the folder has an example of its own, but for that of the sidecar."""
    assert {file.stem for file in FOLDER.glob("*.md")} - {"signals_json"} == set(PAGES)


def test_the_sidecar_of_its_page_is_one():
    """The example is read as it stands, and the table has all of its keys."""
    page = (FOLDER / "signals_json.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert read_sidecar(text.encode(), name="signals.json").axis == 0
    assert re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE) == list(json.loads(text))
