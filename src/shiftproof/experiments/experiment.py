"""What an experiment is: a claim with its source, a function that measures, and pure functions that put numbers into words.

`measure(lab)` returns the numbers of one run: a frozen dataclass of arrays and plain values, one class per experiment.
Everything that a reader sees is made from these numbers alone. So a test can hand in numbers that say the opposite, and
every sentence that states a result has to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Citation, Figure, Judged, Table
from shiftproof.records.numbers import percent

N = TypeVar("N")
READS = 0.9  # the accuracy on unmoved pictures below which a network is said to read poorly


class Said(str):
    """A sentence that states a result: `yes` if the condition holds, else `no`.

    A `Said` is a string, the chosen sentence, and can stand wherever a sentence can: in a finding, in a footnote, in the
    note of a chart or a table, in the caption of a picture. It also keeps the condition and both sentences, so that the
    tests can check that each of them is reached.

    For three outcomes, nest: `Said(a, yes=..., no=Said(b, yes=..., no=...))`. The record leaves out an empty sentence,
    `no=""`. Both sentences are always built, so building either must not fail. Give a whole `Said` as a sentence; inside an
    f-string, only its text would remain.

    Args:
        condition: a comparison of measured numbers.
        yes: the sentence if the condition holds.
        no: the sentence if it does not.

    >>> [str(Said(error < 0.5, yes="It holds.", no=f"It is off by {error}.")) for error in (0.0, 0.75)]
    ['It holds.', 'It is off by 0.75.']
    """

    __slots__ = ("condition", "no", "yes")
    condition: bool
    yes: str
    no: str

    def __new__(cls, condition: Any, *, yes: str, no: str) -> Said:
        """The chosen sentence, with the condition and both sentences."""
        said = super().__new__(cls, yes if condition else no)
        said.condition, said.yes, said.no = bool(condition), yes, no
        return said

    # For copies and pickles: `str` would call `__new__` with the text alone.
    def __getnewargs_ex__(self) -> tuple[tuple[bool], dict[str, str]]:
        return (self.condition,), {"yes": self.yes, "no": self.no}


@dataclass(frozen=True)
class Result:
    """Everything that a reader sees of one run. `told` makes it from the numbers, and `reproduce` makes a record of it.

    Args:
        finding: the results, in sentences.
        figures: every number.
        tables: how the figures are laid out.
        charts: plots, as data.
        pictures: (PNG, caption) by file name.
        footnotes: explanations of differences from published figures, and limits of the result.
        protocol: everything needed to repeat the run.
        claims: every claim with its verdict.
        take_away: what a reader should remember, in a sentence or two.

    >>> figure = Figure("counts", "a row", "a column", 3, "count")
    >>> Result([f"It is {figure.measured}."], [figure], [Table("counts", "What was counted")]).finding
    ['It is 3.']
    """

    finding: list[str]
    figures: list[Figure]
    tables: list[Table]
    charts: list[Chart] = field(default_factory=list)
    pictures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    footnotes: list[str] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)
    claims: list[Judged] = field(default_factory=list)
    take_away: str = ""


@dataclass(frozen=True)
class Experiment(Generic[N]):
    """A published claim, and how it is measured here.

    Args:
        name: on the command line.
        systems: keys for programs, e.g. ("S10",): which rows of a list of published systems it covers. Not shown to readers.
        shows: what it shows, in one line.
        claim: what was claimed, in a sentence or two.
        source: where it was claimed.
        measure: runs the experiment in a `Lab` and returns its numbers. It uses public functions of the package only.
        figures: the figures, from the numbers.
        finding: the results, from the numbers. A sentence that states a result is a `Said`.
        tables: how the figures are laid out, from the numbers.
        claims: every claim that the experiment judges, with its verdict, from the numbers (`experiments.judging`).
        charts: the plots, from the numbers.
        pictures: (PNG, caption) by file name, from the numbers.
        footnotes: explanations of differences from published figures, and limits of the result, from the numbers.
        protocol: everything needed to repeat the run, from the numbers.
        trains: whether it trains networks. If so, `--data` and `--seeds` matter.
        readers: the accuracy on unmoved pictures of every network that is compared, by name, from the numbers. If one is
            below `READS`, the first sentence of the finding says so. None if no classifiers are compared, or if this
            accuracy is what the experiment compares.
        title: what it is called for a reader. It states no result.
        definition: of the notion that it is about, in a sentence or two.
        take_away: what a reader should remember, from the numbers.

    >>> mine = Experiment(
    ...     name="mine", systems=(), shows="what it shows", claim="It is 3.", source=Citation("Somebody 2017", "table 1"),
    ...     measure=lambda lab: 3,
    ...     figures=lambda n: [Figure("counts", "a row", "a column", n, "count", holds=n == 3)],
    ...     finding=lambda n: [Said(n == 3, yes="It is 3.", no=f"It is {n}, not 3.")],
    ...     tables=lambda n: [Table("counts", "What was counted", claim="It is 3.")],
    ...     claims=lambda n: [],
    ... )
    >>> told(mine, 3).finding, told(mine, 4).finding
    (['It is 3.'], ['It is 4, not 3.'])
    """

    name: str
    systems: tuple[str, ...]
    shows: str
    claim: str
    source: Citation
    measure: Callable[[Lab], N]
    figures: Callable[[N], list[Figure]]
    finding: Callable[[N], list[Said | str]]
    tables: Callable[[N], list[Table]]
    claims: Callable[[N], list[Judged]]
    charts: Callable[[N], list[Chart]] = lambda n: []
    pictures: Callable[[N], dict[str, tuple[bytes, str]]] = lambda n: {}
    footnotes: Callable[[N], list[Said | str]] = lambda n: []
    protocol: Callable[[N], dict[str, Any]] = lambda n: {}
    trains: bool = False
    readers: Callable[[N], Mapping[str, float]] | None = None
    title: str = ""
    definition: str = ""
    take_away: Callable[[N], Said | str] = lambda n: ""


def findings(experiment: Experiment[N], numbers: N) -> list[Said | str]:
    """The finding. Where networks are compared that read poorly, its first sentence says which."""
    warning = [] if experiment.readers is None else [poor_readers(experiment.readers(numbers))]
    return [*warning, *experiment.finding(numbers)]


def poor_readers(readers: Mapping[str, float]) -> Said:
    """The sentence that names the networks that read poorly; empty if all of them read.

    Args:
        readers: accuracy on unmoved pictures, by network.

    >>> str(poor_readers({"mean": 0.52, "flat": 0.96}))
    'Only 1 of the 2 networks reads at least 90 % of the unmoved pictures, so comparisons with others say little: mean 52.0 %.'
    """
    poor = [f"{name} {percent(a, 1)}" for name, a in readers.items() if a < READS]
    able = len(readers) - len(poor)
    return Said(
        bool(poor),
        yes=f"Only {able} of the {len(readers)} networks {'reads' if able == 1 else 'read'} at least {percent(READS, 0)} of "
        f"the unmoved pictures, so comparisons with others say little: {'; '.join(poor)}.",
        no="",
    )


def told(experiment: Experiment[N], numbers: N) -> Result:
    """What a reader sees of these numbers. Sentences are plain strings here, and empty ones are left out.

    Args:
        experiment: which one.
        numbers: what its `measure` returned, or numbers made up for a test.
    """
    return Result(
        finding=[str(s) for s in findings(experiment, numbers) if s],
        figures=experiment.figures(numbers),
        tables=[replace(t, title=str(t.title), note=str(t.note)) for t in experiment.tables(numbers)],
        charts=[replace(c, title=str(c.title), note=str(c.note)) for c in experiment.charts(numbers)],
        pictures={name: (png, str(caption)) for name, (png, caption) in experiment.pictures(numbers).items()},
        footnotes=[str(s) for s in experiment.footnotes(numbers) if s],
        protocol=experiment.protocol(numbers),
        claims=experiment.claims(numbers),
        take_away=str(experiment.take_away(numbers)),
    )
