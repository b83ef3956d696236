"""A verdict's claims in words: the sentence about the world that was asked for, and what is known in each world."""

from __future__ import annotations

from collections.abc import Sequence

from shiftproof.records.verdict_parts import Claim, Finding, VerdictParts

WORLD_WORDS = {
    "circular": "the picture wraps around",
    "window": "the camera moves over a larger scene",
    "canvas": "an object moves on a uniform background",
}


def sentence(verdict: VerdictParts) -> str:
    """The verdict in one sentence."""
    title, rest = sentence_parts(verdict)
    return f"{title}   {rest}"


def sentence_parts(verdict: VerdictParts) -> tuple[str, str]:
    """(the verdict in capitals, what it means), about the world that was asked for."""
    claim: Claim = getattr(verdict, verdict.world)
    kinds = len({f.code for f in findings_of(verdict)})
    listed = f"{kinds} kind{'s' * (kinds != 1)} of finding{'s' * (kinds != 1)}"
    word = "EQUIVARIANT" if verdict.output.kind == "equivariant" else "INVARIANT"
    not_proved = "EQUIVARIANCE NOT PROVED" if word == "EQUIVARIANT" else "INVARIANCE NOT PROVED"
    if claim.status == "proved":
        return word, f"proved for {_proved_for(verdict)}" + (f"; {listed}" if kinds else "")
    if claim.status == "unknown":
        export = next((f.detail for f in verdict.findings if f.operator == "export"), None)
        if export is not None:
            return "UNKNOWN", f"there is no graph to prove anything from: {export}"
        run = next((f.detail for f in verdict.findings if f.operator == "run"), None)
        if run is not None:
            return "UNKNOWN", run
        return "UNKNOWN", f"the check cannot follow the network past {', '.join(verdict.unknown_operators)}"
    sure = f"NOT {word}" if claim.status == "refuted" else not_proved
    ends = any(verdict.world in f.breaks for f in verdict.findings)
    if verdict.world != "circular":
        where = f"in the {verdict.world} world, where {WORLD_WORDS[verdict.world]}"
        # That the background is uniform is what the world means, not what prevents a proof in it.
        why = "; ".join(c.words for c in claim.conditions if c.kind not in ("usual", "background"))
        found = f"{listed}{f'; {why}' if why else ''}" if ends else why or "it is proved along one axis only"
        return sure, f"{where}: {found}"
    if not ends:
        return sure, "; ".join(conditions(verdict, "circular"))
    steps = verdict.output.step or (1, 1)
    partly = [f"; along {a} it is proved for multiples of {s} px" for a, s in zip("yx", claim.step, strict=True) if s]
    # A step of the whole extent leaves no move but none: "exact for multiples of 224 px" would sound like a result.
    if any(s % n == 0 < n - 1 for s, n in zip(steps, verdict.input_size[1:], strict=True)):
        after = f"after the fixes below its step would still be {pixels(steps)}, as far as the picture goes"
    else:
        to = "equivariant" if verdict.output.kind == "equivariant" else "invariant"
        after = f"after the fixes below it would be exactly {to} to circular moves by multiples of {pixels(steps)}"
    return sure, f"{listed}; {after}{''.join(partly)}"


def _proved_for(verdict: VerdictParts) -> str:
    """The moves for which the claim of the asked world is proved, in words."""
    claim: Claim = getattr(verdict, verdict.world)
    multiples = f"by multiples of {pixels(claim.step)}"
    if verdict.world == "window":
        tiles = tile_words(claim)
        return f"every camera move {multiples}" + (f": {', '.join(tiles)}" if tiles else "")
    if verdict.world == "canvas":
        far = f" that stays {claim.distance_px} px from the border" if claim.distance_px else ""
        return f"every move of an object{far} on a uniform background {multiples}"
    return f"every circular move {multiples}"


def findings_of(verdict: VerdictParts) -> list[Finding]:
    """The findings that matter in the asked world: those that end its proof, and those that make its step coarser.

    In the circular world these are all: what ends the proof in another world is listed too, as it always was.
    """
    if verdict.world == "circular":
        return list(verdict.findings)
    return [f for f in verdict.findings if verdict.world in f.breaks or not f.breaks]


