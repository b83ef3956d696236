"""ARCHITECTURE.md is the map of the code as it stands: what it names is there, and no package is missing."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/shiftproof"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|md))`")
WRITTEN_BY_A_RUN = {"OUT/.run-KEY/", "views.parquet", "record.json"}


def named(text: str) -> set[str]:
    """The paths in a text, as they are written between backticks."""
    return set(PATH.findall(text)) - WRITTEN_BY_A_RUN


def missing(text: str) -> list[str]:
    """The paths in a text that are neither in the package nor in the repository."""
    return sorted(path for path in named(text) if not (SOURCE / path).exists() and not (ROOT / path).exists())


def unnamed(text: str) -> list[str]:
    """The packages of the sources that a text does not name."""
    packages = {f"{p.parent.relative_to(SOURCE)}/" for p in SOURCE.rglob("__init__.py") if p.parent != SOURCE}
    return sorted(packages - named(text))


def test_every_path_exists():
    assert len(named(TEXT)) > 60
    assert missing(TEXT) == []


def test_every_package_is_on_the_map():
    assert unnamed(TEXT) == []


def test_every_module_at_the_top_is_on_the_map():
    assert {p.name for p in SOURCE.glob("*.py")} - named(TEXT) == set()


def test_a_path_that_is_gone_and_a_package_that_is_new_are_noticed():
    assert missing(TEXT + "`auditing/run.py`") == ["auditing/run.py"]
    assert unnamed(TEXT.replace("`checking/graph/`", "")) == ["checking/graph/"]


def test_the_floors_of_the_map_are_those_of_the_contract():
    contract = (ROOT / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    floors = [name for name in re.findall(r"shiftproof\.(\w+)", contract) if name != "__main__"]
    at = {name: min(TEXT.find(f"- `{name}{end}`") % len(TEXT) for end in ("/", ".py")) for name in floors}
    assert sorted(floors, key=lambda name: at[name]) == sorted(
        floors, key=lambda name: (rank(contract, name), at[name])
    )


def rank(contract: str, name: str) -> int:
    """The number of the floor in the contract, 0 at the top."""
    return next(i for i, line in enumerate(contract.splitlines()) if re.search(rf"shiftproof\.{name}\b", line))
