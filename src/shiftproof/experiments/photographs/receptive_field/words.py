"""What is said of the receptive field: figures, sentences, charts and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from shiftproof.experiments.drawing import Cells, laid_out, side_by_side
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.photographs.receptive_field.numbers import ENERGY, Numbers, measure
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent

AS_COMPUTED = "The field is as computed."
SHARE = percent(ENERGY, 0)
UNFOLDED_PX = 290  # about the side of a photograph with the fields in it
SHOWN_PX = 112  # the least width of a gradient in the picture, before all of it is enlarged
SOURCE = Citation(
    "Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks",
    "the recurrences for size, stride and padding",
    "https://distill.pub/2019/computing-receptive-fields/",
)


def figures(n: Numbers) -> list[Figure]:
    """Each layer's field in three ways."""
    found = []
    for network, layers in n.layers.items():
        for layer in layers:
            exact = layer.within and layer.seen == layer.field.size
            found += [
                Figure(network, layer.name, "by arithmetic", layer.field.size, "px"),
                Figure(network, layer.name, "by gradient", layer.seen, "px", holds=exact),
                Figure(network, layer.name, "pixels from cell to cell", layer.field.jump, "px"),
                Figure(network, layer.name, "unchanged by all other pixels", float(layer.alone), "", holds=layer.alone),
                Figure(network, layer.name, f"side that holds {SHARE} of the squared gradient", layer.middle, "px"),
            ]
    return found


def claims(n: Numbers) -> list[Judged]:
    """That a layer sees its field and nothing else, however large the field is."""
    agree = [layer.agrees for layers in n.layers.values() for layer in layers]
    last = ", ".join(f"{layers[-1].field.size} px in {network}" for network, layers in n.layers.items())
    return [
        judged(
            "A convolutional network learns local features: a layer's output depends only on its receptive field.",
            SOURCE,
            agree,
            holds=f"Gradient and replaced pixels confirm it at all {len(agree)} layers. The last fields are large: {last}.",
            in_part=f"Gradient and replaced pixels confirm it at {sum(agree)} of {len(agree)} layers.",
            does_not="Gradient and replaced pixels contradict it at every layer.",
            rests_on=[(network, layers[-1].name, "by gradient") for network, layers in n.layers.items()],
        )
    ]


def finding(n: Numbers) -> list[Said | str]:
    """For each network, how its field grows and whether the three ways agree."""
    found: list[Said | str] = []
    for network, layers in n.layers.items():
        others = [layer.name for layer in layers if not layer.agrees]
        first, last = layers[0].field.size, layers[-1].field.size
        found += [
            Said(
                last > first,
                yes=f"{network}: the field grows from {first} px at the first layer to {last} px at {layers[-1].name}.",
                no=f"{network}: the field does not grow: it is {first} px at the first layer and {last} px at "
                f"{layers[-1].name}.",
            ),
            f"{network}: {SHARE} of the last layer's squared gradient lies within {layers[-1].middle} px.",
            Said(
                not others,
                yes=f"{network}: at {len(layers)} of {len(layers)} layers, the gradient is exactly 0 outside the field and "
                "reaches its edges, and replacing the pixels outside the field leaves the output equal to the last bit.",
                no=f"{network}: the gradient and replaced pixels confirm the field at only {len(layers) - len(others)} of "
                f"{len(layers)} layers; they contradict it at {', '.join(others)}.",
            ),
        ]
    return found


def take_away(n: Numbers) -> Said:
    """What to remember."""
    others = [layer.name for layers in n.layers.values() for layer in layers if not layer.agrees]
    last = " and ".join(f"{layers[-1].field.size} px in {network}" for network, layers in n.layers.items())
    return Said(
        not others,
        yes=f"A cell sees its receptive field and nothing else. How far that is, arithmetic says: {last} for the last layer.",
        no=f"What {', '.join(others)} can see is not what arithmetic says.",
    )


def tables(n: Numbers) -> list[Table]:
    """One for each network."""
    return [
        Table(w, f"{w}: the receptive field of each layer's middle cell", "layer", "px along each axis", AS_COMPUTED)
        for w in n.layers
    ]


def charts(n: Numbers) -> list[Chart]:
    """The field by layer."""
    series = []
    for network, layers in n.layers.items():
        x = list(range(1, len(layers) + 1))
        series += [
            Series(f"{network}, field", x, [float(layer.field.size) for layer in layers]),
            Series(
                f"{network}, {SHARE} of it",
                x,
                [float(layer.middle) for layer in layers],
                dashed=True,
                of=f"{network}, field",
            ),
        ]
    return [Chart("fields", "Receptive field", "lines", "layer", "px", series)]


def unfolding(n: Numbers) -> list[Cells]:
    """For each network, a photograph and the field of the middle cell of every layer, one frame per size."""
    found = []
    for network, layers in n.layers.items():
        shown = n.shown[network]
        side = shown.shape[-1]
        frames = []
        for layer in {layer.field.size: layer for layer in layers}.values():
            # The cell whose field lies in the middle of the picture.
            low, high = layer.field.box(
                round((side / 2 + layer.field.before - layer.field.size / 2) / layer.field.jump)
            )
            frames.append((low, low, high + 1 - low, high + 1 - low))
        found.append(Cells(shown, "light", 1.0, boxes=frames, side_px=max(1, UNFOLDED_PX // side)))
    return found


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """How strongly the middle cell depends on each pixel; small pictures are enlarged to a readable size."""
    shown = []
    for energy in n.energy.values():
        zoom = max(1, SHOWN_PX // energy.shape[-1])
        shown.append(np.kron(np.sqrt(energy / energy.max()), np.ones((zoom, zoom))))
    sizes = "; ".join(
        f"{network}: {', '.join(map(str, dict.fromkeys(layer.field.size for layer in layers)))} px"
        for network, layers in n.layers.items()
    )
    return {
        "unfolding.png": (
            laid_out([unfolding(n)], above=list(n.layers)),
            f"What one cell in the middle sees, layer after layer: a frame for each size of the field. {sizes}.",
        ),
        "gradients.png": (
            side_by_side(shown, zoom=2),
            "How strongly the middle cell of the last layer depends on each pixel (root of the squared gradient over "
            f"{n.inputs} pictures): {' and '.join(n.energy)}. Black is 0 or nearly 0.",
        ),
    }


def footnotes(n: Numbers) -> list[Said | str]:
    """How far the result reaches."""
    within = all(layer.within for layers in n.layers.values() for layer in layers)
    return [
        "The field depends on the layers alone. How much each pixel in it counts depends on the weights, which are untrained "
        "here.",
        Said(
            within,
            yes="The arithmetic leaves out the shortcuts of a residual network. They do not widen the field: outside the field "
            "computed without them, the gradient is exactly 0.",
            no="The arithmetic leaves out the shortcuts of a residual network. They may widen the field: the gradient is not 0 "
            "everywhere outside the field computed without them.",
        ),
    ]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "pictures": f"{n.inputs} windows of {n.album}",
        "weights": "torch's own, seed 0, float64",
        "gradient": "of one random combination of the channels of the middle cell, squares summed over pictures",
        "unchanged": "every pixel outside the field replaced, in 2 pictures; compared with torch.equal",
    }


EXPERIMENT = Experiment(
    name="receptive-field",
    systems=("S6",),
    title="What one cell of a network can see",
    definition="Receptive field: the pixels that can change one cell of a layer.",
    shows="the receptive field of every layer of a network, and a proof that pixels outside it have no effect",
    claim="A convolutional network learns local features: a layer's output depends only on its receptive field.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
