"""Here: a copy of an XML file with nothing but what a list of paths lets through. Not here: the lists, which stand with each format.

Whatever no path names is left out: elements, attributes, comments, instructions, the document type. What a path names must be of its
kind: a text where a number should be is left out, too.
"""

import re
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from ecg_tasks.readers import metadata
from ecg_tasks.readers.blanking import kept_number

Keep = Callable[[str], str]
"""What stays of a text; nothing where it is not of the kind that stands there."""
SCHEMA_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_SAMPLES = re.compile(r"[-+0-9.eE,\s]*", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*", re.ASCII)

number: Keep = kept_number


def hertz(text: str) -> str:
    """Keep a number that a filter's frequency can be."""
    value = number(text)
    return value if value and metadata.hertz(float(value)) is not None else ""


def nothing(text: str) -> str:  # noqa: ARG001 - of any text
    """Keep no text: the element alone, at its place, for what is put into it."""
    return ""


def samples(text: str) -> str:
    """Keep numbers and what parts them."""
    return text if _SAMPLES.fullmatch(text) else ""


def base64(text: str) -> str:
    """Keep Base64 of samples, which the reader holds against their length."""
    return text if _BASE64.fullmatch(text) else ""


def model(text: str) -> str:
    """Keep the name of a device or of its maker, as readers give it."""
    return metadata.line(text) or ""


def one_of(*words: str) -> Keep:
    """Return what keeps these words alone, in any letters."""
    known = {word.casefold() for word in words}
    return lambda text: text if text.strip().casefold() in known else ""


def matching(pattern: str) -> Keep:
    """Return what keeps a text that is all of this pattern."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: text if compiled.fullmatch(text.strip()) else ""


def below(path: str, kept: Mapping[str, Keep]) -> dict[str, Keep]:
    """Return the same paths below another one.

    >>> sorted(below("a/b", {"c": number, "@unit": number}))
    ['a/b/c', 'a/b@unit']
    """
    return {f"{path}{'' if key.startswith('@') else '/'}{key}": keep for key, keep in kept.items()}


def copy_of(root: Element, kept: Mapping[str, Keep]) -> Element:
    """Copy an element with what stands at these paths below it.

    Parameters
    ----------
    root : as `parse_xml` gives it, without namespaces
    kept : by path, such as ``Waveform/SampleBase`` for a text, ``Age@units`` for an attribute, and an empty one for the root's own text
    """
    elements = {path.partition("@")[0] for path in kept}
    elements |= {"/".join(parts[:n]) for parts in (path.split("/") for path in elements) for n in range(1, len(parts))}
    return _copied(root, "", kept, elements)


def put(tree: Element, path: str, text: str, **attributes: str) -> None:
    """Set the text, or an attribute, of the first element at a path, which is made where it is missing; nothing for an empty text."""
    if not text and not any(attributes.values()):
        return
    at = tree
    for tag in path.split("/"):
        there = at.find(tag)
        at = SubElement(at, tag) if there is None else there
    at.text = text or at.text
    at.attrib.update(attributes)


def written(tree: Element, *, namespace: str = "") -> bytes:
    """Return a copy as bytes, in UTF-8."""
    if namespace:
        tree.set("xmlns", namespace)
    text: bytes = tostring(tree, encoding="UTF-8", xml_declaration=True)
    return text


def _copied(element: Element, path: str, kept: Mapping[str, Keep], elements: set[str]) -> Element:
    attributes = {name: keep(value) for name, value in element.items() if (keep := kept.get(f"{path}@{name}"))}
    copy = Element(element.tag, {name: value for name, value in attributes.items() if value})
    if keep := kept.get(path):
        copy.text = keep("".join(element.itertext()).strip())
    for child in element:
        at = f"{path}/{child.tag}" if path else child.tag
        if at in elements:
            copy.append(_copied(child, at, kept, elements))
    return copy
