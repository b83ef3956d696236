"""CONTRIBUTING's recipes as data: the blocks of code of a section, and how they are applied to a copy of the sources."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Block:
    """A block of code of a recipe.

    Args:
        kind: "python" for a new file, "diff" for a change of one that is there.
        path: the file, relative to the checkout.
        text: the file, or the changed lines: " " before a line that is there, "+" before a new one.
    """

    kind: str
    path: str
    text: str


def recipe(title: str) -> list[Block]:
    """The blocks under a heading of CONTRIBUTING.md whose first line names a file."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"^   ```(python|diff)\n   # (\S+)\n(.*?)^   ```$", section, re.S | re.M)
    return [Block(kind, path, textwrap.dedent(lines)) for kind, path, lines in found]


def apply(block: Block, root: Path) -> Path:
    """Writes the block into the checkout at `root` and returns the path of the file.

    Raises:
        ValueError: the file is there already, or the lines that the change refers to are not in it exactly once.
    """
    path = root / block.path
    if block.kind == "python":
        if path.exists():
            raise ValueError(f"{block.path} is there already")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return path
    lines = block.text.splitlines()
    before = "".join(line[1:] + "\n" for line in lines if not line.startswith("+"))
    after = "".join(line[1:] + "\n" for line in lines)
    text = path.read_text()
    if f"\n{text}".count(f"\n{before}") != 1:
        raise ValueError(f"these lines are not in {block.path} exactly once:\n{before}")
    path.write_text(f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:])
    return path
