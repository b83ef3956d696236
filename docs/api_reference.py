"""The reference in docs/api/: the public names with their signatures and docstrings, as Markdown."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

PAGES = {  # name of the page -> (module, what it is)
    "shiftproof": ("shiftproof", "What you import first: the commands as functions, models, data, moves"),
    "auditing": ("shiftproof.auditing", "What an audit can be asked, and what it tells while it runs"),
    "layers": ("shiftproof.layers", "Layers that keep translations, or break them on purpose"),
    "measure": ("shiftproof.measure", "Measures and their intervals"),
    "records": ("shiftproof.records", "What the commands return, and how it is kept"),
    "models": ("shiftproof.models", "Models and how they are loaded"),
    "data": ("shiftproof.data", "Pictures, labels and how they are opened"),
    "repairing": ("shiftproof.repairing", "Repaired models, and the methods of a repair"),
    "report": ("shiftproof.report", "Pages and what the terminal prints"),
    "experiments": ("shiftproof.experiments", "Published experiments"),
    "metrics": ("shiftproof.metrics", "Metrics of torchmetrics, for training loops"),
    "lightning": ("shiftproof.lightning", "A callback for Lightning"),
    "testing": ("shiftproof.testing", "Assertions for your own tests"),
    "translations": ("shiftproof.translations", "Translations and sets of them"),
}
SECTIONS = ("Args", "Returns", "Raises", "Yields")
WIDTH = 100  # of a signature on one line


def page(name: str) -> str:
    """One page of the reference: an entry for every public name of the module, in alphabetical order."""
    module = importlib.import_module(PAGES[name][0])
    names = sorted(public(module), key=str.casefold)
    entries = ["\n".join(entry(f"{short(module)}.{n}", getattr(module, n))) for n in names]
    head = [
        "\n".join(markdown(module.__doc__ or "")),
        " · ".join(f"[{n}](#{anchor(f'{short(module)}.{n}')})" for n in names),
    ]
    return "\n\n".join([*head, *entries]).rstrip()


def index() -> str:
    """Every page of the reference, with the names on it."""
    lines = []
    for name, (module, words) in PAGES.items():
        names = ", ".join(f"`{n}`" for n in sorted(public(importlib.import_module(module)), key=str.casefold))
        lines.append(f"- [{module}]({name}.md): {words[0].lower()}{words[1:]}: {names}")
    return "\n".join(lines)


def public(module: Any) -> list[str]:
    """The public names of a module: its `__all__`, or else what it defines itself; modules have pages of their own."""
    own = [
        n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__
    ]
    names = getattr(module, "__all__", own)
    return [n for n in names if not inspect.ismodule(getattr(module, n))]


def short(module: Any) -> str:
    """The module as users write it, `sp.layers`."""
    return module.__name__.replace("shiftproof", "sp", 1)


def anchor(title: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def entry(title: str, thing: Any, level: int = 2) -> Iterator[str]:
    """A heading, the signature and the docstring; for a class, its methods and properties too."""
    yield f"{'#' * level} {title}"
    yield ""
    if not isinstance(thing, property) and (not callable(thing) or not inspect.getdoc(thing)):
        yield from value(thing)
        return
    if isinstance(thing, property):
        returns = inspect.signature(thing.fget).return_annotation if thing.fget else ""
        yield from ("```", f"{title.rpartition('.')[2]}: {plainly(returns)!r}", "```", "")
    elif inspect.isclass(thing) or inspect.isroutine(thing):
        yield from ("```", signature(title.rpartition(".")[2], thing), "```", "")
    yield from markdown(inspect.getdoc(thing) or "")
    if inspect.isclass(thing):
        for name, member in members(thing):
            yield ""
            yield from entry(f"{title.rpartition('.')[2]}.{name}", member, level + 1)


def value(thing: Any) -> Iterator[str]:
    """A constant: its keys if it is a table, else what it is."""
    if isinstance(thing, Mapping):
        yield f"A table with the keys {', '.join(f'`{k}`' for k in thing)}."
    elif isinstance(thing, str | int | float | tuple):
        yield f"The value `{thing!r}`."
    else:
        yield f"The type `{str(thing).replace('typing.', '')}`."


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines itself and documents."""
    fields = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    for name, member in vars(cls).items():
        if name.startswith("_") or name in fields or name == "extra_repr":
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and function.__doc__:
            yield name, member if isinstance(member, property) else function


def signature(name: str, thing: Any) -> str:
    """The call as it is written, on one line if it fits.

    >>> def move(x: int, *, by: float = 0.5) -> int: ...
    >>> signature("move", move)
    'move(x: int, *, by: float = 0.5) -> int'
    """
    try:
        found = inspect.signature(thing)
    except ValueError:
        return name
    plain = [
        p.replace(annotation=plainly(p.annotation)) for p in found.parameters.values() if p.name not in ("self", "cls")
    ]
    returns = "" if inspect.isclass(thing) else found.return_annotation
    end = "" if returns in ("", inspect.Signature.empty) else f" -> {plainly(returns)}"
    # The text of a lambda has its address in memory.
    plain = [p.replace(default=Bare("...")) if "<lambda>" in repr(p.default) else p for p in plain]
    words = [str(p).replace("<factory>", "...") for p in plain]
    if any(p.kind is p.KEYWORD_ONLY for p in plain) and not any(p.kind is p.VAR_POSITIONAL for p in plain):
        words.insert(next(i for i, p in enumerate(plain) if p.kind is p.KEYWORD_ONLY), "*")
    line = f"{name}({', '.join(words)}){end}"
    line = line if len(line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(words) + f",\n){end}"
    return re.sub(r"<(?:function|class|built-in function) '?([\w.]+)[^>]*>", r"\1", line)


def plainly(annotation: Any) -> Any:
    """An annotation as its author wrote it."""
    if annotation is inspect.Parameter.empty:
        return annotation
    return Bare(annotation if isinstance(annotation, str) else inspect.formatannotation(annotation))


class Bare:
    """Text that `inspect` prints without quotes.

    Args:
        text: what is printed.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def markdown(doc: str) -> Iterator[str]:
    r"""A docstring as Markdown: sections as lists, examples as code.

    >>> print("\n".join(markdown("Adds.\n\nArgs:\n    x: a number\n        or two.")))
    Adds.
    <BLANKLINE>
    **Args**
    <BLANKLINE>
    - `x`: a number or two.
    """
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(doc))
    for i, text in enumerate(blocks):
        if i:
            yield ""
        first, _, rest = text.partition("\n")
        if first.rstrip(":") in SECTIONS and first.endswith(":"):
            yield from (f"**{first[:-1]}**", "")
            yield from section(textwrap.dedent(rest))
        elif first.startswith(">>>"):
            yield from ("```pycon", *text.splitlines(), "```")
        else:
            yield from text.splitlines()


def section(text: str) -> Iterator[str]:
    """The items of a section; lines that are indented belong to the item before."""
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith(" ") and items:
            items[-1] += " " + line.strip()
        else:
            items.append(line)
    for item in items:
        name, colon, words = item.partition(": ")
        named = colon and re.fullmatch(r"[\w.*, ]+", name)
        yield f"- `{name}`: {words}" if named else f"- {item}"
