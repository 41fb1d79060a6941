"""Here: the NOTICE of an image: every package in its environment with its licence. Not here: the list for programs (``legal.sh``).

``python3.11 notice.py FOLDER`` prints it for an environment. It runs alone, with the standard library and nothing else, and fails for a
package whose licence it does not know or the project does not accept.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

HEAD = """\
ECG spectrograms
Licensed under the Apache License 2.0 (LICENSE beside this file).

This image holds the packages below, unchanged, each under its own licence. The licences' texts and the packages' own notices are the
files named with them, below
{folder}.
What the image is built upon (Debian, Python) is not listed; its licences lie where its makers put them, as in /usr/share/doc.
"""

CHOSEN = {
    "namex": "Apache-2.0",
    "openlineage-sql": "Apache-2.0",
    "pyrage": "MIT",
    "python-daemon": "Apache-2.0",
    "text-unidecode": "Artistic License",
}
"""What the metadata of a package leave out, as its source says it; of the licences that a package leaves to choose, the one used here."""

_SENTENCE = 60
"""Characters; a longer field *License* is a text, not a name."""


class UnusableLicenceError(Exception):
    """Packages without a known licence, or under one that the project does not accept."""


def licence(package: Distribution) -> str:
    """Return the licence that a package's metadata declare, as SPDX or in its own words; empty if they declare none."""
    metadata = package.metadata
    name = _normalized(str(metadata["Name"]))
    if name in CHOSEN:
        return CHOSEN[name]
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classifiers = [str(one).split(" :: ") for one in metadata.get_all("Classifier") or []]
    if classes := [one[-1] for one in classifiers if one[0] == "License" and len(one) > 1 and one[-1] != "OSI Approved"]:
        return " or ".join(classes)
    words = str(metadata["License"]).strip() if "License" in metadata else ""
    return words if words != "UNKNOWN" and len(words) <= _SENTENCE else ""


def is_accepted(name: str) -> bool:
    """Return whether the project takes a package under this licence: any but GPL and AGPL; the LGPL does not bind who only imports it."""
    return not re.search(r"(?<!L)GPL|(?<!Lesser )General Public|Affero", name)


def notice(packages: Iterable[Distribution], folder: Path) -> str:
    """Return the text: packages in the order of their names.

    Raises
    ------
    UnusableLicenceError
        Names every package that has no licence, or one that is not accepted.
    """
    ordered = sorted(packages, key=lambda package: _normalized(str(package.metadata["Name"])))
    found = [(package, licence(package)) for package in ordered]
    if wrong := [f"{package.metadata['Name']} ({name or 'unknown'})" for package, name in found if not name or not is_accepted(name)]:
        raise UnusableLicenceError(f"no licence to give these out under: {', '.join(wrong)}")
    return "\n".join([HEAD.format(folder=folder), *(_entry(package, name, folder) for package, name in found)])


def main(environment: Path) -> None:
    """Print the text for all packages of an environment."""
    (folder,) = environment.glob("lib/python3.*/site-packages")
    print(notice(distributions(path=[str(folder)]), folder), end="")  # noqa: T201 - its whole purpose


def _entry(package: Distribution, name: str, folder: Path) -> str:
    metadata = package.metadata
    texts = [Path(str(file.locate())) for file in package.files or () if re.match(r"(?i)(licen[cs]e|copying|notice)", file.name)]
    there = [text.relative_to(folder).as_posix() for text in texts if text.suffix not in {".py", ".pyc"} and text.is_relative_to(folder)]
    return "".join(
        f"{line}\n" for line in (f"{metadata['Name']} {metadata['Version']}: {name}", *(f"    {text}" for text in sorted(there)))
    )


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
