"""How long an experiment took in all, over every run that worked on it: each part counts once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Spent:
    """Seconds of the parts of an experiment: those made in this run, and those read back from earlier runs.

    A part may contain other parts, and may be asked for more than once. Its own seconds are those that no part inside it
    took.

    >>> spent = Spent()
    >>> with spent.making("a") as note:
    ...     spent.read("b", {"seconds": 5.0, "inside": {}})
    >>> spent.read("b", {"seconds": 5.0, "inside": {}})
    >>> spent.read("c", {"seconds": 1.0, "inside": {"b": 5.0, "d": 2.0}})
    >>> spent.earlier_s, sorted(note["inside"]), note["seconds"] < 1
    (8.0, ['b'], True)
    """

    made: dict[str, float] = field(default_factory=dict)
    earlier: dict[str, float] = field(default_factory=dict)
    around: list[dict[str, float]] = field(default_factory=list)

    @property
    def earlier_s(self) -> float:
        """Seconds that earlier runs took for what this run read back."""
        return sum(self.earlier.values())

    def read(self, name: str, note: dict) -> None:
        """Counts a part that was read back, with the note that `making` gave."""
        for part, seconds in {**note.get("inside", {}), name: note["seconds"]}.items():
            if part not in self.made:
                self.earlier[part] = seconds
            for inside in self.around:
                inside[part] = seconds

    @contextmanager
    def making(self, name: str) -> Iterator[dict]:
        """Counts a part that is made inside the `with` block.

        Yields its note, {"seconds": its own, "inside": {part: its own seconds}}, which is filled in when the block ends.
        """
        note: dict = {"seconds": 0.0, "inside": {}}
        before, started = sum(self.made.values()), time.perf_counter()
        self.around.append(note["inside"])
        try:
            yield note
        finally:
            self.around.pop()
        # What parts inside it took in this run is theirs: each second counts once.
        note["seconds"] = time.perf_counter() - started - (sum(self.made.values()) - before)
        self.made[name] = note["seconds"]
        for inside in self.around:
            inside[name] = note["seconds"]
