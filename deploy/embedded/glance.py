"""Here: one question to Airflow's database, which is asked again and again. Not here: what follows from its answer.

Airflow takes a connection out of its pool for every question, tries it, and begins and ends a transaction: four exchanges with the
database. Here it is one.
"""

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Glance:
    """A question in SQL, asked on a connection of its own, each time by itself.

    Parameters
    ----------
    question : a statement that gives one row
    """

    def __init__(self, question: str) -> None:
        self._question = question
        self._connection: Connection | None = None

    def answer(self) -> tuple[object, ...]:
        """Return the row; an empty one while the database does not answer."""
        from airflow import settings

        try:
            if self._connection is None and settings.engine is not None:
                self._connection = settings.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return tuple(self._connection.exec_driver_sql(self._question).one()) if self._connection else ()
        except SQLAlchemyError:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
            return ()
