"""Records made up for tests: as real ones look, from a formula and a seed. Loaded by path (no package)."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
from PIL import Image

from shiftproof.records import (
    AuditRecord,
    BadItem,
    Cost,
    Curve,
    Data,
    Environment,
    Layer,
    LayerError,
    Map,
    Metric,
    Model,
    Protocol,
    Witness,
)

HOSTILE = "</script><img src=x onerror=alert(1)>"


def metric(value: float, half: float = 0.01, n: int = 512, *, top: float = 1.0) -> Metric:
    return Metric(value, max(0.0, value - half), min(top, value + half), n)


def a_map(offsets, value_of, half: float = 0.02, *, top: float = 1.0) -> Map:
    values = [float(value_of(dy, dx)) for dy, dx in offsets]
    lengths = [round(math.hypot(dy, dx)) for dy, dx in offsets]
    radius = sorted(set(lengths))
    mean = [float(np.mean([v for v, length in zip(values, lengths, strict=True) if length == r])) for r in radius]
    low, high = ([max(0.0, v - half) for v in values], [min(top, v + half) for v in values])
    curve = Curve(
        [float(r) for r in radius], mean, [max(0.0, v - half) for v in mean], [min(top, v + half) for v in mean]
    )
    return Map([[float(dy), float(dx)] for dy, dx in offsets], values, low, high, curve)


def lattice(reach: int, step: float = 1.0) -> list[tuple[float, float]]:
    ends = np.arange(-reach, reach + step / 2, step)
    return [(float(dy), float(dx)) for dy in ends for dx in ends]


def accuracy_of(dy: float, dx: float) -> float:
    """Falls with distance; better on the stride grid of 4 and 2; a little worse to the lower right."""
    grid = 0.016 * ((dy % 4 == 0) + (dx % 4 == 0)) + 0.01 * ((dy % 2 == 0) + (dx % 2 == 0))
    wave = 0.004 * math.sin(2.7 * dy + 1.3 * dx)
    return 0.912 - 0.0009 * (dy * dy + dx * dx) - 0.0022 * max(0.0, dy + dx) - 0.052 + grid + wave


def resnet_layers(count: int = 60) -> list[Layer]:
    """Convolution, normalisation, activation and so on through four stages, a pooling and a classifier at the end."""
    rng = np.random.default_rng(5)
    kinds = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]
    layers, aliasing, border = [], 0.0, 0.0
    for i in range(count - 2):
        stage = min(3, 4 * i // max(1, count - 2))
        block, kind = i // 6, kinds[i % 6]
        starts = i == 0 or (4 * (i - 1) // max(1, count - 2)) != stage
        local = 0.0 if kind == "BatchNorm2d" else 0.11 if starts else 0.018 + 0.01 * rng.random()
        local = local * (0.35 if kind == "ReLU" else 1.0)
        aliasing = min(0.5, aliasing * 0.985 + (0.09 if starts else 0.002 * rng.random()))
        border = min(0.4, border * 0.995 + (0.006 + 0.003 * rng.random() if kind == "Conv2d" else 0.0))
        position = 0.004 * rng.random()
        total = aliasing + border + position
        error = LayerError(
            metric(total, 0.012 + 0.05 * total, 16),
            metric(local, 0.004, 16),
            metric(aliasing, 0.01, 16),
            metric(border, 0.01, 16),
            metric(position, 0.001, 16),
            metric(0.0, 0.0, 16),
        )
        stride = 4.0 * 2**stage
        layers.append(
            Layer(f"layer{stage + 1}.{block}.{kind.lower()}{i % 6}", kind, [stride, stride], 1 - i / count, error)
        )
    tail = LayerError(
        metric(0.21, 0.02, 16),
        None,
        metric(0.0, 0.0, 16),
        metric(0.0, 0.0, 16),
        metric(0.21, 0.02, 16),
        metric(0.0, 0.0, 16),
    )
    pooled = replace(tail, local=metric(0.02, 0.004, 16))
    ends = [Layer("global_pool", "AdaptiveAvgPool2d", None, 0.0, pooled), Layer("fc", "Linear", None, 0.0, tail)]
    return (layers + ends)[:count]


def png(picture: np.ndarray, side: int) -> bytes:
    short = min(picture.shape[:2])
    top, left = (picture.shape[0] - short) // 2, (picture.shape[1] - short) // 2
    square = Image.fromarray(picture[top : top + short, left : left + short]).resize((side, side))
    buffer = io.BytesIO()
    square.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def photographs() -> dict[str, np.ndarray]:
    """scikit-image's bundled photographs that need no download."""
    from skimage import data

    names = ["astronaut", "coffee", "cat", "rocket", "camera", "coins", "horse", "moon"]
    found = {}
    for name in names:
        picture = getattr(data, name)()
        found[name] = (picture * 255).astype(np.uint8) if picture.dtype == bool else np.asarray(picture)
    return found


