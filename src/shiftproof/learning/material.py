"""What the exhibits work on: networks and digits that `make exhibits` wrote, and a photograph from scikit-image."""

from __future__ import annotations

import base64
import functools
import importlib.resources
import json
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
SIDE = 64  # pixels of the photograph's side: a window of half of it can be moved
SCENE = 256  # pixels of the side of the photograph whose statistics are measured


def material() -> dict[str, str]:
    """JSON by the name under which an exhibit asks for it."""
    held = {p.stem: p.read_text("utf-8") for p in sorted(WEIGHTS.glob("*.json"))}
    return held | {"photograph": photograph(), "scene": scene(), "face": face()}


@functools.cache
def photograph() -> str:
    """A small grey photograph of a cat (chelsea, by Stéfan van der Walt, CC0), which lies inside scikit-image's wheel."""
    from PIL import Image

    with importlib.resources.as_file(importlib.resources.files("skimage") / "data" / "chelsea.png") as where:
        grey = Image.open(where).convert("L")
    left = (grey.width - grey.height) // 2
    small = grey.crop((left, 0, left + grey.height, grey.height)).resize((SIDE, SIDE), Image.Resampling.BOX)
    held = {"source": "scikit-image, chelsea, CC0", "side": SIDE, "pixels": base64.b64encode(small.tobytes()).decode()}
    return json.dumps(held)


@functools.cache
def scene() -> str:
    """The middle of a larger grey photograph (camera, by Lav Varshney, CC0), which scikit-image carries too."""
    from PIL import Image

    with importlib.resources.as_file(importlib.resources.files("skimage") / "data" / "camera.png") as where:
        grey = Image.open(where).convert("L")
    left, top = (grey.width - SCENE) // 2, (grey.height - SCENE) // 2
    middle = grey.crop((left, top, left + SCENE, top + SCENE))
    held = {"source": "scikit-image, camera, CC0", "side": SCENE, "pixels": base64.b64encode(middle.tobytes()).decode()}
    return json.dumps(held)


@functools.cache
def face() -> str:
    """The mean of the 50 held-out faces of scikit-image's patches (LFW): nobody's own face, and in no file of the project."""
    import numpy as np

    with importlib.resources.as_file(importlib.resources.files("skimage") / "data" / "lfw_subset.npy") as where:
        patches = np.load(where, allow_pickle=False)
    mean = (patches[1:100:2].mean(0) * 255).round().astype(np.uint8)
    held = {"source": "scikit-image, lfw_subset, mean of 50", "side": len(mean)}
    return json.dumps(held | {"pixels": base64.b64encode(mean.tobytes()).decode()})
