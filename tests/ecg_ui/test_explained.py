"""What a decision is based on is not shown to a reviewer before the reviewer has looked, and can be switched off by anyone."""

import re

import pytest

HERE = {"origin": "http://testserver"}


@pytest.fixture(scope="module")
def record(rows):
    """A recording of twelve leads that a version has answered on."""
    return next(row["record_id"] for row in rows if row["recipe"] == "twelve_lead" and row["probability"] is not None)


def is_on(client, record):
    """Whether the switch is on when the page comes; the page has one."""
    page = client.get(f"/ecg/records/{record}").text
    (switch,) = re.findall(r'<input type="checkbox" class="explain"[^>]*>', page)
    assert 'class="why plainly"' in page
    assert '<section class="why" aria-labelledby="attribution-h">' in page
    return " checked" in switch


def test_who_only_reads_has_it_on(viewer, record):
    """Nobody waits for their verdict."""
    assert is_on(viewer, record)


def test_who_reviews_has_it_off_until_the_verdict(client_of, token_of, record):
    """On after it, and off again where it is taken back."""
    reviewer = client_of("reviewer", name="ida-looks-first")
    assert not is_on(reviewer, record)
    form = {"token": token_of(reviewer, f"/ecg/records/{record}"), "record_id": record}
    saved = reviewer.post("/ecg/review", data=form | {"verdict": "normal"}, headers=HERE)
    assert saved.status_code == 303
    assert is_on(reviewer, record)
    at = re.search(r"at=([^&]+)", saved.headers["location"])[1].replace("%3A", ":").replace("%2B", "+")
    assert reviewer.post("/ecg/review/undo", data=form | {"at": at}, headers=HERE).status_code == 303
    assert not is_on(reviewer, record)


def test_the_review_page_does_not_have_it(client_of, monkeypatch):
    """Where review is not blind it says where it is; a blind one leads to nothing that gives the decision away."""
    reviewer = client_of("reviewer", name="ida-looks-first")
    page = reviewer.get("/ecg/review").text
    assert 'class="why' not in page
    assert not re.search(r'href="/ecg/records/\w+["#]', page)
    monkeypatch.setenv("ECG_REVIEW_BLIND", "0")
    page = reviewer.get("/ecg/review").text
    assert 'class="why' not in page
    assert re.search(r'<a href="/ecg/records/\w+#waveform-h">What the decision is based on</a>', page)
