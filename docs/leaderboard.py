"""The tables of docs/zoo.md, from the records of `benchmarks/zoo.py`: text in, text out."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median
from typing import Any

from shiftproof.records.numbers import chance, fixed

Record = dict[str, Any]
REASONS = {
    "T0": "an operator without a rule, or no graph",
    "T2": "padding",
    "T3": "ragged sizes",
    "T4": "position constants",
    "T5": "a dense layer over positions",
    "T6": "a kernel per position",
    "T7": "an order along positions",
    "T8": "positions selected by index",
    "T9": "resampling by a ratio that is not whole",
}


def examples(records: list[Record], count: int = 4) -> str:
    """Names of a few models, of different families first."""
    seen: Counter[str] = Counter()
    ranked = []
    for r in sorted(records, key=lambda r: (len(r["model"]), r["model"])):
        ranked.append((seen[r["family"]], r["model"].removeprefix("timm:")))
        seen[r["family"]] += 1
    names = [name for _, name in sorted(ranked, key=lambda pair: pair[0])[:count]]
    return ", ".join(names) + (", ..." if len(records) > count else "")


def exported(records: list[Record]) -> list[Record]:
    """Those that torch made a graph of."""
    return [r for r in records if "error" not in r and r["unknown_operators"] != {"export": 1}]


def fixed_step(record: Record) -> str:
    """The step that a model would have if its findings were fixed, at a size that the step divides."""
    step = record["output"]["step"]
    if step is None:
        return "–"
    if any(s >= n for s, n in zip(step, record["input"][1:], strict=True)):
        return "none: the step is the whole picture"
    return f"{step[0]} px" if step[0] == step[1] else f"{step[0]} x {step[1]} px"


def overview(records: list[Record], run: dict[str, Any]) -> str:
    """What the whole run says, in sentences."""
    graphs = exported(records)
    lines = []
    for library in ("timm", "torchvision"):
        own = [r for r in records if r["model"].startswith(library + ":")]
        good = exported(own)
        known = [r for r in good if not r["unknown_operators"]]
        failed = sum("error" in r for r in own)
        every = run["architectures"][library]
        lines.append(
            f"- **{library}**: {len(own)} of {every} architectures, of {len({r['family'] for r in own if 'family' in r})} of "
            f"{run['families'][library]} families; {len(good)} exported, {failed} ended in an error; "
            f"{len(known)} of the exported ({chance(len(known) / len(good))}) without an operator that has no rule."
        )
    for world, words in WORLDS.items():
        proved = [r for r in graphs if r[world]["status"] == "proved"]
        named = f": {examples(proved, 6)}" if proved else ""
        lines.append(f"- Proved as they are in the {world} world ({words}): {len(proved)} of {len(graphs)}{named}.")
    slow = max(graphs, key=lambda r: r["check_cpu_s"])
    each = median(r["check_cpu_s"] for r in graphs)
    lines.append(
        f"- The check took {fixed(each, 2)} CPU seconds in the median and {fixed(slow['check_cpu_s'], 1)} at most "
        f"({slow['model']}, {slow['nodes']} operators), without the time to build and export the model."
    )
    lines.append(
        f"- `{run['command']}`, {run['hardware']}, torch {run['versions']['torch']}, timm {run['versions']['timm']}, "
        f"{run['date'][:10]}."
    )
    return "\n".join(lines)


WORLDS = {
    "circular": "the picture wraps around",
    "window": "the camera moves over a larger scene",
    "canvas": "an object moves on a uniform background",
}


def reasons(records: list[Record]) -> str:
    """What prevents a proof, alone or together with other findings."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    graphs = [r for r in exported(records) if not r["unknown_operators"]]
    for r in graphs:
        groups[tuple(r["in_the_way"])].append(r)
    rows = ["| what prevents a proof | models | share | examples |", "| --- | --- | --- | --- |"]
    for codes, found in sorted(groups.items(), key=lambda item: -len(item[1])):
        words = " + ".join(f"{REASONS[c]} ({c})" for c in codes) or "nothing"
        rows.append(f"| {words} | {len(found)} | {chance(len(found) / len(graphs))} | {examples(found)} |")
    return "\n".join(rows)


