"""Fixtures of these tests."""

import pytest
import torch


@pytest.fixture
def free(exported):
    return exported({0: torch.export.Dim("n")})