ANSWERS = [
    ("astronaut", "space suit", "military uniform", 0.83, 0.12),
    ("coffee", "espresso", "soup bowl", 0.74, 0.19),
    ("cat", "Egyptian cat", "tabby cat", 0.58, 0.22),
    ("rocket", "space shuttle", "missile", 0.66, 0.31),
    ("camera", "tripod", "reflex camera, single-lens, with a very long name indeed", 0.71, 0.36),
    ("coins", "bottle cap", "coil", 0.49, 0.21),
    ("horse", "sorrel", "ox", 0.41, 0.18),
    ("moon", "balloon", "bubble", 0.37, 0.17),
]
MOVES = [(-7, 3), (5, 5), (0, -6), (8, 1), (-2, -8), (1, 0), (-4, 7), (3, -3)]


def witnesses(side: int = 224, count: int = 8) -> tuple[list[Witness], dict[str, bytes]]:
    pictures, found = {}, []
    photos = photographs()
    for n, ((name, before, after, p0, p1), (dy, dx)) in enumerate(zip(ANSWERS[:count], MOVES, strict=False)):
        unmoved = np.asarray(Image.open(io.BytesIO(png(photos[name], side))))
        moved = np.roll(unmoved, (dy, dx), (0, 1))
        pictures[f"witness-{n}.png"], pictures[f"witness-{n}-moved.png"] = png(unmoved, side), png(moved, side)
        found.append(
            Witness(
                f"photos/{name}.jpg",
                float(dy),
                float(dx),
                before if n % 2 else None,
                before,
                after,
                p0,
                p1,
                f"witness-{n}.png",
                f"witness-{n}-moved.png",
            )
        )
    return found, pictures


def classification(reach: int = 8, layers: int = 60, side: int = 224, shown: int = 8) -> AuditRecord:
    """A labelled run of a ResNet-like classifier over circular moves."""
    offsets = lattice(reach)
    found, pictures = witnesses(side, shown) if shown else ([], {})
    maps = {  # in the order in which an audit makes them
        "agreement": a_map(
            offsets, lambda dy, dx: 1 - 0.02 * (math.hypot(dy, dx) > 0) - 1.3 * (0.912 - accuracy_of(dy, dx))
        ),
        "sensitivity": a_map(
            offsets,
            lambda dy, dx: 0.05 * math.hypot(dy, dx) ** 0.7 * (1.25 if dy % 4 or dx % 4 else 1.0),
            0.012,
            top=9.0,
        ),
        "sensitivity_cosine": a_map(offsets, lambda dy, dx: 0.014 * math.hypot(dy, dx) ** 0.9, 0.004, top=2.0),
        "accuracy": a_map(offsets, accuracy_of),
    }
    return AuditRecord(
        notes=[],
        model=Model(
            "timm:resnet18.a1_in1k",
            11_689_512,
            [3, 224, 224],
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
            1.0,
            "classification",
            "weights/resnet18.safetensors",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "scores",
            "declared",
            [],
            False,
        ),
        data=Data("photos/", 520, 512, True, "circular wrap", []),
        protocol=Protocol(
            "circular",
            0.0,
            {"kind": "grid", "boundary": "circular", "fill": 0.0, "max_px": reach, "step_px": 1, "count": len(offsets)},
            len(offsets),
            "none",
            0.0,
            "seeded permutation",
            0,
            0.95,
            "the Bayesian bootstrap over clusters",
            None,
            None,
            "bicubic to 256, centre crop of 224",
            16,
        ),
        metrics={
            "accuracy_unmoved": metric(0.9121, 0.0243),
            "accuracy": metric(0.8574, 0.0261),
            "accuracy_worst_move": metric(0.7188, 0.0389),
            "accuracy_every_move": metric(0.6035, 0.0423),
            "consistency": metric(0.8832, 0.0187),
            "consistency_adjusted": metric(0.7411, 0.0305),
            "flip_rate": metric(0.0893, 0.0161),
            "wobble": metric(0.3127, 0.0178),
            "sensitivity": metric(0.2184, 0.0093, top=9.0),
            "sensitivity_cosine": metric(0.0931, 0.0057, top=9.0),
        },
        maps=maps,
        layers=resnet_layers(layers),
        witnesses=found,
        cost=Cost(147_968, 152_407.0, 1.03, 2531.4, 4907.2, 0.0322, 64, 1_342_177_280, "as it is"),
        environment=Environment(
            {"shiftproof": "0.1.0", "python": "3.11.9", "torch": "2.15.0", "timm": "1.0.31", "numpy": "2.4.6"},
            "Linux 6.8 x86_64",
            "cpu",
            2,
            "2026-11-20T11:45:07Z",
        ),
        pictures=pictures,
    )


