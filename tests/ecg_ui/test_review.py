"""Review is blind: before a verdict no page says what the model, the source or another reviewer said, and afterwards it does."""

import csv
import io
import re
from contextlib import contextmanager

import numpy as np
import pytest

from ecg_tasks.archive import keys, tables, verdicts
from ecg_tasks.archive.labelling import LabelEntry, write_labels
from ecg_tasks.pipeline import decided
from ecg_tasks.queries import records, review_queue, second_readings
from ecg_tasks.readers.labels_csv import read_labels
from tests.ecg_ui.test_forms import OWN

OTHER = {"normal": "abnormal", "abnormal": "normal"}


@contextmanager
def said_of_all(store, label, *, flipped, when):
    """While all records have a source's label, and, where ``flipped``, every model says the opposite of what it said."""
    before = {key: store.get(key) for key in store.list_keys(keys.PREDICTIONS)}
    ids = [record_id for data in before.values() for record_id in tables.load(data)["record_id"]]
    table = write_labels(store, [LabelEntry(record_id=one, label=label, who="source:x.csv", when=when) for one in sorted(set(ids))])
    for key, data in before.items() if flipped else ():
        columns = tables.load(data)
        columns["decision"] = [OTHER.get(decision, "normal") for decision in columns["decision"]]
        columns["probability"] = (1 - np.asarray(columns["probability"])).astype(np.float32)
        columns["quality"] = (np.asarray(columns["quality"]) / 2).astype(np.float32)
        store.replace(key, tables.dump(tables.PREDICTIONS, columns))
    _forget()
    try:
        yield
    finally:
        for key, data in before.items():
            store.replace(key, data)
        store.delete(table)
        _forget()


def _forget():
    for kept in (records._predictions, decided._decided):
        kept.forget()


def without_token(text):
    """A page without what is another one each time."""
    return re.sub(r'name="token" value="[^"]+"', "", text)


def queue_of(store, name):
    """Ids in the order of somebody's blind queue."""
    return [item.record_id for item in review_queue.queue(store, user=name, blind=True).items]


def give(client, token_of, record_id, verdict, **fields):
    """Send a verdict from the review page; the answer."""
    return client.post("/ecg/review", data={"token": token_of(client), "record_id": record_id, "verdict": verdict, **fields}, headers=OWN)


@pytest.fixture
def taken_back(archive):
    """Takes back every verdict that a test gives."""
    yield
    for entry in verdicts.standing(verdicts.read_labels(archive.store).reviews):
        verdicts.withdraw(archive.store, entry.record_id, user=entry.who.partition(":")[2], when=entry.when)


def test_blind_pages_are_the_same_whatever_the_model_and_the_source_say(client_of, archive, monkeypatch):
    """Queue and recordings, byte by byte, while all decisions, probabilities, qualities and labels are the one or the other.

    The batch is the whole queue here: which records are in it may depend on the model.
    """
    monkeypatch.setattr(review_queue, "BATCH", 1000)
    reviewer = client_of("reviewer")
    seen = []
    for label, flipped, when in (("normal", False, "2090-01-01T00:00:00+00:00"), ("abnormal", True, "2090-01-02T00:00:00+00:00")):
        with said_of_all(archive.store, label, flipped=flipped, when=when):
            order = queue_of(archive.store, "ada-reviewer")
            asked = [
                *(f"/ecg/review?offset={at}" for at in range(3)),
                *(f"/ecg/records/{one}?reading=true" for one in order[:8]),
                "/ecg/review/verdicts",
            ]
            seen.append((order, [without_token(reviewer.get(path).text) for path in asked]))
            assert "Label: " in reviewer.get(f"/ecg/records/{order[0]}").text
    (first, pages), (second, others) = seen
    assert first == second
    assert len(first) == 50
    assert pages == others


def test_a_blind_page_has_no_name_no_decision_and_no_reason(client_of, archive, rows):
    """A name may say what a recording is, as those of public data sets do; the words of the verdicts stand in the form alone."""
    reviewer = client_of("reviewer")
    for path in ("/ecg/review", f"/ecg/records/{rows[0]['record_id']}?reading=true"):
        text = reviewer.get(path).text
        bare = re.sub(r'<button name="verdict".*?</button>', "", text)
        assert not [row["name"] for row in rows if row["name"] in text]
        assert "chip " not in bare
        assert 'class="bar' not in bare
        assert not re.search(r"threshold|contradict|P\(abnormal\)|P 0\.|the label says|says <", bare)
        assert "Measurements" in text


