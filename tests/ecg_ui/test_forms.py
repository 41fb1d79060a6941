"""What changes something is done once, by the person who is signed in, from one of our own pages."""

import json
import time

import numpy as np
import pytest
from airflow.exceptions import DagNotFound

from ecg_tasks.archive import forgotten, keys, registry, tables, verdicts
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.classes import CLASS_FIGURES
from ecg_tasks.learning.version import checksums
from ecg_tasks.pipeline import decide_champion, forget_patient
from ecg_tasks.queries import quarantine, records, review_queue
from ecg_ui import deciding, security

OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def item(archive):
    """The record that comes first in Ada's queue."""
    return review_queue.queue(archive.store, user="ada", limit=1).items[0]


def test_a_verdict_is_kept_with_its_name_and_can_be_taken_back(admin, archive, token_of, item):
    """From the form into the archive's labels, on to the next record, and back again."""
    fields = {"token": token_of(admin), "record_id": item.record_id, "verdict": "abnormal", "comment": "  ST <b>up</b> "}
    answer = admin.post("/ecg/review", data=fields, headers=OWN)
    assert answer.status_code == 303
    said = review_queue.history(archive.store, item.record_id)[0]
    assert (said.label, said.user, said.comment, said.in_force) == ("abnormal", "ada", "ST <b>up</b>", True)
    page = admin.get(answer.headers["location"]).text
    assert "Undo" in page
    assert f'value="{item.record_id}"' in page
    record = admin.get(f"/ecg/records/{item.record_id}").text
    assert "ST &lt;b&gt;up&lt;/b&gt;" in record
    undone = admin.post("/ecg/review/undo", data={"token": token_of(admin), "record_id": item.record_id, "at": said.when}, headers=OWN)
    assert undone.headers["location"] == "/ecg/review?done=withdrawn"
    assert review_queue.history(archive.store, item.record_id)[0].withdrawn
    assert review_queue.queue(archive.store, user="ada", limit=1).items[0].record_id == item.record_id


CLASSES = ("NORM", "MI", "<AF>")
"""One of them under a hostile name: a version's file may hold any."""


@pytest.fixture
def classed(archive, todays_version):
    """The archive while a version serves that reports classes, and has decided what the one before it decided."""
    rules = [
        {"name": name, "output": at, "temperature": 1.0, "bias": 0.0, "threshold": 0.5, "abstain": [0.5, 0.5]}
        for at, name in enumerate(CLASSES, start=1)
    ]
    store, before = archive.store, registry.read_decisions(archive.store, "twelve_lead")
    registry.write_version(store, "twelve_lead", "aaaa00000003", todays_version("twelve_lead", "aaaa00000003", classes=rules))
    for key in store.list_keys(f"{keys.PREDICTIONS}twelve_lead/"):
        if keys.stem(key) == before.version:
            store.put(keys.predictions("twelve_lead", key.split("/")[2], "aaaa00000003"), store.get(key))
    registry.write_champion(
        store, recipe="twelve_lead", version="aaaa00000003", since="2026-01-01T00:00:00+00:00", who="test", why="classes"
    )
    yield archive
    registry.write_champion(store, recipe="twelve_lead", version=before.version, since=before.since, who="test", why="as before")
    store.delete_many(
        [
            *store.list_keys(keys.model_file("twelve_lead", "aaaa00000003", "")),
            *(key for key in store.list_keys(f"{keys.PREDICTIONS}twelve_lead/") if keys.stem(key) == "aaaa00000003"),
        ]
    )


def test_a_reviewer_may_give_the_classes_of_the_serving_version(admin, classed, token_of):
    """A box for each, kept with the verdict; a version without classes has none, and a contradiction is told in a sentence."""
    store = classed.store
    item = next(one for one in review_queue.queue(store, user="ada", limit=500).items if one.recipe == "twelve_lead")
    shown = admin.get(f"/ecg/records/{item.record_id}").text
    assert [shown.count(f'name="offered" value="{name}"') for name in ("NORM", "MI", "&lt;AF&gt;")] == [1, 1, 1]
    fields = {"token": token_of(admin), "record_id": item.record_id, "verdict": "abnormal", "offered": ["NORM", "MI", "AF"]}
    refused = admin.post("/ecg/review", data=fields | {"checked": ["NORM"]}, headers=OWN)
    assert (refused.status_code, "class of a normal recording" in refused.text) == (409, True)
    answer = admin.post("/ecg/review", data=fields | {"checked": ["MI"]}, headers=OWN)
    assert answer.status_code == 303, answer.text
    said = review_queue.history(store, item.record_id)[0]
    assert (said.label, said.classes, said.in_force) == ("abnormal", "MI -NORM -AF ?", True)
    assert "MI -NORM -AF ?" in admin.get(f"/ecg/records/{item.record_id}").text
    verdicts.withdraw(store, item.record_id, user="ada", when=said.when)


