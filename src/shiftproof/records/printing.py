"""How an audit's record prints itself, in a terminal and in a notebook."""

from __future__ import annotations

import html

from shiftproof.records.audit import AuditRecord, Map

PERCENT = {  # metrics printed in per cent, in this order, with the words for them
    "accuracy_unmoved": "accuracy, unmoved",
    "accuracy": "accuracy, mean over moves",
    "accuracy_worst_move": "accuracy at the worst move",
    "accuracy_every_move": "right at every move",
    "consistency": "consistency (all pairs)",
    "consistency_adjusted": "consistency, adjusted",
    "flip_rate": "flip rate",
    "mean_flip_rate": "mean flip rate along path",
    "wobble": "wobble of the probability",
    "mask_agreement_interior": "mask agreement, interior",
    "mask_agreement_border": "mask agreement, border",
    "equivariance_error_interior": "equivariance error, interior",
    "equivariance_error_border": "equivariance error, border",
}
PLAIN = {"sensitivity": "sensitivity (Euclidean)", "sensitivity_cosine": "sensitivity (cosine)"}


def metric_rows(record: AuditRecord) -> list[tuple[str, str, str]]:
    """(words, value, interval) of every metric, in reading order, as printed."""
    rows = []
    for name, words in (PERCENT | PLAIN).items():
        if metric := record.metrics.get(name):
            scale, unit, places = (100, " %", 2) if name in PERCENT else (1, "", 4)
            value, low, high = (_number(scale * v, places) for v in (metric.value, metric.low, metric.high))
            rows.append((words, value + unit, f"{low} – {high}"))
    return rows


def _number(value: float, places: int) -> str:
    """Fixed places, but what is not zero never prints as zero."""
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-places else f"{value:.{places}f}"


def headline(record: AuditRecord) -> str:
    """The result in one sentence."""
    p, m = record.protocol, record.metrics
    set_words = f"{p.views_per_image} moves ({p.boundary}) of {record.data.used} pictures"
    if metric := m.get("flip_rate"):
        ends = f"({100 * metric.low:.2f} – {100 * metric.high:.2f} %)"
        if metric.value == 0:
            return f"No answer changed in {set_words}: flip rate 0 {ends}."
        return f"The answer changes in {100 * metric.value:.2f} % {ends} of {set_words}."
    if metric := m.get("mask_agreement_interior"):
        return f"Away from the border, {100 * metric.value:.2f} % of the mask's cells keep their class in {set_words}."
    return f"{set_words} were measured."


def lines(record: AuditRecord) -> list[str]:
    """The record as a short table, for a terminal without colours."""
    rows = metric_rows(record)
    wide = [max((len(r[i]) for r in rows), default=0) for i in range(3)]
    c = record.cost
    return [
        f"{record.model.word} on {record.data.word}",
        headline(record),
        "",
        *(f"  {a:<{wide[0]}}  {b:>{wide[1]}}  [{i}]" for a, b, i in rows),
        "",
        f"  {record.protocol.confidence:.0%} intervals clustered by image, seed {record.protocol.seed}; "
        f"{c.views} views, {c.forward_equivalents_per_view:.2f} FE a view, {c.seconds:.1f} s",
        *([f"  {len(record.data.bad)} items were skipped"] if record.data.bad else []),
    ]


def notebook_html(record: AuditRecord) -> str:
    """The record as a table with its map, for a notebook."""
    cells = "".join(
        f"<tr><td style='text-align:left'>{html.escape(a)}</td><td>{html.escape(b)}</td><td>[{html.escape(i)}]</td></tr>"
        for a, b, i in metric_rows(record)
    )
    title = html.escape(f"{record.model.word} on {record.data.word}")
    name = next((n for n in ("accuracy", "agreement", "mask_agreement") if n in record.maps), None)
    picture = _map_svg(record.maps[name], name) if name else ""
    return (
        f"<div><b>{title}</b><br>{html.escape(headline(record))}"
        f"<div style='display:flex;gap:1.5em;align-items:flex-start'>"
        f"<table><thead><tr><th style='text-align:left'>metric</th><th>value</th>"
        f"<th>{record.protocol.confidence:.0%} interval</th></tr></thead><tbody>{cells}</tbody></table>{picture}</div></div>"
    )


def _map_svg(m: Map, name: str) -> str:
    """The map as small coloured squares at (dx, dy), darker = lower, each with its figure as a tooltip."""
    drawn = [(dy, dx, v) for (dy, dx), v in zip(m.offsets_px, m.values, strict=True) if v is not None]
    if not drawn or len(drawn) > 4096:
        return ""
    reach = max(max(abs(dy), abs(dx)) for dy, dx, _ in drawn) or 1
    lowest = min(v for *_, v in drawn)
    span = (max(v for *_, v in drawn) - lowest) or 1
    squares = "".join(
        f"<rect x='{dx - 0.5}' y='{dy - 0.5}' width='1' height='1' fill='hsl(210 70% {25 + 65 * (v - lowest) / span:.0f}%)'>"
        f"<title>dy {dy:g}, dx {dx:g}: {v:.2%}</title></rect>"
        for dy, dx, v in drawn
    )
    side = 2 * reach + 1
    return (
        f"<figure style='margin:0'><svg width='180' height='180' viewBox='{-reach - 0.5} {-reach - 0.5} {side} {side}'>"
        f"{squares}</svg><figcaption>{html.escape(name)} by move</figcaption></figure>"
    )