def with_offsets(record: AuditRecord, kind: str, offsets: list[tuple[float, float]]) -> AuditRecord:
    """The same over another set of moves."""
    maps = {
        "accuracy": a_map(offsets, lambda dy, dx: 0.91 - 0.2 * (1 - math.exp(-math.hypot(dy, dx) / 12))),
        "sensitivity": a_map(offsets, lambda dy, dx: 0.5 * (1 - math.exp(-math.hypot(dy, dx) / 12)), 0.01, top=9.0),
    }
    translations = {"kind": kind, "boundary": "circular", "fill": 0.0, "count": len(offsets)}
    protocol = replace(record.protocol, translations=translations, views_per_image=len(offsets))
    return replace(record, maps=maps, protocol=protocol)


def ring(radius: int) -> list[tuple[float, float]]:
    return [(dy, dx) for dy, dx in lattice(radius) if round(math.hypot(dy, dx)) == radius]


def path(length: int, direction: tuple[int, int] = (0, 1)) -> list[tuple[float, float]]:
    return [(float(k * direction[0]), float(k * direction[1])) for k in range(length + 1)]


def scattered(count: int = 64, reach: float = 8.0) -> list[tuple[float, float]]:
    points = np.random.default_rng(3).uniform(-reach, reach, (count, 2))
    return [(round(float(a), 3), round(float(b), 3)) for a, b in points]


def unlabelled() -> AuditRecord:
    """No labels: no accuracy."""
    record = classification()
    metrics = {k: v for k, v in record.metrics.items() if not k.startswith(("accuracy", "consistency_adjusted"))}
    maps = {k: v for k, v in record.maps.items() if k != "accuracy"}
    return replace(record, metrics=metrics, maps=maps, data=replace(record.data, labelled=False))


def dense() -> AuditRecord:
    """A segmentation model: masks, no witnesses."""
    record = classification(shown=0)
    offsets = lattice(8)
    metrics = {
        "mask_agreement_interior": metric(0.9712, 0.004, 64),
        "mask_agreement_border": metric(0.8944, 0.011, 64),
        "equivariance_error_interior": metric(0.0871, 0.006, 64),
        "equivariance_error_border": metric(0.2412, 0.013, 64),
    }
    maps = {
        "equivariance_error": a_map(offsets, lambda dy, dx: 0.012 * math.hypot(dy, dx), 0.01, top=9.0),
        "mask_agreement": a_map(
            offsets, lambda dy, dx: 0.98 - 0.004 * math.hypot(dy, dx) - 0.01 * bool(dy % 8 or dx % 8)
        ),
    }
    model = replace(record.model, word="torchvision:lraspp_mobilenet_v3_large", task="dense")
    return replace(record, model=model, metrics=metrics, maps=maps, data=replace(record.data, labelled=False))


def empty() -> AuditRecord:
    """No layers, no witnesses, no maps, and nothing changed: the constant network."""
    record = classification(shown=0)
    return replace(
        record,
        model=replace(record.model, word="model.onnx", parameters=None),
        metrics={"flip_rate": Metric(0.0, 0.0, 0.0074, 512)},
        maps={},
        layers=[],
        protocol=replace(record.protocol, layer_images=0),
    )


def hostile() -> AuditRecord:
    """Every word that a user can choose is an attack."""
    record = classification(reach=3, layers=8, side=28, shown=2)
    attacked = [
        replace(w, item=HOSTILE, before=HOSTILE, after='" onmouseover="alert(2)', label="{{ 7 * 7 }}")
        for w in record.witnesses
    ]
    layers = [replace(layer, name=HOSTILE, operator="<svg onload=alert(3)>") for layer in record.layers]
    return replace(
        record,
        model=replace(record.model, word=HOSTILE, weights="'><script>alert(4)</script>"),
        data=replace(record.data, word="<!--<script>", bad=[BadItem(HOSTILE, "<b onclick=alert(5)>not a picture</b>")]),
        maps={HOSTILE: record.maps["accuracy"], **record.maps},
        layers=layers,
        witnesses=attacked,
        environment=replace(record.environment, versions={"shiftproof": "<i>", HOSTILE: HOSTILE}),
    )


def some_bad(count: int = 3) -> AuditRecord:
    """Items that were skipped."""
    record = classification(layers=12, side=28, shown=4)
    bad = [
        BadItem(f"photos/broken-{i}.jpg", "cannot identify image file (truncated after 412 bytes)")
        for i in range(count)
    ]
    return replace(record, data=replace(record.data, bad=bad))
