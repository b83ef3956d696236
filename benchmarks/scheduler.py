"""A simulation of an audit of many models on many accelerators: hours, bytes, files, and what breaks first.

    python benchmarks/scheduler.py          # 50,000 pictures x 289 moves x 100 models on 64 processes

No cluster was at hand. What a process does beside the model (claiming a block, writing it, and, for the one that leads, reading
and folding it) is timed here, with a block of the size that such a run has; what a network file system adds is a delay per
operation (`--latency-ms`), and the model's speed is an assumption (`--rate`, views per second of one accelerator). Both are
printed with the result. The events are those of `auditing/shared.py`: a process takes the first block that is neither done nor
claimed, one ahead; the one that leads folds, between two blocks of its own, all that follow in order.
"""

from __future__ import annotations

import argparse
import heapq
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import shiftproof as sp
from measuring import environment, write
from shiftproof.auditing.claims import LEASE_S, Claims
from shiftproof.auditing.given import bind
from shiftproof.auditing.kept import KeptBlocks
from shiftproof.auditing.options import AuditOptions
from shiftproof.auditing.setup import BLOCK_VALUES, BLOCK_VIEWS, prepare
from shiftproof.auditing.tally import Tally
from shiftproof.auditing.work import work

# Operations of the file system per block. Claim: look for the block, create the claim, write it, look at it, remove it. Write:
# create, write, flush, set who may read it, rename. Read: look, open, read.
OPERATIONS = {"claim": 5, "write": 5, "read": 3}


@dataclass(frozen=True)
class Costs:
    """Seconds that a block costs beside the model, and its bytes."""

    claim_s: float
    write_s: float
    read_s: float
    fold_s: float
    bytes: int


def measured(moves: int, classes: int = 1000) -> Costs:
    """The costs of a block of one picture, on this machine's file system: the median of 30."""

    class Answers(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ torch.ones(x[0].numel(), classes)

    side = math.isqrt(moves) // 2
    bound = bind(Answers(), torch.rand(4, 1, 8, 8), None, sp.grid(side, boundary="circular"))
    setup, subject = prepare(bound.model, bound.pictures, bound.translations, AuditOptions(layers=0, batch_size=64))
    block = work(setup, 0, subject)
    # One picture of the block, as in a run at 224 px.
    block = type(block)(
        0,
        block.names[:1],
        {k: v[:1] for k, v in block.per_image.items()},
        {k: v[:1] for k, v in block.per_view.items()},
        views=len(setup.plan.run),
    )
    times: dict[str, list[float]] = {name: [] for name in ("claim", "write", "read", "fold")}
    with tempfile.TemporaryDirectory() as place:
        kept = KeptBlocks(Path(place), "0")
        kept.work.mkdir()
        tally = Tally(setup)
        with Claims(kept.work) as claims:
            for _ in range(30):
                at = [time.perf_counter()]
                claims.take(n for n in [0] if not kept.is_there(n))
                claims.has(0)
                claims.release(0)
                at.append(time.perf_counter())
                kept.write(block)
                at.append(time.perf_counter())
                found = kept.find(0)
                at.append(time.perf_counter())
                assert found is not None
                tally.fold(found)
                at.append(time.perf_counter())
                size = (kept.work / "block-000000.bin").stat().st_size
                (kept.work / "block-000000.bin").unlink()
                for name, a, b in zip(times, at[:-1], at[1:], strict=True):
                    times[name].append(b - a)
    claim, writing, reading, fold = (float(np.median(t)) for t in times.values())
    return Costs(claim, writing, reading, fold, size)


def audit_s(
    blocks: int, processes: int, block_s: float, costs: Costs, latency_s: float, rng: np.random.Generator
) -> dict:
    """One audit by so many processes: seconds until its record, what the leading process did, and the blocks that waited."""
    # A process that is alone claims nothing, and folds each block as it comes, without reading it.
    alone = processes == 1
    claim = 0.0 if alone else costs.claim_s + OPERATIONS["claim"] * latency_s
    writing = costs.write_s + OPERATIONS["write"] * latency_s
    reading = costs.fold_s + (0.0 if alone else costs.read_s + OPERATIONS["read"] * latency_s)
    kept: list[float] = [math.inf] * blocks  # when each block was kept
    free = [(0.0, p) for p in range(processes)]
    heapq.heapify(free)
    number = folded = 0
    folding = waiting = 0.0
    while number < blocks:
        now, process = heapq.heappop(free)
        if process == 0:  # the one that leads folds first
            while folded < number and kept[folded] <= now:
                folded, now, folding = folded + 1, now + reading, folding + reading
            waiting = max(waiting, sum(t <= now for t in kept[folded:number]))
        ends = now + claim + block_s * rng.lognormal(0, 0.1) + writing
        kept[number] = ends
        number += 1
        heapq.heappush(free, (ends, process))
    rest = (blocks - folded) * reading
    seconds = max(kept) + rest
    operations = OPERATIONS["write"] if alone else sum(OPERATIONS.values())
    return {
        "seconds": seconds,
        "folding_s": folding + rest,
        "waiting": int(waiting),
        "operations": blocks * operations / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--moves", type=int, default=289)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2000, help="views per second of one accelerator (an assumption)")
    parser.add_argument(
        "--latency-ms", type=float, default=1.0, help="of one operation of the file system (an assumption)"
    )
    a = parser.parse_args()
    costs, rng = measured(a.moves), np.random.default_rng(0)
    per_block = max(1, min(BLOCK_VIEWS, BLOCK_VALUES // (3 * 224 * 224)) // a.moves)
    blocks, block_s = -(-a.pictures // per_block), per_block * a.moves / a.rate
    plain_h = a.pictures * a.moves * a.models / a.rate / a.processes / 3600
    rows = []
    for together in sorted({a.processes, 8, 1}, reverse=True):
        one = audit_s(blocks, together, block_s, costs, a.latency_ms / 1000, rng)
        at_once = a.processes // together
        hours = math.ceil(a.models / at_once) * one["seconds"] / 3600
        rows.append(
            {
                "together": together,
                "at_once": at_once,
                "hours": hours,
                "efficiency": plain_h / hours,
                "leader": one["folding_s"] / one["seconds"],
                "waiting": one["waiting"],
                "operations_per_s": one["operations"] * at_once,
                "files": at_once * blocks,
                "bytes": at_once * blocks * costs.bytes,
            }
        )
        r = rows[-1]
        print(
            f"{together:>3} processes per audit, {at_once:>2} audits at once: {hours:7.1f} h, {r['efficiency']:.0%} of the "
            f"model alone; the one that leads folds {r['leader']:.0%} of its time, {r['waiting']:,} blocks wait for it; "
            f"{r['operations_per_s']:,.0f} operations per s, {r['files']:,} files, {r['bytes'] / 2**30:.1f} GiB"
        )
    result = {
        **vars(a),
        "rows": rows,
        "costs": vars(costs),
        "plain_h": plain_h,
        "blocks": blocks,
        "pictures_per_block": per_block,
        "lease_s": LEASE_S,
        **environment(),
    }
    write("scheduler", result)


if __name__ == "__main__":
    main()
