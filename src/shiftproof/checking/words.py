"""A verdict in words: the sentence first, then the findings in the order of the network, then the network as a strip."""

from __future__ import annotations

from shiftproof.checking.findings import CODES, Finding
from shiftproof.checking.verdict import Claim, Verdict


def text(verdict: Verdict, *, verbose: bool = False, width: int = 118) -> str:
    """The verdict as a terminal shows it.

    Args:
        verdict: what to print.
        verbose: every finding on a line of its own.
        width: characters a line.
    """
    head = f"{verdict.model}   {' x '.join(str(n) for n in verdict.input_size)}"
    timing = "   ".join(f"{k} {v:.1f} s" for k, v in verdict.seconds.items())
    lines = [head + timing.rjust(max(width - len(head), len(timing) + 3)), sentence(verdict), ""]
    lines += _findings(verdict, verbose, width)
    lines += _strip(verdict, width)
    for world in ("circular", "window", "canvas"):
        lines.append(f" {world:<9}{_claim(getattr(verdict, world))}")
    return "\n".join(line.rstrip() for line in lines)


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    kinds = len({f.code for f in verdict.findings})
    stops = {f.code for f in verdict.findings if "circular" in f.breaks}
    word = {"invariant": "INVARIANT", "equivariant": "EQUIVARIANT", "none": "INVARIANT"}[verdict.kind]
    claim = verdict.circular
    if claim.status == "proved":
        rest = f"; {kinds} kind{'s' * (kinds != 1)} of findings" if kinds else ""
        return f"{word}   proved for every circular move by multiples of {_pixels(claim.step)}{rest}"
    if claim.status == "unknown":
        names = ", ".join(verdict.unknown_operators)
        return f"UNKNOWN   nothing is claimed past {names}"
    sure = "NOT " + word if claim.status == "refuted" else word + " NOT PROVED"
    if not stops:
        return f"{sure}   {'; '.join(claim.conditions[2:])}"
    steps = verdict.output_type.step if hasattr(verdict.output_type, "step") else (1, 1)  # type: ignore[union-attr]
    partly = [f"; along {a} it is proved for multiples of {s} px" for a, s in zip("yx", claim.step, strict=True) if s]
    return (
        f"{sure}   {kinds} kind{'s' * (kinds != 1)} of findings; mended, it would be exact for circular moves by multiples"
        f" of {_pixels(steps)}{''.join(partly)}"
    )


def _pixels(step) -> str:
    y, x = step
    return f"{y} px" if y == x else f"{y} px (y), {x} px (x)"


def _findings(verdict: Verdict, verbose: bool, width: int) -> list[str]:
    groups: dict[str, list[Finding]] = {}
    for f in verdict.findings:
        groups.setdefault(f.code, []).append(f)
    lines: list[str] = []
    for code, group in groups.items():
        label = f" {code} {CODES[code]}"
        if verbose:
            lines.append(f"{label}   {len(group)} x")
            for f in group:
                where = f"{f.module or '-'}   {f.source}"
                lines += [f"    {where}   {f.operator}: {f.detail}{_axes(f)}{_alias(f)}", f"        mend: {f.mend}"]
            continue
        places = [f"{f.module or f.operator} {f.detail}{_axes(f)}{_alias(f)}" for f in group]
        shown, room = places[0], width - 34
        for place in places[1:]:
            if len(shown) + len(place) + 2 > room:
                shown += " ..."
                break
            shown += f", {place}"
        lines.append(f"{label:<20} {len(group):>3} x   {shown}")
        lines.append(f"{'':<28}{group[0].source}   mend: {group[0].mend}")
    if lines and not verbose and len(verdict.findings) > len(groups):
        lines.append(f"{'':<28}(--verbose lists all {len(verdict.findings)})")
    return [*lines, ""] if lines else []


def _axes(f: Finding) -> str:
    return "" if len(f.axes) == 2 else f" (along {next(iter(f.axes))})"


def _alias(f: Finding) -> str:
    return "" if f.alias is None else f"  folds {f.alias:.0%} of the energy"


def _strip(verdict: Verdict, width: int) -> list[str]:
    stages = list(verdict.stages)
    if not stages:
        return []
    most = max(2, (width - 10) // 12)
    if len(stages) > most:  # keep those where something changes
        kept = [
            s
            for a, s in zip([None, *stages], stages, strict=False)
            if a is None or (a.step, a.stride) != (s.step, s.stride)
        ]
        stages = [*kept[: most - 1], stages[-1]] if stages[-1] not in kept[: most - 1] else kept[: most - 1]
    rows = {
        "depth": [s.name for s in stages],
        "stride": [s.stride[0] if s.stride[0] == s.stride[1] else "x".join(s.stride) for s in stages],
        "step": [str(s.step[0]) if s.step[0] == s.step[1] else f"{s.step[0]}x{s.step[1]}" for s in stages],
        "margin": [s.margin for s in stages],
    }
    wide = [max(len(row[i]) for row in rows.values()) + 2 for i in range(len(stages))]
    return [f" {k:<9}" + "".join(v.rjust(w) for v, w in zip(row, wide, strict=True)) for k, row in rows.items()] + [""]


def _claim(claim: Claim) -> str:
    parts = [claim.status.replace("_", " ")]
    if any(claim.step):
        parts.append("step " + " x ".join("-" if s is None else str(s) for s in claim.step))
    if claim.clean is not None:
        parts.append(f"{claim.clean[0]} x {claim.clean[1]} cells of the last map beyond reach of the padding")
    if claim.distance_px is not None:
        parts.append(f"object {claim.distance_px} px from the border")
    parts += claim.conditions[2:]
    if claim.counterexample is not None:
        parts.append(claim.counterexample.get("words", ""))
    return "; ".join(parts)
