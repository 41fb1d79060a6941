"""Here: which bucket is chosen. Not here: the embedded store at work (``test_stack``)."""

import stat

import pytest

from deploy.embedded import bucket
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    home = Home(tmp_path)
    home.create()
    return home


def test_the_embedded_store_is_the_default(home):
    """AWS variables alone, which many people have set, do not lead the pipeline elsewhere."""
    bucket.choose(home, {"AWS_ACCESS_KEY_ID": "mine", "AWS_PROFILE": "mine"})
    assert bucket.is_embedded(home)
    assert bucket.environment(home)["ECG_BUCKET"] == "ecg"
    assert bucket.environment(home)["AWS_ACCESS_KEY_ID"] != "mine"


def test_a_bucket_elsewhere_replaces_it(home):
    """With ECG_BUCKET set at the start, every task sees the AWS variables of that moment, and no key of the embedded store."""
    bucket.choose(
        home,
        {"ECG_BUCKET": "mine", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_CA_BUNDLE": "/ca.pem", "HOME": "/h"},
    )
    seen = bucket.environment(home)
    assert {name: value for name, value in seen.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CA_BUNDLE": "/ca.pem",
    }
    assert seen["ECG_BUCKET"] == "mine"
    assert seen["ECG_PATIENT_KEY"] == home.secrets().patient_key
    assert "HOME" not in seen
    assert stat.S_IMODE((home.path / "bucket.json").stat().st_mode) == 0o600


def test_the_patient_key_of_a_shared_bucket_can_be_given(home):
    """Two machines that work in one bucket have to hash patients alike."""
    bucket.choose(home, {"ECG_BUCKET": "mine", "ECG_PATIENT_KEY": "k" * 32})
    assert bucket.environment(home)["ECG_PATIENT_KEY"] == "k" * 32


def test_the_next_start_chooses_anew(home):
    """A start without ECG_BUCKET goes back to the embedded store."""
    bucket.choose(home, {"ECG_BUCKET": "mine"})
    bucket.choose(home, {})
    assert bucket.is_embedded(home)


def test_a_bucket_elsewhere_must_answer(home, s3_server):
    """A bucket that is not there is a sentence naming it and the variables, and is not made; one that is there is used."""
    import boto3

    aws = {"AWS_ENDPOINT_URL_S3": s3_server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    bucket.choose(home, aws | {"ECG_BUCKET": "not-there"})
    with pytest.raises(StackError, match=r"not-there cannot be used .*; check ECG_BUCKET"):
        bucket.ensure(home)
    client = boto3.client("s3", endpoint_url=s3_server, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    client.create_bucket(Bucket="there")
    client.close()
    bucket.choose(home, aws | {"ECG_BUCKET": "there"})
    bucket.ensure(home)
    assert bucket.answers(home)
