"""Every test: shapes and types checked as annotated, one thread a worker, seeded, and hypothesis repeatable."""

import os

import pytest
from hypothesis import HealthCheck, settings

from checked_types import check_types

check_types("shiftproof")

# It registers operators, which torch takes once a process; pytest would import it a second time for its docstrings.
collect_ignore = ["trap_layers.py"]

settings.register_profile(
    "shiftproof", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shiftproof")

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries under test may draw from it