def left_out_words(verdict: VerdictParts) -> str:
    """How many findings do not matter in the asked world; "" if all do."""
    count = len(verdict.findings) - len(findings_of(verdict))
    some = f"{count} finding{'s' * (count != 1)} end{'s' * (count == 1)} a proof in other worlds only"
    return f"{some} (--world circular lists all)" if count else ""


def conditions(verdict: VerdictParts, world: str) -> list[str]:
    """The conditions of a claim beyond those that every claim has: exact arithmetic and one picture."""
    return [c.words for c in getattr(verdict, world).conditions if c.kind != "usual"]


def claim_words(verdict: VerdictParts, world: str) -> str:
    """What is known in one world, in one line."""
    claim: Claim = getattr(verdict, world)
    parts = [status_words(claim)]
    if any(claim.step):
        parts.append("step " + " x ".join("-" if s is None else str(s) for s in claim.step))
    parts += tile_words(claim)
    if claim.distance_px is not None and any(claim.step):  # where nothing is proved, no distance is enough
        parts.append(f"object at least {claim.distance_px} px from the border")
    parts += conditions(verdict, world)
    if claim.counterexample is not None:
        parts.append(str(claim.counterexample))
    return "; ".join(parts)


def status_words(claim: Claim) -> str:
    """The status as a person reads it."""
    return claim.status.replace("_", " ")


def size_words(size: tuple[int, ...]) -> str:
    """A size in words.

    >>> size_words((3, 224, 224))
    '3 x 224 x 224'
    """
    return " x ".join(str(n) for n in size)


def pixels(step: tuple[int | None, int | None]) -> str:
    """A step in pixels.

    >>> pixels((4, 4)), pixels((4, 2))
    ('4 px', '4 px (y), 2 px (x)')
    """
    y, x = step
    return f"{y} px" if y == x else f"{y} px (y), {x} px (x)"


def both_px(size: Sequence[int]) -> str:
    """A size in pixels, both numbers if they differ.

    >>> both_px((21, 21)), both_px((21, 40))
    ('21 px', '21 x 40 px')
    """
    return f"{both_sizes(*size)} px"


def both_sizes(y: int, x: int) -> str:
    """Both numbers, or one if they are equal."""
    return str(y) if y == x else f"{y} x {x}"


def tile_words(claim: Claim) -> list[str]:
    """What the window world means for tiles of a large picture, in the words of those who cut them."""
    found = []
    if claim.clean is not None and claim.status == "proved":
        found.append(f"{claim.clean[0]} x {claim.clean[1]} cells of each tile are exact")
    of = ""
    if claim.halo_px is not None:
        if claim.status == "proved":
            found.append(f"halo of {_halo_words(claim)}")
            starts = [s for s in claim.step if s is not None]
            found.append(
                "tiles may start at every pixel" if set(starts) == {1} else f"tiles may start every {both_px(starts)}"
            )
            # Between those that differ by whole steps, a smaller tile may have as many cells.
            of = "" if set(starts) == {1} else f", in steps of {both_px(starts)}"
        else:
            of = ", for an exact cell"
    if claim.smallest_px is not None:
        found.append(f"the smallest tile is {both_px(claim.smallest_px)}{of}")
    return found


def _halo_words(claim: Claim) -> str:
    """How much of a tile is not exact, and where: a layer with a stride may read its padding at one end only."""
    halo, ends = claim.halo_px or (0, 0), claim.margins or ((0, 0), (0, 0))
    if all(low == high for low, high in ends):
        return f"{both_px(halo)} at each side"
    along = [f"the first {low} and the last {high} cells" for low, high in ends]
    where = f"{along[0]} along each axis" if along[0] == along[1] else f"{along[0]} along y, {along[1]} along x"
    return f"{both_px([2 * n for n in halo])} in all, {where}"


def moves_words(step: int) -> str:
    """The moves that are multiples of a step.

    >>> moves_words(2), moves_words(4)
    ('even moves', 'moves by multiples of 4 px')
    """
    return "even moves" if step == 2 else f"moves by multiples of {step} px"


def groups(verdict: VerdictParts) -> list[list[Finding]]:
    """The findings that matter in the asked world, in the order of the network, grouped by their code and fix."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for f in findings_of(verdict):
        found.setdefault((f.code, f.mend.code), []).append(f)
    return list(found.values())
