"""Small networks made at random with a trap in each, held to what they do: run for every move, as found and again.

python tests/random_traps.py --count 200 --seed 0
"""

from __future__ import annotations

import argparse
import copy
import itertools
import random
import warnings
from collections import Counter, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import shiftproof as sp
import trap_layers
from brute_force import Call, canvas_worst, whole, window_worst
from left import fakes, held
from random_networks import BREAKING, SOUND
from shiftproof.checking import refuted
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting import trials
from shiftproof.checking.refuting.trials import gap, moved
from shiftproof.errors import ShiftproofError
from trap_layers import TRAPS, Size, Trap

Pair = namedtuple("Pair", ["scores", "maps"])

OUTPUTS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "one": lambda y, t: y,
    "two": lambda y, t: (y, t),
    "the other first": lambda y, t: (t, y),
    "a list": lambda y, t: [y, t, y.mean()],
    "a dictionary": lambda y, t: {"aux": t, "out": y},
    "a dictionary of logits": lambda y, t: {"aux": t, "logits": y, "out": t},
    "a dictionary of maps": lambda y, t: {"second": t, "first": y},
    "a named tuple": lambda y, t: Pair(y, t),
    "nested": lambda y, t: ([{"a": t}, y], (y,)),
    "with numbers": lambda y, t: (3, None, "words", y),
}


class Network(nn.Module):
    """Layers in a row; the answer holds the last map and the map before the last layer."""

    def __init__(self, layers: list[nn.Module], output: str) -> None:
        super().__init__()
        self.layers, self.output = nn.Sequential(*layers), output

    def forward(self, x: Tensor) -> Any:
        for layer in self.layers[:-1]:
            x = layer(x)
        return OUTPUTS[self.output](self.layers[-1](x), x)


@dataclass
class Trapped:
    """A network, the size of its input, and the traps in it."""

    net: Network
    size: Size
    traps: list[Trap]

    @property
    def words(self) -> str:
        return f"{', '.join(t.name for t in self.traps)}; output: {self.net.output}"

    @property
    def never(self) -> bool:
        return any(t.never for t in self.traps)

    def state(self) -> list[Any]:
        """All state outside tensors."""
        return [t.state() for t in self.traps]

    def reset(self) -> None:
        """Puts back what lies outside the network."""
        for t in self.traps:
            t.reset()


HEADS: list[Callable[[nn.Module, Tensor], Tensor]] = [
    lambda m, x: x,
    lambda m, x: x.relu(),
    lambda m, x: x.mean((2, 3)),
    lambda m, x: x.amax((2, 3)),
    lambda m, x: x.square().sum((2, 3)),
]


