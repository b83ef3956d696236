"""Where the real data lies, a pickle that shows itself when it runs, and small exported programs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """The folder of real data and weights, or a skip that says where it was looked for."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data in {SHARED}")
    return SHARED


class Evil:
    """Unpickled, it makes a folder: harmless, and plain to see."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A folder that is there only if code out of a file was run."""
    return tmp_path / "code-was-run"


@pytest.fixture
def evil(mark: Path) -> Evil:
    return Evil(mark)


class Small(nn.Module):
    """Two convolutions, average, dense layer: 3 channels in, 5 classes out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


@pytest.fixture
def small() -> Small:
    return Small().eval()


@pytest.fixture
def exported(small: Small, tmp_path: Path) -> Callable[..., Path]:
    """Writes the small network as a .pt2, with the given dynamic dimensions and example batch."""

    def write(dynamic: dict[int, Any] | None = None, batch: int = 4, size: int = 8, name: str = "small.pt2") -> Path:
        shapes = None if dynamic is None else (dynamic,)
        program = torch.export.export(small, (torch.rand(batch, 3, size, size),), dynamic_shapes=shapes)
        torch.export.save(program, tmp_path / name)
        return tmp_path / name

    return write
