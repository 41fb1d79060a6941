"""The pages of formats: each has an example, and it prints what stands under it."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.hospital_files import FORMATS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/formats"


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_prints_what_stands_under_it(name, tmp_path, monkeypatch):
    """Run beside a file of the format that has the name which the page gives it."""
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"```python\n# {name}\n(.*?)```", page, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    (file_name,) = set(re.findall(r'Path\("(.*?)"\)', code))
    assert f"./ecg classify {file_name}" in page
    (tmp_path / file_name).write_bytes(FORMATS[name].write(FORMATS[name].strip))
    monkeypatch.chdir(tmp_path)
    out = StringIO()
    with redirect_stdout(out):
        exec(compile(code, f"{name}.md", "exec"), {})  # noqa: S102 - our own text
    assert out.getvalue() == printed


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_in_the_table_of_files(name):
    """With a link to its page, which says what is read, what is not, and how to export it."""
    assert f"(formats/{name}.md)" in (ROOT / "docs/files.md").read_text(encoding="utf-8")
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", page, re.MULTILINE) == ["What is read", "What is not", "How to export it"]
