"""Here: asking a person, with the answer kept in the bucket. Not here: what is asked, and where an answer is kept (the DAGs)."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ecg_tasks.archive.documents import Approval


class StoredApproval(ApprovalOperator):
    """Asks a person, and stores the answer in the bucket: Airflow's own operator forgets a negative answer.

    The answer comes from Airflow's API server, which knows the user who gave it. It never goes through an XCom, which others may edit.
    """

    @abstractmethod
    def question(self, context: "Context") -> str:
        """Return the text below the heading, as Markdown."""

    def asked(self, context: "Context") -> str:  # noqa: ARG002 - for those who ask with what they find
        """Return the heading of the question."""
        return str(self.subject)

    @abstractmethod
    def note(self, context: "Context", answer: "Approval") -> None:
        """Store the answer, a person's or the deadline's."""

    def execute(self, context: "Context") -> Any:
        """Ask."""
        self.subject, self.body = self.asked(context), self.question(context)
        return super().execute(context)

    def execute_complete(self, context: "Context", event: dict[str, Any]) -> Any:
        """Take the answer."""
        from ecg_tasks.archive.documents import Approval

        if "error" not in event:
            user, why = event["responded_by_user"], (event["params_input"] or {}).get("why") or ""
            when = event["responded_at"].isoformat()
            self.note(context, Approval(chosen=event["chosen_options"][0], who=user and user["name"], why=why, when=when))
        return super().execute_complete(context, event)
