"""docs/api/ is the reference of the public names: none is missing, and it follows the docstrings."""

import doctest
import importlib
import re
import sys
from pathlib import Path

import pytest

import shiftproof as sp

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "docs"))
try:
    import api_reference
    import worked_example
finally:
    sys.path.pop(0)


@pytest.mark.parametrize("module", [api_reference, worked_example], ids=lambda m: m.__name__)
def test_the_examples_of_the_generators_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def headings(name):
    text = (ROOT / f"docs/api/{name}.md").read_text()
    return set(re.findall(r"^## (\S+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE))


def test_every_public_name_has_an_entry():
    modules = {name for name in api_reference.PAGES if name != "shiftproof"}
    assert headings("shiftproof") == {f"sp.{name}" for name in sp.__all__ if name not in modules}
    for name in modules:
        module = importlib.import_module(f"shiftproof.{name}")
        assert headings(name) == {f"sp.{name}.{n}" for n in api_reference.public(module)}
    assert "sp.testing.assert_invariant" in headings("testing")
    assert "sp.experiments.attribute_invariance" in headings("experiments")
    assert "sp.models.LoadedModel" in headings("models")
    assert "sp.data.Source" in headings("data")


def test_every_function_and_class_of_the_reference_is_documented():
    for page, (module, _) in api_reference.PAGES.items():
        for entry in api_reference.page(page).split("\n## ")[1:]:
            assert len(entry.splitlines()) > 2, f"{module}: {entry}"


def area(width: float, height: float = 2) -> float:
    """The area of a rectangle.

    Args:
        width: in metres,
            not negative.
        height: in metres.

    Returns:
        In square metres.

    >>> area(3)
    6
    """
    return width * height


def test_an_entry_has_the_signature_the_sections_and_the_example():
    assert list(api_reference.entry("sp.area", area)) == [
        "## sp.area",
        "",
        "```",
        "area(width: float, height: float = 2) -> float",
        "```",
        "",
        "The area of a rectangle.",
        "",
        "**Args**",
        "",
        "- `width`: in metres, not negative.",
        "- `height`: in metres.",
        "",
        "**Returns**",
        "",
        "- In square metres.",
        "",
        "```pycon",
        ">>> area(3)",
        "6",
        "```",
    ]


def test_no_address_of_memory_and_no_path_of_a_machine_is_printed():
    for page in api_reference.PAGES:
        text = api_reference.page(page)
        assert not re.search(r" at 0x[0-9a-f]+|<function|<class '|/home/", text)
        assert str(ROOT) not in text
