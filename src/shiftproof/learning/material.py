"""What the exhibits work on: networks and digits that `make exhibits` wrote."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def material() -> dict[str, str]:
    """JSON by the name under which an exhibit asks for it."""
    return {p.stem: p.read_text("utf-8") for p in sorted(WEIGHTS.glob("*.json"))}