def trapped(seed: int) -> Trapped:
    """A network in float64 with whole weights, with one trap or two among other layers."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    size: Size = r.choice([(1, 8, 8), (2, 8, 12), (2, 6, 8), (1, 7, 9), (2, 10, 10)])
    traps: list[Trap] = []
    layers: list[nn.Module] = []
    now = size
    count = r.randint(1, 4)
    at = {r.randrange(count)} | ({r.randrange(count)} if r.random() < 0.2 else set())
    for i in range(count):
        if i in at:
            trap = r.choice(TRAPS)(r, now)
            traps.append(trap)
            layer, then = trap.layer, trap.size
        else:
            layer, then = r.choice(BREAKING if r.random() < 0.05 else SOUND)(r, now)
            layer = whole(layer, seed + i)
        if min(then[1:]) < 2 or max(then[1:]) > 24:
            break
        layers.append(layer)
        now = then
    layers.append(Call(r.choice(HEADS)))
    traps = [t for t in traps if t.layer in layers]
    return Trapped(Network(layers, r.choice(["one", *OUTPUTS])).double().eval(), size, traps)


class Answers(nn.Module):
    """The output that a verdict is about, as a module that answers with one tensor; afresh: with the network as found."""

    def __init__(self, one: Trapped, name: str, afresh: bool) -> None:
        super().__init__()
        # Not a submodule: what a run makes is to be seen nowhere else.
        self.one, self.name, self.afresh = [one], name, afresh

    def forward(self, x: Tensor) -> Tensor:
        one = self.one[0]
        if self.afresh:
            one.reset()
        net = copy.deepcopy(one.net) if self.afresh else one.net
        output = net(x.clone())
        # `name` is a Python index such as ['out'] or [1].a: evaluated, so that nothing is picked as the check picks it.
        found = eval(f"output{self.name}", {"output": output})
        if isinstance(found, Tensor):
            return found
        return next(t for t in found if isinstance(t, Tensor))


def pictures(size: Size) -> list[Tensor]:
    """Whole numbers, normal numbers and numbers in [0, 1)."""
    source = torch.Generator().manual_seed(5)
    return [
        torch.randint(-4, 5, (1, *size), generator=source).double(),
        torch.randn(1, *size, generator=source, dtype=torch.float64),
        torch.rand(1, *size, generator=source, dtype=torch.float64),
    ]


def worst(
    net: nn.Module,
    verdict: sp.Verdict,
    size: Size,
    steps: tuple[int | None, int | None],
    shown: list[Tensor] | None = None,
) -> float:
    """The largest difference, relative to the answer, over every move that is a multiple of the steps, each run twice."""
    found, kind = 0.0, type_of(verdict.output)
    moves = list(itertools.product(*(range(0, n, s) if s else (0,) for n, s in zip(size[1:], steps, strict=True))))
    with torch.no_grad():
        for number, picture in enumerate(shown or pictures(size)):
            still = net(picture)
            scale = 1 + still.abs().nan_to_num(0, 0, 0).max().item()
            for move in moves if number == 0 else moves[:: max(1, len(moves) // 7)]:
                then = net(picture.roll(move, (2, 3)))
                found = max(found, gap(moved(still, kind, move), then) / scale)
            found = max(found, gap(still, net(picture)) / scale)
    return found


EXCUSES = ("the model was not run", "the model reads the clock", "the model draws")
RESET = "a run changes the model"


def wrong(seed: int) -> tuple[str, str]:
    """(what a run contradicts or "", the status of the circular claim or the error) for the network of a seed."""
    one = trapped(seed)
    one.reset()
    before, state = held(one.net), one.state()
    try:
        verdict = sp.check(one.net, one.size)
    except ShiftproofError as e:
        return ("" if str(e) else "an empty error") or _changed(one, before, state), type(e).__name__
    except Exception as e:
        return f"check raises {type(e).__name__}: {e}", "raised"
    if why := _changed(one, before, state):
        return why, verdict.circular.status
    why = _contradicted(one, verdict)
    if not why and not one.never and seed % 3 == 0 and not any(is_lazy(p) for p in one.net.parameters()):
        one.reset()
        told = refuted(verdict, one.net, tries=4)
        why = _changed(one, before, state) or _refuted_wrongly(one, verdict, told)
    one.reset()
    return why, verdict.circular.status


def _changed(one: Trapped, before: list, state: list) -> str:
    if held(one.net) != before:
        return "the network holds something else than before the check"
    if fakes(one.net, trap_layers.BY_WIDTH, trap_layers.Lazy.shared):
        return "a tensor without numbers is left"
    return "" if one.state() == state else f"its state was {state} before the check and is {one.state()}"


def _told(claim: Any) -> tuple[bool, bool]:
    """(whether a condition of the claim excuses what a run shows, whether one says that the state is reset)."""
    excused = any(c.startswith(EXCUSES) for c in claim.told)
    return excused, any(c.startswith(RESET) for c in claim.told)


def _contradicted(one: Trapped, verdict: sp.Verdict) -> str:
    claims = {w: getattr(verdict, w) for w in ("circular", "window", "canvas")}
    proved = {w: c for w, c in claims.items() if c.status == "proved" and not _told(c)[0]}
    if proved and one.never:
        return f"proved in {', '.join(proved)}, and no answer is ever the same"
    for world, claim in proved.items():
        one.reset()
        net = Answers(copy.deepcopy(one) if _told(claim)[1] else one, verdict.output.name, _told(claim)[1])
        try:
            far = _far(world, net, verdict, one.size)
        except Exception as e:
            return f"{world}: a run raises {type(e).__name__}: {e}"
        one.reset()
        if far > 1e-9:
            return f"{world} proved, and a run differs by {far:.2g}"
    return ""


def _far(world: str, net: nn.Module, verdict: sp.Verdict, size: Size) -> float:
    if world == "circular":
        return worst(net, verdict, size, verdict.circular.step)
    with torch.no_grad():
        scale = 1 + net(pictures(size)[0]).abs().nan_to_num(0, 0, 0).max().item()
    if world == "window":
        return window_worst(net, verdict, size) / scale if verdict.kind == "equivariant" else 0.0
    return canvas_worst(net, verdict, size, verdict.canvas.distance_px or 0) / scale


def _refuted_wrongly(one: Trapped, verdict: sp.Verdict, told: sp.Verdict) -> str:
    """A refutation that no run confirms: of what is proved, or of an answer that moves exactly as it would be proved to."""
    for world in ("circular", "window", "canvas"):
        if getattr(verdict, world).status == "proved" and getattr(told, world).status != "proved":
            return f"{world} is proved, no run here contradicts it, and refuted() does: {getattr(told, world)}"
    steps = verdict.output.step or one.size[1:]
    if told.circular.status != "refuted" or any(s >= n for s, n in zip(steps, one.size[1:], strict=True)):
        return ""
    net = Answers(one, verdict.output.name, False)
    try:
        far = worst(net, verdict, one.size, steps, [p.double() for _, p in trials.pictures(one.size, 4, 0)])
    except ValueError:  # the answer has no whole cells for these moves
        return ""
    return "" if far > 1e-9 else f"refuted, and no run differs by more than {far:.2g}"


def tried(seeds: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """(how often each verdict, what runs contradict in words) for the networks of some seeds."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            why, status = wrong(seed)
        counts[status] += 1
        if why:
            counts["wrong"] += 1
            found.append(f"network {seed} ({trapped(seed).words}): {why}")
    return counts, found


def main() -> None:
    """Prints the counts, and what runs contradict."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    asked = arguments.parse_args()
    counts, found = tried(range(asked.seed, asked.seed + asked.count))
    print(*found, sep="\n")
    print({"networks": asked.count, **dict(sorted(counts.items()))})


if __name__ == "__main__":
    main()