def steps(records: list[Record]) -> str:
    """For which moves the models would be exact if their findings were fixed."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for r in exported(records):
        groups[fixed_step(r)].append(r)

    def smallest(item: tuple[str, list[Record]]) -> tuple[bool, int]:
        return not item[0][0].isdigit(), int(item[0].partition(" ")[0]) if item[0][0].isdigit() else 0

    rows = ["| exact for multiples of | models | examples |", "| --- | --- | --- |"]
    for step, found in sorted(groups.items(), key=smallest):
        rows.append(f"| {step} | {len(found)} | {examples(found, 6)} |")
    return "\n".join(rows)


def nearest(records: list[Record], count: int = 25) -> str:
    """The models with the fewest findings that prevent a proof; one of each family."""
    graphs = [r for r in exported(records) if not r["unknown_operators"] and not fixed_step(r).startswith("none")]
    best: dict[str, Record] = {}
    for r in sorted(graphs, key=lambda r: (sum(r["in_the_way"].values()), max(r["output"]["step"]), r["model"])):
        best.setdefault(r["family"], r)
    rows = ["| model | places to fix | which | then exact for multiples of |", "| --- | --- | --- | --- |"]
    for r in list(best.values())[:count]:
        which = ", ".join(f"{REASONS[c]} {n}" for c, n in r["in_the_way"].items()) or "none"
        rows.append(f"| {r['model']} | {sum(r['in_the_way'].values())} | {which} | {fixed_step(r)} |")
    return "\n".join(rows)


def by_family(records: list[Record], library: str) -> str:
    """One line per family: how many models, the verdict, the steps, the share of models with a finding of each code."""
    families: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        if r["model"].startswith(library + ":"):
            families[r.get("family", "?")].append(r)
    codes = [c for c in REASONS if c != "T0"]
    rows = [
        f"| family | models | circular world | fixed: exact for multiples of | {' | '.join(codes)} | unknown | check, CPU s |",
        f"| --- | --- | --- | --- |{' --- |' * len(codes)} --- | --- |",
    ]
    for family, own in sorted(families.items()):
        good = exported(own)
        states = Counter(r["circular"]["status"].replace("_", " ") for r in own if "error" not in r)
        verdict = ", ".join(f"{s} {n}" if len(states) > 1 else s for s, n in states.most_common())
        found = Counter(fixed_step(r) for r in good)
        step = "; ".join(s.partition(":")[0] + (f" ({n})" if len(found) > 1 else "") for s, n in found.most_common(4))
        counts = [_middle([r["findings"].get(c, 0) for r in good]) for c in codes]
        unknown = sum(bool(r.get("unknown_operators")) for r in own) + sum("error" in r for r in own)
        seconds = fixed(max(r["check_cpu_s"] for r in good), 2) if good else "–"
        cells = [family, str(len(own)), verdict, step or "–", *counts, str(unknown or "·"), seconds]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _middle(counts: list[int]) -> str:
    """The median of counts; a dot for none at all, a range where models differ much."""
    if not counts or not max(counts):
        return "·"
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def own_time(result: dict[str, Any]) -> str:
    """The time of the check itself."""
    rows = ["| model | operators | check, CPU s | torch's export, CPU s |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {r['what']} | {r['operators']} | {fixed(r['first_check_s'], 2)} | {fixed(r['export_s'], 1)} |"
        for r in result["rows"]
    ]
    where = f"`{result['command']}`, {result['hardware']}, one thread, {result['date'][:10]}."
    return "\n".join([*rows, "", where])


def not_known(records: list[Record]) -> str:
    """Models for which something is unknown, by reason."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        why = r.get("error") or next(iter(r.get("refused", {})), None)
        if why:
            groups[why].append(r)
    if not groups:
        return "None."
    rows = ["| why | models | examples |", "| --- | --- | --- |"]
    for why, found in sorted(groups.items(), key=lambda item: -len(item[1])):
        named = ", ".join(r["model"] for r in found[:4])
        rows.append(f"| {why.replace('|', '/')} | {len(found)} | {named}{', ...' if len(found) > 4 else ''} |")
    return "\n".join(rows)