def test_the_setting_shows_them(client_of, archive, monkeypatch):
    """With ECG_REVIEW_BLIND=0 the page says why a record is first, and what the model says."""
    monkeypatch.setenv("ECG_REVIEW_BLIND", "0")
    reviewer, first = client_of("reviewer"), review_queue.queue(archive.store, user="ada-reviewer", limit=1).items[0]
    text = reviewer.get("/ecg/review").text
    assert f'says <span class="chip {first.decision}">' in text
    assert first.name in text
    assert "Next records" in text
    assert "Decision</h2>" in reviewer.get(f"/ecg/records/{first.record_id}?reading=true").text


def test_the_models_word_and_the_label_come_after_the_verdict(client_of, archive, token_of, taken_back):
    """On the review page and on the record's; a skip, and a verdict that was taken back, show nothing."""
    reviewer = client_of("reviewer")
    record_id = queue_of(archive.store, "ada-reviewer")[0]
    page, reveals = f"/ecg/records/{record_id}?reading=true", '<h2 id="revealed-h">'
    skipped = give(reviewer, token_of, record_id, "skip")
    assert reveals not in reviewer.get(skipped.headers["location"]).text
    assert "Decision</h2>" not in reviewer.get(page).text
    with said_of_all(archive.store, "normal", flipped=False, when="2090-01-01T00:00:00+00:00"):
        answer = give(reviewer, token_of, record_id, "abnormal")
        text = reviewer.get(answer.headers["location"]).text
    shown = text.partition(reveals)[2].partition("</section>")[0]
    item = review_queue.reveal(archive.store, record_id, user="ada-reviewer").item
    assert 'You said <span class="chip abnormal">' in shown
    assert f'says <span class="chip {item.decision}">' in shown
    assert 'its source says <span class="chip normal">' in shown
    assert "Decision</h2>" in reviewer.get(page).text
    when = review_queue.history(archive.store, record_id)[0].when
    reviewer.post("/ecg/review/undo", data={"token": token_of(reviewer), "record_id": record_id, "at": when}, headers=OWN)
    assert reveals not in reviewer.get(answer.headers["location"]).text
    assert "Decision</h2>" not in reviewer.get(page).text


def test_two_read_a_record_blind_and_a_third_where_they_differ(client_of, archive, token_of, taken_back, monkeypatch):
    """The second does not see the first one's verdict, comment or class; who has spoken is not asked again."""
    monkeypatch.setattr(second_readings, "SECOND_READINGS", 1)
    people = {name: client_of("reviewer", name=name) for name in ("rita", "rolf", "rosa")}
    record_id = queue_of(archive.store, "rita")[2]

    def pages_of(name):
        at = queue_of(archive.store, name).index(record_id)
        asked = (f"/ecg/review?offset={at}", f"/ecg/records/{record_id}?reading=true", "/ecg/review/verdicts")
        return [people[name].get(path).text for path in asked]

    assert give(people["rita"], token_of, record_id, "normal", comment="Wenckebach?", tags=["AVB2"]).status_code == 303
    for text in pages_of("rolf"):
        assert "Wenckebach" not in text
        assert "AVB2 ?" not in text
        assert not re.search(r'class="chip|bdi>rita</bdi><br>', text)
    assert "Not shown until you have given your own verdict: 1 record." in pages_of("rolf")[2]
    assert give(people["rolf"], token_of, record_id, "abnormal").status_code == 303
    assert [record_id in queue_of(archive.store, name) for name in people] == [False, False, True]
    assert not [text for text in pages_of("rosa") if "Wenckebach" in text or "disputed</span>" in text]
    assert "another person</dt><dd>1 to read" in people["rita"].get("/ecg/review").text
    assert "Wenckebach" in people["rita"].get("/ecg/review/verdicts?q=avb2 wencke").text or review_queue.history(archive.store, record_id)
    assert give(people["rosa"], token_of, record_id, "abnormal").status_code == 303
    assert not any(record_id in queue_of(archive.store, name) for name in (*people, "rudi"))
    said = {one.user: (one.label, one.classes) for one in review_queue.history(archive.store, record_id) if not one.withdrawn}
    assert {name: said[name] for name in people} == {"rita": ("normal", "AVB2 ?"), "rolf": ("abnormal", ""), "rosa": ("abnormal", "")}