def test_a_version_without_classes_asks_for_none(admin, archive, item):
    """The form is what it was."""
    assert 'name="checked"' not in admin.get("/ecg/review").text
    assert 'name="checked"' not in admin.get(f"/ecg/records/{item.record_id}").text


def test_the_review_page_has_boxes_with_keys(admin, classed, monkeypatch):
    """The first record of the queue that the serving version decided on has them, with a key each."""
    monkeypatch.setattr(review_queue, "BATCH", 1000)
    items = review_queue.queue(classed.store, user="ada", limit=500, blind=True).items
    at = next(number for number, one in enumerate(items) if one.recipe == "twelve_lead")
    page = admin.get(f"/ecg/review?offset={at}").text
    assert page.count('type="checkbox" name="checked"') == len(CLASSES) + 1
    assert 'value="MI" data-key="2"' in page
    assert 'value="-" data-key="0"' in page


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {},
    ],
    ids=str,
)
def test_forms_of_other_sites_are_refused(admin, archive, token_of, item, headers):
    """Even with a valid token, a request that another page makes the browser send changes nothing."""
    answer = admin.post("/ecg/review", data={"token": token_of(admin), "record_id": item.record_id, "verdict": "normal"}, headers=headers)
    assert answer.status_code == 403
    assert not any(said.user == "ada" and not said.withdrawn for said in review_queue.history(archive.store, item.record_id))


def test_browsers_that_tell_only_the_origin_are_served(admin, archive, token_of):
    """Without TLS browsers send no Sec-Fetch-Site; the origin must be ours then, and the request is judged by what it says."""
    answer = admin.post(
        "/ecg/review", data={"token": token_of(admin), "record_id": "0" * 32, "verdict": "skip"}, headers={"origin": "http://testserver"}
    )
    assert answer.status_code == 409


@pytest.mark.parametrize("spoilt", ["", "{ends}.{proof}x", "9{ends}.{proof}", "111111111111111111111111111111.x", "{ends}", "é.é"])
def test_forms_without_a_valid_token_are_refused(admin, archive, token_of, item, spoilt):
    """The token cannot be left out, changed, or made to last longer."""
    ends, proof = token_of(admin).split(".")
    fields = {"token": spoilt.format(ends=ends, proof=proof), "record_id": item.record_id, "verdict": "normal"}
    answer = admin.post("/ecg/review", data=fields, headers=OWN)
    assert answer.status_code == 403
    assert "out of date" in answer.text


def test_a_token_is_of_one_user_and_session(admin, client_of, archive, token_of, item):
    """What another user, or the same one in another session, was given is worth nothing here."""
    fields = {"record_id": item.record_id, "verdict": "normal"}
    for other in (client_of("admin", name="bob"), client_of("admin")):
        assert admin.post("/ecg/review", data=fields | {"token": token_of(other)}, headers=OWN).status_code == 403


def test_a_token_ends(admin, archive, token_of, item, monkeypatch):
    """A page that was left open overnight has to be loaded again."""
    token = token_of(admin)
    later = time.time() + security.TOKEN_LIFETIME_S + 1
    monkeypatch.setattr(security.time, "time", lambda: later)
    answer = admin.post("/ecg/review", data={"token": token, "record_id": item.record_id, "verdict": "normal"}, headers=OWN)
    assert answer.status_code == 403


