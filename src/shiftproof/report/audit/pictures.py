"""The maps of an audit as pictures, for what shows pictures only, such as the logger of a training run."""

from __future__ import annotations

from shiftproof.records import MAPS, AuditRecord
from shiftproof.records.colours import PALETTE
from shiftproof.records.metrics import in_order
from shiftproof.report.audit.maps import map_figures

WIDTH_PX = 320  # of the plotting area and what stands beside it


def map_pictures(record: AuditRecord) -> dict[str, bytes]:
    """Every map of a record as a PNG file, by its name: the charts of the page, in its light colours.

    Args:
        record: of an audit; maps without moves are left out.
    """
    # The library starts a JavaScript engine, which takes about a second.
    import vl_convert

    names = [name for name in in_order(record.maps, MAPS) if record.maps[name].offsets_px]
    drawn = {}
    for name, shown in zip(names, map_figures(record), strict=True):
        figure = shown.figure
        columns = figure.columns
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        height = figure.height_px if figure.aspect is None else round(WIDTH_PX * figure.aspect)
        drawn[name] = vl_convert.vegalite_to_png(
            {
                **figure.spec,
                "title": shown.measure.words,
                "background": PALETTE["paper"][0],
                "datasets": {**figure.spec.get("datasets", {}), "rows": rows},
                "width": WIDTH_PX,
                "height": height,
            }
        )
    return drawn
