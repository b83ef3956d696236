"""YAML from a stranger, read within a budget: no aliases, no tags, and nothing that takes longer than its text is long."""

from __future__ import annotations

from typing import Any

import yaml

from shiftproof.reading.budget import Budget

OPENS = (
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
)
LONGEST = 15  # characters of a number that is a name: those of more can be chosen to have one hash, and to be found one by one
CLOSES = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)


class OnceEach(yaml.SafeLoader):
    """A loader for which a name that stands twice in one mapping is an error: which of the two was meant cannot be known."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping, if every name stands in it once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ValueError(f"{key.value!r:.40} stands twice (line {key.start_mark.line + 1})")
                seen.add(key.value)
                if key.tag == "tag:yaml.org,2002:int" and len(key.value) > LONGEST:
                    raise ValueError(
                        f"a name is a number of {len(key.value)} characters (line {key.start_mark.line + 1})"
                    )
        return super().construct_mapping(node, deep)


def read_yaml(text: str, budget: Budget) -> Any:
    """The value that the text spells, of plain types.

    Args:
        text: one document.
        budget: has the units "parts", "levels" and "digits"; a part is a token: a value, a bracket, a dash.

    Raises:
        ShiftproofError: it exceeds the budget.
        ValueError: a name stands twice in one mapping, or is a long number, or it has tags or aliases. An alias stands for a
            part of the text, and aliases of aliases for exponentially many; a tag makes a number of any text.
        yaml.YAMLError: it is not YAML.
    """
    level = 0
    # Before anything is built. PyYAML looks through all open levels at each token, and multiplies a number in base 60
    # (1:30:00) digit by digit: both take time that grows with the square of what is counted here.
    for token in yaml.scan(text):
        budget.spend("parts")
        level += isinstance(token, OPENS) - isinstance(token, CLOSES)
        budget.at_most("levels", level)
        if isinstance(token, yaml.AliasToken):
            raise ValueError("aliases (*name) are not read")
        if isinstance(token, yaml.TagToken):
            raise ValueError("tags (!name) are not read")
        # PyYAML may read a word that begins so as a number.
        if isinstance(token, yaml.ScalarToken) and token.plain and token.value.startswith(tuple("+-.0123456789")):
            budget.at_most("digits", len(token.value))
    return yaml.load(text, Loader=OnceEach)
