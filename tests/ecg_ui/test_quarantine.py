"""The quarantine by reason: what to do, the original, closing and reopening, one or many."""

import gzip
import re
from types import SimpleNamespace

import pytest

from ecg_tasks.archive import audit, keys
from ecg_tasks.errors import ADVICE, BadInputError, Reason
from ecg_tasks.pipeline.intake.quarantining import quarantine_contents
from ecg_tasks.queries import quarantine
from tests.ecg_ui.test_forms import OWN

FILES = {
    "x/scan.dcm": (Reason.UNREADABLE, b"\x89HDF\r\n\x1a\n" + bytes(range(256))),
    "x/<i>a</i>.csv": (Reason.WRONG_WIDTH, b"1,2,3\n4,5,6\n"),
    "x/b.csv": (Reason.WRONG_WIDTH, gzip.compress("é;2\n".encode())),
    "x/empty.csv": (Reason.WRONG_WIDTH, b""),
    "x/letter.pdf": (Reason.UNKNOWN_FORMAT, b"%PDF-1.7 \xff\xfe"),
    "x/what": (Reason.UNKNOWN_FORMAT, b"some text"),
}


@pytest.fixture
def refused(archive):
    """Entries of some reasons, by the name of their file; gone with all that a test did to them."""
    from ecg_tasks.archive.stored_names import StoredNames
    from ecg_tasks.settings import Settings

    before, names = set(archive.store.list_keys(keys.QUARANTINE)), StoredNames.of(Settings.from_environment())
    found = {}
    for number, (name, (reason, data)) in enumerate(FILES.items()):
        fault = BadInputError(reason, f"{name} is bad")
        one = quarantine_contents(archive.store, name=name, source=f"{number:064x}", fault=fault, contents={name: data}, names=names)
        found[name] = one.entry
    yield SimpleNamespace(store=archive.store, ids=found)
    archive.store.delete_many(key for key in archive.store.list_keys(keys.QUARANTINE) if key not in before)
    archive.store.delete_many([key for key in archive.store.list_keys(keys.INBOX) if "/x/" in key])
    archive.store.delete_many([keys.put_back(one) for one in found.values()])


@pytest.fixture
def operator(client_of):
    """Somebody who may put back."""
    return client_of("operator")


def do(client, token_of, act, *ids, **fields):
    """Send the form of the list."""
    sent = {"token": token_of(client, "/ecg/quarantine"), "act": act, "entry": ids, **fields}
    return client.post("/ecg/quarantine", data=sent, headers=OWN)


def sections(text):
    """The page's sections by the reason that each names."""
    parts = re.findall(r"<section.*?</section>", text, re.DOTALL)
    return {found[1] if (found := re.search(r'<span class="tag mono">(\w+)</span>', part)) else "beside": part for part in parts}


def test_entries_stand_by_reason_each_with_what_to_do(operator, refused):
    """With how many there are; documents and pictures come last, folded; one reason alone has a page."""
    found = sections(operator.get("/ecg/quarantine").text)
    assert {"unreadable", "wrong_width", "unknown_format", "beside"} <= set(found)
    assert all(str(ADVICE[Reason(name)]) in part for name, part in found.items() if name != "beside")
    assert "x/what" in found["unknown_format"]
    assert "letter.pdf" not in found["unknown_format"]
    assert "letter.pdf" in found["beside"].partition("<summary>")[2]
    assert list(found)[-1] == "beside"
    alone = operator.get("/ecg/quarantine?reason=wrong_width").text
    assert set(sections(alone)) == {"wrong_width"}
    assert all(f"/ecg/quarantine/{refused.ids[name]}" in alone for name in ("x/<i>a</i>.csv", "x/b.csv", "x/empty.csv"))
    assert "<i>a</i>" not in alone


def test_every_reason_has_advice():
    """One of two ways out at least is named: dropping again, or that nothing is to be done."""
    assert set(ADVICE) == set(Reason)
    assert [name for name, text in ADVICE.items() if not re.search(r"[Dd]rop |hide", text)] == []


def test_the_original_can_be_fetched(operator, client_of, refused):
    """The same bytes, to be saved and never shown, under the name that it had; nobody else gets them."""
    for name in ("x/scan.dcm", "x/<i>a</i>.csv"):
        path = f"/ecg/quarantine/{refused.ids[name]}"
        assert f'href="{path}/files/0"' in operator.get(path).text
        answer = operator.get(f"{path}/files/0")
        assert answer.content == FILES[name][1]
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        assert "<" not in answer.headers["content-disposition"]
        assert operator.get(f"{path}/files/1").status_code == 404
        for role in ("reader", "reviewer"):
            assert client_of(role).get(f"{path}/files/0").status_code == 403
            assert "/files/" not in client_of(role).get(path).text


