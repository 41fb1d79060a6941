"""Here: what the readers of XML share: a format is known by its root, and a file is parsed before it is read. Not here: any format."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar
from xml.etree.ElementTree import Element

from ecg_tasks.readers.base import OneFile, Reading, Recording
from ecg_tasks.readers.xml_formats.text import parse_xml, root_name


class XmlReader(OneFile, ABC):
    """A format in XML; ``root`` is the name of its root element in small letters."""

    root: ClassVar[str]

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - its root alone tells
        """Tell whether a file is of this format by its root."""
        return root_name(head) == self.root

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the recordings of a file.

        Raises
        ------
        BadInputError
            See `parse_xml`, and the format's own `recordings`.
        """
        return Reading(recordings=self.recordings(parse_xml(next(iter(files.values())), name=name), name=name))

    @abstractmethod
    def recordings(self, root: Element, *, name: str) -> tuple[Recording, ...]:
        """Return the recordings below a root."""