def test_a_decision_goes_through_the_dag_in_the_users_name(admin, archive, token_of, monkeypatch):
    """What is typed in becomes a run; the page asks again until the run has ended, and then tells what came of it."""
    started = []
    monkeypatch.setattr(deciding, "trigger_dag", lambda **told: started.append(told))
    fields = {"token": token_of(admin, "/ecg/models"), "version": "aaaa00000002", "why": "too many misses"}
    pages = {}
    for action in ("promote", "rollback", "reject"):
        answer = admin.post(f"/ecg/models/heartbeat/{action}", data=fields, headers=OWN, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        pages[action] = answer.headers["location"]
    assert [(one["dag_id"], one["conf"]["action"], one["triggering_user_name"]) for one in started] == [
        ("decide_champion", action, "ada") for action in pages
    ]
    waiting = admin.get(pages["reject"])
    assert "waiting for its run" in waiting.text
    assert waiting.headers["refresh"]
    run = started[-1]
    decide_champion.decide(run["run_id"], who=run["triggering_user_name"], **run["conf"])
    done = admin.get(pages["reject"])
    assert "aaaa00000002 is rejected; it stays in the bucket." in done.text
    assert "refresh" not in done.headers
    assert registry.read_decisions(archive.store, "heartbeat").rejection("aaaa00000002").who == "ada"
    assert "too many misses" in done.text


def test_a_refusal_is_told_in_its_own_words(admin, archive, token_of, monkeypatch):
    """What the library refuses stands on the page, escaped."""
    started = []
    monkeypatch.setattr(deciding, "trigger_dag", lambda **told: started.append(told))
    fields = {"token": token_of(admin, "/ecg/models"), "version": "bbbb00000009", "why": "a <b>guess</b>"}
    answer = admin.post("/ecg/models/heartbeat/promote", data=fields, headers=OWN, follow_redirects=False)
    with pytest.raises(ConfigurationError):
        decide_champion.decide(started[0]["run_id"], who="ada", **started[0]["conf"])
    told = admin.get(answer.headers["location"]).text
    assert "refused: there is no heartbeat version &#39;bbbb00000009&#39;" in told


def test_an_airflow_that_does_not_know_the_dag_says_so(admin, archive, token_of, monkeypatch):
    """No run is promised where none can be started."""

    def unknown(**_told):
        raise DagNotFound("decide_champion")

    monkeypatch.setattr(deciding, "trigger_dag", unknown)
    fields = {"token": token_of(admin, "/ecg/models"), "version": "aaaa00000002", "why": "too many misses"}
    answer = admin.post("/ecg/models/heartbeat/reject", data=fields, headers=OWN)
    assert answer.status_code == 503
    assert "decide_champion" in answer.text


@pytest.mark.parametrize("decision", ["page__../../x", "manual__2026-01-01", "page__2026-01-01T00:00:00+00:00-0000000/"])
def test_an_impossible_decision_is_refused(admin, archive, decision):
    """An address names a run that a form started, or nothing."""
    assert admin.get("/ecg/models", params={"decision": decision}).status_code == 400


def test_the_quarantine_gives_back_what_it_holds(admin, archive, token_of):
    """The same bytes lie in the inbox again, once; the entry says who put them there."""
    entry = next(one for one in quarantine.entries(archive.store).entries if one.n_rows == 0)
    path = f"/ecg/quarantine/{entry.id}"
    fields = {"token": token_of(admin, path)}
    answer = admin.post(f"{path}/retry", data=fields, headers=OWN)
    assert answer.headers["location"] == f"{path}?done=put-back"
    waiting = archive.store.list_keys(keys.INBOX)
    assert waiting == [keys.INBOX + entry.name]
    assert archive.store.get(waiting[0]) == archive.store.get(keys.quarantined(entry.id, entry.name.rsplit("/", 1)[-1]))
    assert "Put back" in admin.get(answer.headers["location"]).text
    assert admin.post(f"{path}/retry", data=fields, headers=OWN).status_code == 409
    archive.store.delete_many(waiting)


def test_a_record_shows_its_classes(admin, classed):
    """Decision, probability, threshold and meaning of each class that its version reports, escaped; without predictions of classes none."""
    store = classed.store
    of_version = [key for key in store.list_keys(f"{keys.PREDICTIONS}twelve_lead/") if keys.stem(key) == "aaaa00000003"]
    key = next(key for key in of_version if tables.load(store.get(key))["record_id"])  # of a shard of beats there is nothing
    before = store.get(key)
    columns = tables.load(before)
    n_records, record_id = len(columns["record_id"]), columns["record_id"][0]
    assert "Classes of the recording" not in admin.get(f"/ecg/records/{record_id}").text
    said = {"NORM": ("absent", 0.125), "MI": ("present", 0.75), "<AF>": ("uninterpretable", np.nan)}
    for name, (decision, probability) in said.items():
        columns |= {f"class_{name}": [decision] * n_records, f"p_{name}": np.full(n_records, probability, np.float32)}
    try:
        store.replace(key, tables.dump(tables.predictions_with(CLASSES), columns))
        records._predictions.forget()
        page = admin.get(f"/ecg/records/{record_id}").text
    finally:
        store.replace(key, before)
        records._predictions.forget()
    table = page.partition("Classes of the recording")[2].partition("</table>")[0]
    assert [cell in table for cell in ("<strong>present</strong>", ">0.750<", ">absent<", ">0.125<", ">0.500<", "&lt;AF&gt;")] == [True] * 6
    assert "<AF>" not in page


def test_versions_stand_side_by_side_with_their_classes(admin, archive, todays_version):
    """The figures of each class and the mean of their AUROCs; a version without classes has a dash there."""
    store, files = archive.store, todays_version("twelve_lead", "aaaa00000004")
    assert "Figures of the classes" not in admin.get("/ecg/models").text
    metrics = json.loads(files["metrics.json"])
    metrics["classes"] = {"figures": {"MI": metrics["test"]}, "macro_auroc": {"value": 0.875, "low": 0.75, "high": 0.9375}}
    whole = {name: data for name, data in files.items() if name != registry.SUMS} | {"metrics.json": json.dumps(metrics).encode()}
    registry.write_version(store, "twelve_lead", "aaaa00000004", whole | {registry.SUMS: checksums(whole)})
    try:
        page = admin.get("/ecg/models").text
    finally:
        store.delete_many(store.list_keys(keys.model_file("twelve_lead", "aaaa00000004", "")))
    table = page.partition("Figures of the classes side by side")[2].partition("</table>")[0]
    assert "0.875 (0.750 to 0.938)" in table
    assert table.count('<th scope="row">MI</th>') == len(CLASS_FIGURES)
    assert "<td>–</td>" in table


WHO = "Erika-4711"


@pytest.fixture
def asked(archive, monkeypatch):
    """Starts of runs that were asked for, and no request from before or left afterwards."""
    started = []
    monkeypatch.setattr(deciding, "trigger_dag", lambda **told: started.append(told))
    yield started
    archive.store.delete_many(archive.store.list_keys(keys.FORGOTTEN))


def test_forgetting_is_asked_for_by_the_page(admin, archive, token_of, item, asked):
    """First what is found, then the reason; the run gets the token, waits for an approval, and nothing else has the id."""
    token = token_of(admin, "/ecg/forget")
    found = admin.post("/ecg/forget", data={"token": token, "record": item.record_id}, headers=OWN)
    assert found.status_code == 200
    assert "1 record would be forgotten" in found.text
    assert archive.store.list_keys(keys.FORGOTTEN) == [] == asked
    fields = {"token": token, "record": item.record_id, "why": "a letter"}
    answer = admin.post("/ecg/forget/request", data=fields, headers=OWN, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ecg/forget?done=forgetting")
    (request,) = forgotten.forgettings(archive.store)
    assert (request.who, request.why, request.approval, request.record_ids) == ("ada", "a letter", True, (item.record_id,))
    (run,) = asked
    assert (run["dag_id"], run["conf"], run["triggering_user_name"]) == ("forget_patient", {"request": request.token}, "ada")
    assert forget_patient.needs_approval(request.token)
    shown = admin.get("/ecg/forget").text
    assert "a letter" in shown
    assert item.record_id not in shown


def test_nobody_is_found_and_nothing_is_asked(admin, archive, token_of, asked, caplog):
    """The sentence stands on the page, with what was entered; no address and no log has the id, and neither has a form in Airflow."""
    token = token_of(admin, "/ecg/forget")
    for path, more in (("/ecg/forget", {}), ("/ecg/forget/request", {"why": "a letter"})):
        answer = admin.post(path, data={"token": token, "patient": WHO} | more, headers=OWN, follow_redirects=False)
        assert answer.status_code == 409
        assert "no recording of this patient is found" in answer.text
        assert f'value="{WHO}"' in answer.text
        assert WHO not in str(answer.request.url)
    assert asked == []
    assert WHO not in caplog.text
    none = admin.post("/ecg/forget", data={"token": token}, headers=OWN)
    assert "name either a patient or a record" in none.text


def test_forgetting_needs_a_reason(admin, archive, token_of, item, asked):
    """Without one nothing is written."""
    fields = {"token": token_of(admin, "/ecg/forget"), "record": item.record_id, "why": ""}
    assert admin.post("/ecg/forget/request", data=fields, headers=OWN).status_code == 400
    assert archive.store.list_keys(keys.FORGOTTEN) == [] == asked


def test_forms_of_forgetting_of_other_sites_are_refused(admin, archive, token_of, item, asked):
    """Also with a token of ours."""
    fields = {"token": token_of(admin, "/ecg/forget"), "record": item.record_id, "why": "a letter"}
    for path in ("/ecg/forget", "/ecg/forget/request"):
        assert admin.post(path, data=fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert admin.post(path, data=fields | {"token": "1.x"}, headers=OWN).status_code == 403
    assert archive.store.list_keys(keys.FORGOTTEN) == [] == asked


@pytest.mark.parametrize("role", ["reader", "reviewer", "operator"])
def test_who_may_not_forget_sees_no_form(client_of, archive, role):
    """Neither what was forgotten, nor the way there."""
    page = client_of(role).get("/ecg/forget").text
    assert "Only admins may ask for this." in page
    assert "<form" not in page
    assert 'href="/ecg/forget"' not in page
