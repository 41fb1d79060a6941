"""Here: what axe finds wrong with a page in a browser, by the rules of WCAG 2.2 A and AA. Not here: which pages are looked at."""

from functools import cache
from importlib.resources import files

STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
LOOKS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
"""Width, height and colours of a window."""
_ANEW = ("color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block")
"""Rules whose answer depends on size and colours: in a second look at the same page these are asked alone."""
_ASK = """async (only) => {
  const found = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
  return found.violations.map((one) => `${one.id}: ` + one.nodes.slice(0, 3).map((node) => `${node.target} ${node.any.concat(node.all, node.none).map((check) => check.message).join("; ")}`).join(" | "));
}"""  # noqa: E501 - JavaScript


@cache
def axe() -> str:
    """The script, as the package has it; it is given to the browser from outside, which no policy of a page forbids."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def faults(page, *, anew=False):
    """What is wrong with the page as it is shown, a sentence a rule with the first places; ``anew`` asks what a size or a theme changes."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(axe())
    only = {"type": "rule", "values": list(_ANEW)} if anew else {"type": "tag", "values": list(STANDARDS)}
    return page.evaluate(_ASK, only)


def faults_in_all_looks(page):
    """What is wrong with the page in light, dark and as on a phone, and where it is wider than the window."""
    found = []
    for number, (look, (width, height, colours)) in enumerate(LOOKS.items()):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=colours)
        found += [f"{look}: {one}" for one in faults(page, anew=number > 0)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{look}: the page is wider than the window")
    return found