def test_an_operator_gives_a_reading_by_name(client_of, archive, token_of, taken_back):
    """The form has those who read lately and have not spoken; who was asked has it in the queue, and nobody else; a reader has no form."""
    record_id, other, third = queue_of(archive.store, "rita")[:3]
    for name, one in (("rita", record_id), ("rolf", other), ("rosa", third)):
        client_of("reviewer", name=name)
        verdicts.save_verdict(archive.store, one, verdict="normal", user=name)
    operator, page = client_of("operator"), f"/ecg/records/{record_id}"
    assert re.findall(r"<option[^>]*>([^<]*)</option>", operator.get(page).text.partition('name="reader"')[2])[:3] == [
        "by rule",
        "rolf",
        "rosa",
    ]
    answer = operator.post(f"{page}/reader", data={"token": token_of(operator, page), "reader": "rosa"}, headers=OWN)
    assert answer.headers["location"] == f"{page}?done=asked#said-h"
    assert [record_id in queue_of(archive.store, name) for name in ("rita", "rolf", "rosa", "rudi")] == [False, False, True, False]
    text = operator.get(page).text
    assert "<bdi>rosa</bdi> reads it next, asked by name." in text
    assert "<option selected>rosa</option>" in text
    assert 'name="reader"' not in client_of("reader").get(page).text
    refused = operator.post(f"{page}/reader", data={"token": token_of(operator, page), "reader": "rita"}, headers=OWN)
    assert (refused.status_code, "cannot be asked to read it" in refused.text) == (409, True)
    operator.post(f"{page}/reader", data={"token": token_of(operator, page), "reader": ""}, headers=OWN)
    assert "asked by name" not in operator.get(page).text


def test_classes_of_ones_own_are_kept_offered_and_found(client_of, archive, token_of, taken_back):
    """Typed in, with what is absent; the next reviewer can choose them, and a search finds the record, by its comment, too."""
    reviewer = client_of("reviewer")
    one, other = queue_of(archive.store, "ada-reviewer")[:2]
    assert give(reviewer, token_of, one, "abnormal", tags=["AFIB", "", "-PVC"], comment="irregular").status_code == 303
    assert give(reviewer, token_of, other, "normal").status_code == 303
    assert review_queue.history(archive.store, one)[0].classes == "AFIB -PVC ?"
    assert '<option value="AFIB"></option>' in reviewer.get("/ecg/review").text
    for asked, found in (("q=afib", {one}), ("q=IRREG", {one}), ("label=normal", {other}), ("q=nothing", set()), ("", {one, other})):
        text = reviewer.get(f"/ecg/review/verdicts?{asked}").text
        assert {record_id for record_id in (one, other) if f"/ecg/records/{record_id}" in text} == found, asked
    refused = give(reviewer, token_of, other, "abnormal", tags=["<b>AF</b>"])
    assert (refused.status_code, "nothing was saved" in refused.text, "<b>AF" in refused.text) == (409, True, False)
    assert give(reviewer, token_of, other, "abnormal", tags=["x" * 201]).status_code == 400


def test_comments_and_classes_come_before_the_keys_that_send(client_of, archive):
    """In the order of the page, and so of the Tab key; on a record's page too."""
    reviewer = client_of("reviewer")
    record_id = queue_of(archive.store, "ada-reviewer")[0]
    for path in ("/ecg/review", f"/ecg/records/{record_id}", f"/ecg/records/{record_id}?reading=true"):
        text = reviewer.get(path).text
        assert text.index('name="tags"') < text.index('name="comment"') < text.index('name="verdict"')


def test_verdicts_are_downloaded_as_a_label_table(client_of, archive, token_of, taken_back):
    """Whoever may read gets it; comments only where asked for, and no cell of it is a formula."""
    reviewer, reader = client_of("reviewer"), client_of("reader")
    record_id = queue_of(archive.store, "ada-reviewer")[0]
    give(reviewer, token_of, record_id, "abnormal", tags=["-AFIB"], comment="=cmd|x; Mrs Miller")
    plain = reader.get("/ecg/review/labels.csv")
    assert plain.headers["content-disposition"] == 'attachment; filename="labels.csv"'
    assert "Miller" not in plain.text
    (row,) = read_labels(plain.content, name="labels.csv").rows
    assert (row.record, row.label, str(row.classes)) == (record_id, "abnormal", "-AFIB ?")
    told = reader.get("/ecg/review/labels.csv?comments=true")
    (cells,) = csv.DictReader(io.StringIO(told.text))
    assert cells["comment"] == "'=cmd|x; Mrs Miller"
    assert not [cell for cell in cells.values() if cell[:1] in set("=+-@")]
    assert read_labels(told.content, name="labels.csv").rows[0].label == "abnormal"
