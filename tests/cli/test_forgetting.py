"""What ``forget`` does outside the bucket: the list for backups. Not here: forgetting (``pipeline/test_forget_patient``)."""

import json
from types import SimpleNamespace

from deploy.embedded.home import Home
from ecg_tasks.actions import forgetting as asking
from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import Forgetting, write
from ecg_tasks.cli import backup, forgetting


def test_a_restored_stack_is_told_what_to_forget(tmp_path, monkeypatch):
    """The list stands beside the state folder, and in it after a restore, until it is done."""
    home = tmp_path / "home"
    monkeypatch.setenv("ECG_HOME", str(home))
    listed = forgetting.list_of(home)
    assert listed.parent == tmp_path
    listed.write_text(json.dumps({"digests": ["ab"]}))
    monkeypatch.setattr("deploy.embedded.backup.restore", lambda home, *_, **_more: home.path.mkdir())
    backup.restore(tmp_path / "any.tar", None)
    assert json.loads((home / forgetting.ON_RESTORE).read_text()) == {"digests": ["ab"]}
    asked, begun = [], []
    meant = asking.Meant(n_records=1, record_ids=("0",), learnt_by=(), found=None)
    monkeypatch.setattr(forgetting, "open_bucket", lambda: "bucket")
    monkeypatch.setattr(asking, "find_listed", lambda store, digests: asked.append((store, digests)) or meant)
    monkeypatch.setattr(asking, "request", lambda *_, **more: more["who"])
    monkeypatch.setattr(forgetting, "_run", lambda _, token: begun.append(token))
    stack = SimpleNamespace(home=SimpleNamespace(path=home), login="admin")
    forgetting.forget_restored(stack)
    assert (asked, begun) == ([("bucket", ["ab"])], ["admin"])
    assert not (home / forgetting.ON_RESTORE).exists()
    forgetting.forget_restored(stack)
    assert len(asked) == 1


def test_the_list_is_written_again_where_it_lacks_something(bucket, tmp_path, monkeypatch):
    """What a page asked for is on it after the next start or backup; one that has all is left as it is."""
    stack = SimpleNamespace(home=Home(tmp_path / "home"))
    monkeypatch.setattr(forgetting, "open_bucket", lambda: bucket)
    forgetting.renew_list(stack)
    file = forgetting.list_of(stack.home.path)
    assert not file.exists()
    write(bucket, keys.forgotten("aa"), Forgetting(token="aa", who="x", why="y", when="z", what="record", digests=("d1",), ended="now"))
    forgetting.renew_list(stack)
    assert json.loads(file.read_text())["digests"] == ["d1"]
    file.write_text(json.dumps({"digests": ["d1", "d2"]}))
    forgetting.renew_list(stack)
    assert json.loads(file.read_text())["digests"] == ["d1", "d2"]