def test_binary_is_shown_as_what_it_is(operator, refused):
    """In hexadecimal, with what it looks like; text as text, also where it is packed."""
    shown = {name: operator.get(f"/ecg/quarantine/{one}").text.partition("First bytes of the file")[2] for name, one in refused.ids.items()}
    assert "Binary, HDF5." in shown["x/scan.dcm"]
    assert "00000000  89 48 44 46 0d 0a 1a 0a" in shown["x/scan.dcm"]
    assert "\ufffd" not in shown["x/scan.dcm"]
    assert "1,2,3" in shown["x/<i>a</i>.csv"]
    assert "Binary" not in shown["x/<i>a</i>.csv"]
    assert "packed with gzip" in shown["x/b.csv"]
    assert "é;2" in shown["x/b.csv"]
    assert "(empty)" in shown["x/empty.csv"]


def test_what_was_mended_is_closed_and_may_be_opened_again(operator, refused, token_of):
    """By whom, and how, on the page of what is closed and in the log; it is not among the open ones meanwhile."""
    one = refused.ids["x/what"]
    answer = do(operator, token_of, "resolved", one)
    assert answer.headers["location"] == "/ecg/quarantine?done=resolved"
    assert one not in operator.get("/ecg/quarantine").text
    closed = operator.get("/ecg/quarantine?closed=true").text
    assert f"/ecg/quarantine/{one}" in closed
    assert "resolved by <bdi>ada-operator</bdi>" in closed
    assert "<dt>Resolved</dt>" in operator.get(f"/ecg/quarantine/{one}").text
    assert do(operator, token_of, "hidden", one).status_code == 409
    assert do(operator, token_of, "put-back", one).status_code == 409
    assert do(operator, token_of, "reopen", one).headers["location"] == "/ecg/quarantine?closed=true&done=reopen"
    assert one in operator.get("/ecg/quarantine").text
    assert do(operator, token_of, "reopen", one).status_code == 409
    acts = [
        (entry.action, entry.who, entry.detail.get("how")) for _, entry in audit.entries(refused.store) if entry.detail.get("entry") == one
    ]
    assert acts == [("close", "ada-operator", "resolved"), ("reopen", "ada-operator", None)]


def test_the_same_file_once_more_opens_a_closed_entry(operator, refused, token_of):
    """It came again, so it is not done with."""
    from ecg_tasks.archive.stored_names import StoredNames
    from ecg_tasks.settings import Settings

    do(operator, token_of, "hidden", refused.ids["x/what"])
    again = quarantine_contents(
        refused.store,
        name="x/what",
        source=f"{list(FILES).index('x/what'):064x}",
        fault=BadInputError(Reason.UNKNOWN_FORMAT, "bad"),
        contents={"x/what": b"some text"},
        names=StoredNames.of(Settings.from_environment()),
    )
    assert again.entry == refused.ids["x/what"]
    assert again.entry in operator.get("/ecg/quarantine").text


def test_many_are_done_at_once_and_what_cannot_be_is_said(operator, refused, token_of):
    """Those that were chosen, or all of a reason; one that waits in the inbox already stays, with a sentence."""
    three = [refused.ids[name] for name in ("x/<i>a</i>.csv", "x/b.csv", "x/empty.csv")]
    assert do(operator, token_of, "put-back", *three[:2]).headers["location"] == "/ecg/quarantine?done=put-back"
    assert refused.store.get(f"{keys.INBOX}x/b.csv") == FILES["x/b.csv"][1]
    refused.store.delete(f"{keys.INBOX}x/<i>a</i>.csv")
    n_others = quarantine.entries(refused.store, reason="wrong_width").total - 3
    answer = do(operator, token_of, "hidden", every="wrong_width")
    assert answer.status_code == 409
    assert f"Done: {n_others + 1}. Not done: 2." in answer.text
    assert "x/&lt;i&gt;a&lt;/i&gt;.csv waits in the inbox" in answer.text
    assert {one.id for one in quarantine.entries(refused.store, closed=True).entries} >= {three[2]}
    assert do(operator, token_of, "reopen", every="wrong_width").status_code == 303
    assert do(operator, token_of, "hidden").status_code == 409
    assert do(operator, token_of, "erase", *three).status_code == 400
    assert do(operator, token_of, "hidden", "../raw").status_code == 400


def test_who_may_not_put_back_has_no_form(client_of, refused, token_of, monkeypatch):
    """Readers and reviewers see reasons and advice, with digests for names where names are not kept."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    for role in ("reader", "reviewer"):
        text = client_of(role).get("/ecg/quarantine").text
        assert str(ADVICE[Reason.WRONG_WIDTH]) in text
        assert "letter" not in text
        assert '<button name="act"' not in text
        assert 'type="checkbox"' not in text
