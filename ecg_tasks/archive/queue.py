"""Here: one queue of any SQS server, with this project's errors. Not here: what a message says (``pipeline.intake.notifications``)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecg_tasks.errors import StoreError

MAX_MESSAGES = 10
"""Of one request; SQS allows no more."""
MAX_WAIT_S = 20


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message: its text, and what it is deleted by."""

    body: str
    receipt: str


class MessageQueue:
    """One queue. Every method raises `StoreError` when the server cannot be reached or refuses."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    @classmethod
    def connect(cls, url: str) -> Self:
        """Connect with the standard AWS variables (``AWS_ENDPOINT_URL_SQS`` for a server elsewhere); nothing is sent yet."""
        config = Config(connect_timeout=5, read_timeout=MAX_WAIT_S + 10, retries={"mode": "standard", "max_attempts": 2})
        # a session of its own: the shared one keeps the first credentials it ever saw
        return cls(boto3.session.Session().client("sqs", config=config), url)

    def receive(self, *, wait_s: int, hidden_s: int) -> list[Message]:
        """Return up to ten messages, waiting for the first of them; no other reader sees them for ``hidden_s`` seconds."""
        try:
            answer = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=MAX_MESSAGES, WaitTimeSeconds=wait_s, VisibilityTimeout=hidden_s
            )
        except (ClientError, BotoCoreError) as error:
            raise StoreError(f"could not read the queue: {error}") from error
        return [Message(body=one["Body"], receipt=one["ReceiptHandle"]) for one in answer.get("Messages", [])]

    def delete(self, messages: Sequence[Message]) -> None:
        """Remove messages for good; one that is gone already is no error."""
        for start in range(0, len(messages), MAX_MESSAGES):
            part = messages[start : start + MAX_MESSAGES]
            entries = [{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(part)]
            try:
                self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise StoreError(f"could not remove messages: {error}") from error
