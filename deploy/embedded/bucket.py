"""Here: which bucket the pipeline works in, the embedded store's or one elsewhere, and whether it answers. Not here: the store itself."""

import json
import time
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

from deploy.embedded import object_store
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, Home, write_private

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EMBEDDED = "ecg"


def choose(home: Home, environ: Mapping[str, str]) -> None:
    """Choose the bucket at a start: ``ECG_BUCKET``, if set, and the AWS variables replace the embedded store until the next start."""
    if not environ.get("ECG_BUCKET"):
        (home.path / "bucket.json").unlink(missing_ok=True)
        return
    write_private(home.path / "bucket.json", json.dumps(elsewhere(environ), indent=2))


def elsewhere(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that point at a bucket elsewhere; empty when ``ECG_BUCKET`` is not set."""
    if not environ.get("ECG_BUCKET"):
        return {}
    return {name: value for name, value in environ.items() if name.startswith("AWS_") or name in ("ECG_BUCKET", "ECG_PATIENT_KEY")}


def chosen(home: Home) -> dict[str, str]:
    """Return the variables of a bucket elsewhere that the last start chose; empty for the embedded store."""
    file = home.path / "bucket.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def is_embedded(home: Home) -> bool:
    """Return whether the bucket lies in the embedded store."""
    return not chosen(home)


def environment(home: Home) -> dict[str, str]:
    """Return what every task sees: where the bucket is, and the keys to it."""
    secrets = home.secrets()
    embedded = {
        "ECG_BUCKET": EMBEDDED,
        "AWS_ENDPOINT_URL_S3": object_store.endpoint(home),
        "AWS_ACCESS_KEY_ID": secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": secrets.s3_secret_key,
        "AWS_DEFAULT_REGION": object_store.REGION,
        "ECG_STORE_ERASE_KEY": object_store.erase_key(home),
    }
    return {"PYTHONPATH": str(CHECKOUT), "ECG_PATIENT_KEY": secrets.patient_key} | (chosen(home) or embedded)


def answers(home: Home) -> bool:
    """Return whether the store accepts our key and has the bucket."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with closing(_client(home)) as client:
            client.head_bucket(Bucket=environment(home)["ECG_BUCKET"])
    except (BotoCoreError, ClientError):
        return False
    return True


def ensure(home: Home) -> None:
    """Wait until the embedded store answers, a minute at most, and make its bucket; a bucket elsewhere must be there.

    Raises
    ------
    StackError
        If there is no bucket to work in.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    name = environment(home)["ECG_BUCKET"]
    try:
        with closing(_client(home, attempts=60 if is_embedded(home) else 3)) as client:
            if is_embedded(home):
                _create(client, name)
            else:
                client.head_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        if answers(home):
            return
        where = f"its logs: {home.logs}/store*.log" if is_embedded(home) else "check ECG_BUCKET and the AWS variables"
        raise StackError(f"the bucket {name} cannot be used ({error}); {where}") from error


def _create(client: "S3Client", name: str) -> None:
    """Make the bucket; for half a minute also where we are refused, as the store's proxy does until the servers behind it answer."""
    from botocore.exceptions import ClientError

    deadline = time.monotonic() + 30
    while True:
        try:
            client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != HTTPStatus.FORBIDDEN or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _client(home: Home, *, attempts: int = 1) -> "S3Client":
    import boto3
    from botocore.config import Config

    seen = environment(home)
    session = boto3.session.Session(
        aws_access_key_id=seen.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=seen.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=seen.get("AWS_SESSION_TOKEN"),
        region_name=seen.get("AWS_DEFAULT_REGION"),
        profile_name=seen.get("AWS_PROFILE"),
    )
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, connect_timeout=5, read_timeout=30)
    if is_embedded(home):
        config = config.merge(Config(proxies={}, s3={"addressing_style": "path"}))
    endpoint = seen.get("AWS_ENDPOINT_URL_S3") or seen.get("AWS_ENDPOINT_URL")
    client: S3Client = session.client("s3", endpoint_url=endpoint, config=config)
    return client
