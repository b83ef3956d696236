"""Numbers that say the opposite: what every experiment's words are tested with.

`MUTATIONS` of each file here has an entry for each experiment: numbers for which its claims hold, changes that make them
say otherwise, and the plain words that state no result. `faults` says which sentence, clause, title or tick could not be false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shiftproof.experiments import Experiment, Said
from shiftproof.experiments.experiment import findings

# Words by which a sentence compares: it states a result, even if it is full of numbers.
RESULT = re.compile(
    r"\b(grows?|falls?|raises?|lowers?|rises?|shrinks?|gains?|loses?|adds?|saves?|improves?|exceeds?|beats|costs?|confirms?|"
    r"contradicts?|proves?|more|less|fewer|larger|smaller|better|worse|higher|lower|longer|shorter|nearer|wider|narrower|faster|"
    r"slower|stronger|weaker|most|least|largest|smallest|best|worst|above|below|only|always|never|lags|forgets?|saturates?|"
    r"widens?)\b",
    re.IGNORECASE,
)
# Words by which a sentence rests on what another one says: that one may say the opposite.
LEANS = re.compile(r"\b(also|either|too|still)\b|(^|[.:;] )(But|However)\b")


@dataclass(frozen=True)
class Mutation:
    """How the words of one experiment are tested.

    Args:
        holds: gives the numbers as they are measured, or made-up ones that are alike.
        opposites: each changes those numbers (`dataclasses.replace`) so that they say something else. Together they must
            bring out every sentence of every `Said`, and turn every tick of a figure.
        descriptive: the beginning of a plain sentence or title, or of a clause that all sentences of a `Said` share -> why it
            does not state a result. What states one is a branch of a `Said`; a plain sentence that gives "numbers only" must
            not compare them.
        never: changes of one number or two, each with words that would then be false.
    """

    holds: Callable[[], Any]
    opposites: Sequence[Callable[[Any], Any]]
    descriptive: dict[str, str] = field(default_factory=dict)
    never: Sequence[tuple[Callable[[Any], Any], str]] = ()


def sentences(experiment: Experiment, numbers: Any) -> Iterator[tuple[str, str]]:
    """(place, sentence) of all that is said of these numbers. For plain titles, see `titles`."""
    for i, s in enumerate(findings(experiment, numbers)):
        yield f"finding {i}", s
    yield "take-away", experiment.take_away(numbers)
    for i, s in enumerate(experiment.footnotes(numbers)):
        yield f"footnote {i}", s
    for kind, found in (("table", experiment.tables(numbers)), ("chart", experiment.charts(numbers))):
        for part in found:
            yield f"note of {kind} {part.name}", part.note
            if isinstance(part.title, Said):
                yield f"title of {kind} {part.name}", part.title
    for name, (_, caption) in experiment.pictures(numbers).items():
        yield f"caption of {name}", caption


def titles(experiment: Experiment, numbers: Any) -> Iterator[tuple[str, str]]:
    """(place, title) of the tables and charts whose title is the same for all numbers."""
    for kind, found in (("table", experiment.tables(numbers)), ("chart", experiment.charts(numbers))):
        yield from ((f"title of {kind} {p.name}", p.title) for p in found if not isinstance(p.title, Said))


def choices(said: str) -> list[str]:
    """All sentences of a `Said` but empty ones.

    >>> choices(Said(False, yes="a", no=Said(True, yes="b", no="")))
    ['a', 'b']
    """
    return [*choices(said.yes), *choices(said.no)] if isinstance(said, Said) else [said] * bool(said)


def either_way(said: Said) -> set[str]:
    """Clauses that state a result and stand in every sentence of a `Said`: the condition does not choose them.

    >>> either_way(Said(True, yes="But it lags behind: 3 is best.", no="It lags, and it lags behind: 4 is better."))
    set()
    >>> either_way(Said(True, yes="It lags behind, by 3.", no="It lags behind: 4 is better."))
    {'It lags behind'}
    """
    clauses = [{c.strip() for c in re.split(r"[,.:;](?= |$)", s)} for s in choices(said)]
    shared = set.intersection(*clauses) if len(clauses) > 1 else set()
    return {c for c in shared if RESULT.search(c)}


def way(said: str) -> tuple[bool, ...]:
    """Which sentence was chosen: the conditions from the outside inwards; () for a plain sentence.

    >>> way(Said(False, yes="a", no=Said(True, yes="b", no="c")))
    (False, True)
    """
    if not isinstance(said, Said):
        return ()
    return (said.condition, *way(said.yes if said.condition else said.no))


def ways(said: str) -> set[tuple[bool, ...]]:
    """All that could be chosen.

    >>> sorted(ways(Said(False, yes="a", no=Said(True, yes="b", no="c"))))
    [(False, False), (False, True), (True,)]
    """
    if not isinstance(said, Said):
        return {()}
    return {(True, *w) for w in ways(said.yes)} | {(False, *w) for w in ways(said.no)}


def faults(experiment: Experiment, mutation: Mutation) -> list[str]:
    """What could not be false in the words and ticks of the experiment, and what is not as it should be."""
    base = mutation.holds()
    variants = [base, *(change(base) for change in mutation.opposites)]
    said = [dict(sentences(experiment, n)) for n in variants]
    found = [f"not always said: {p}" for s in said for p in {*said[0]} ^ {*s}]
    used = set()
    for place in said[0]:
        told = [s[place] for s in said if place in s]
        if isinstance(told[0], Said):
            by_way = {way(s): str(s) for s in told}
            found += [f"never said: {place}, {w}" for w in sorted(ways(told[0]) - set(by_way))]
            found += [f"the same words for different results: {place}"] * (len(set(by_way.values())) < len(by_way))
            found += [f"leans on another sentence: {place}: {c}" for c in choices(told[0]) if LEANS.search(c)]
            for clause in sorted(either_way(told[0])):
                reasons = [b for b in mutation.descriptive if clause.startswith(b)]
                used.update(reasons)
                found += [f"said either way: {place}: {clause}"] * (not reasons)
        for sentence in told:
            reasons = [b for b in mutation.descriptive if sentence.startswith(b)]
            used.update(reasons)
            if sentence and not isinstance(sentence, Said):
                numbers_only = place.startswith("finding") or any(
                    mutation.descriptive[b].endswith("numbers only") for b in reasons
                )
                if not reasons or (numbers_only and RESULT.search(sentence)):
                    found.append(f"cannot be false: {place}: {sentence}")
    for place, title in chain.from_iterable(titles(experiment, n) for n in variants):
        reasons = [b for b in mutation.descriptive if title.startswith(b)]
        used.update(reasons)
        found += [f"cannot be false: {place}: {title}"] * (bool(RESULT.search(title)) and not reasons)
    for change, words in mutation.never:
        found += [f"false words: {place}: {s}" for place, s in sentences(experiment, change(base)) if words in s]
        sayable = [c for s in said for sentence in s.values() for c in choices(sentence)]
        found += [f"no sentence has these words: {words}"] * (not any(words in c for c in sayable))
    found += [f"described and never said: {b}" for b in sorted({*mutation.descriptive} - used)]
    return list(dict.fromkeys(found + ticks(experiment, variants) + verdicts(experiment, variants)))


def verdicts(experiment: Experiment, variants: Sequence[Any]) -> list[str]:
    """Claims whose verdict is the same for all numbers, whose reason does not follow it, or that rest on no figure; tables
    with a tick and no claim."""
    judged = [experiment.claims(n) for n in variants]
    found = []
    for claim in {c.claim: None for told in judged for c in told}:
        each = [next((c for c in told if c.claim == claim), None) for told in judged]
        reasons: dict[str, set[str]] = {}
        for c, numbers in zip(each, variants, strict=True):
            if c is None:
                found.append(f"not always judged: {claim}")
                continue
            reasons.setdefault(c.outcome, set()).add(c.reason)
            places = {(f.table, f.row, f.column) for f in experiment.figures(numbers)}
            found += [
                f"rests on no figure: {claim}: {at}" for at in c.rests_on if (at.table, at.row, at.column) not in places
            ]
            found += [f"rests on nothing: {claim}"] * (not c.rests_on)
        found += [f"always {'/'.join(reasons)}: {claim}"] * (len(reasons) < 2)
        said = [r for words in reasons.values() for r in words]
        found += [f"the same reason for different verdicts: {claim}"] * (len(said) > len(set(said)))
    if any(judged):
        for told in variants:
            signed = {f.table for f in experiment.figures(told) if f.holds is not None}
            claimed = {t.name for t in experiment.tables(told) if t.claim}
            found += [f"a tick without a claim: table {name}" for name in sorted(signed - claimed)]
    return found


def ticks(experiment: Experiment, variants: Sequence[Any]) -> list[str]:
    """Figures whose `holds` is the same for all numbers."""
    seen: dict[tuple[str, str, str], set[bool | None]] = {}
    for numbers in variants:
        for f in experiment.figures(numbers):
            seen.setdefault((f.table, f.row, f.column), set()).add(f.holds)
    judged = {place: held - {None} for place, held in seen.items() if held != {None}}
    return [f"always {held.pop()}: {', '.join(place)}" for place, held in judged.items() if len(held) < 2]
