"""The code that ran is named as git names it."""

import subprocess

from ecg_tasks.archive import code_version
from ecg_tasks.archive.documents import write_manifest
from tests import whole_documents
from tests.plain_json import get_json


def git(*arguments, cwd):
    """What git prints."""
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def test_tree_is_what_git_says(tmp_path):
    """Of files, programs, folders in folders, names that sort before and after a folder's, git gives the same digest."""
    for name in ("a.py", "sub.py", "sub/x.py", "sub/deeper/y.html", "sub-z", "sub0"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "a.py").chmod(0o755)
    for left_over in ("__pycache__", "empty/__pycache__"):
        (tmp_path / left_over).mkdir(parents=True)
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    found = code_version.git_tree(tmp_path).hex()
    git("init", "-q", cwd=tmp_path)
    git("add", "*.py", "sub*", cwd=tmp_path)
    assert found == git("write-tree", cwd=tmp_path)


def test_every_manifest_says_which_code_ran(bucket):
    """The writer of a manifest need not think of it."""
    key = write_manifest(bucket, whole_documents.night("some-run"))
    assert key == "manifests/classify_records/some-run.json"
    assert get_json(bucket, key)["code"] == code_version.code_version()
