"""The pytest plugin: the marker and fixture `shift_invariant`, and a picture of the witness when a test fails.

pytest loads it in every environment in which shiftproof is installed. So it imports nothing but pytest until a test asks for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from shiftproof.translations import TranslationSet

MARKER = "shift_invariant"
OPTIONS = ("boundary", "max_px", "tolerance", "step_px", "fill")
USE = f'@pytest.mark.{MARKER}(boundary="crop", max_px=4, tolerance=1e-4)'
FOLDER = "shiftproof_witnesses"
LONGEST = 120  # signs of a file name
ZOOMED_PX = 200  # small pictures are enlarged to about this width


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting for where pictures of witnesses go."""
    parser.addini(
        FOLDER, "Folder for pictures of what a failing shift_invariant test found.", default="shiftproof-witnesses"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, for `--strict-markers` and `pytest --markers`."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(boundary, max_px, tolerance=1e-4, step_px=1, fill=0): the moves for the fixture shift_invariant, which fails "
        "the test if an output of the model changes by more than the tolerance at any of them (shiftproof)",
    )


@pytest.fixture
def shift_invariant(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`shift_invariant(model, images)` fails the test if an output changes by more than the marker's tolerance.

    As `shiftproof.testing.assert_invariant`, with the moves of `@pytest.mark.shift_invariant(...)`. When it fails, a picture of
    the witness (unmoved, and moved by the worst move) is written, and the report names it.
    """
    moves, tolerance = _given(request)

    def check(model: Any, images: Tensor) -> None:
        from shiftproof.errors import InvarianceError
        from shiftproof.testing import assert_invariant

        try:
            assert_invariant(model, images, moves, tolerance=tolerance)
        except InvarianceError as error:
            if error.witness is None:
                raise
            image, (dy, dx) = error.witness
            path = _drawn(images[image : image + 1], (dy, dx), moves, _path(request))
            words = f"{path}\nleft: image {image} unmoved; right: moved by dy={dy:g}, dx={dx:g} ({moves.boundary})"
            request.node.add_report_section("call", "shiftproof: the witness", words)
            raise

    return check


def _given(request: pytest.FixtureRequest) -> tuple[TranslationSet, float]:
    """The moves and the tolerance of the nearest marker."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or marker.args or not {"boundary", "max_px"} <= set(marker.kwargs) <= set(OPTIONS):
        said = "no marker" if marker is None else f"{marker.args or ''}{dict(marker.kwargs)}"
        pytest.fail(f"shift_invariant: {said}: mark the test with {USE}; options: {', '.join(OPTIONS)}", pytrace=False)
    from shiftproof.translations import grid

    given = dict(marker.kwargs)
    tolerance = given.pop("tolerance", 1e-4)
    if not tolerance >= 0:
        pytest.fail(f"shift_invariant: tolerance={tolerance} is below zero: use 0 for equality", pytrace=False)
    return grid(given.pop("max_px"), given.pop("boundary"), **given), tolerance


def _path(request: pytest.FixtureRequest) -> Path:
    """Where the picture of a test goes: its own file for each test, whatever its parameters are called."""
    name = re.sub(r"[^\w.-]+", "-", request.node.nodeid).strip("-")
    # Two names may become the same when signs are replaced, and a name may be too long for a file.
    sure = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    return request.config.rootpath / request.config.getini(FOLDER) / f"{name[-LONGEST:]}-{sure}.png"


def _drawn(picture: Tensor, move: tuple[float, float], moves: TranslationSet, path: Path) -> Path:
    """Writes the picture unmoved and moved, side by side."""
    import numpy as np
    import torch

    from shiftproof.data import png
    from shiftproof.records import write_beside
    from shiftproof.translations import translate

    picture = picture.detach().to("cpu", torch.float64)
    both = torch.tensor([(0.0, 0.0), move], dtype=torch.float64)
    views = translate(picture, both, moves.boundary, fill=moves.fill, margin_px=moves.carried_px)[0]
    views = views if views.shape[1] == 3 else views[:, :1].expand(-1, 3, -1, -1)
    low, high = float(picture.min()), float(picture.max())
    views = ((views - low) / (high - low if high > low else 1.0)).clamp(0, 1).nan_to_num(0).permute(0, 2, 3, 1).numpy()
    gap = np.ones((views.shape[1], max(1, views.shape[2] // 16), 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_beside(
        path, png(np.concatenate([views[0], gap, views[1]], axis=1), zoom=max(1, ZOOMED_PX // views.shape[2]))
    )
