"""The time of the check on one model, apart from torch's export: CPU seconds, one thread, each model in its own process.

    python benchmarks/check.py             every model below
    python benchmarks/check.py timm:NAME   one, printed

ResNet-50 has weights, whose values are read; the other models are large and stay on the meta device.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from measuring import environment, in_own_process, write

MODELS = {
    "timm:resnet50": "ResNet-50, with weights",
    "timm:nasnetalarge": "NASNet-A large",
    "timm:regnety_2560": "RegNetY-256GF, 1.28 billion weights",
}


def one(word: str) -> dict[str, Any]:
    """Seconds of export and check, and the size of the model."""
    import torch

    torch.set_num_threads(1)
    from shiftproof.checking.check import proved
    from shiftproof.checking.graph.nodes import export
    from shiftproof.records import CheckedModel
    from zoo import built

    model, size = built(word)
    if word == "timm:resnet50":
        import timm

        model = timm.create_model("resnet50").eval()
    start = time.process_time()
    graph = export(model, size)
    exporting = time.process_time() - start
    seconds = []
    for _ in range(5):
        start = time.process_time()
        proved(CheckedModel(word), graph)
        seconds.append(time.process_time() - start)
    return {
        "model": word,
        "operators": len(graph.nodes),
        "parameters": sum(p.numel() for p in model.parameters()),
        "export_s": exporting,
        "check_s": statistics.median(seconds),
        "first_check_s": seconds[0],
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1])))
        return
    rows = []
    for word, what in MODELS.items():
        rows.append({"what": what, **in_own_process(Path(__file__), word)})
        print(
            "{what:<42} {operators:>5} operators   export {export_s:6.2f} s   check {first_check_s:6.3f} s".format(
                **rows[-1]
            )
        )
    write("check", {"rows": rows, "target": "ResNet-50 under 2 s, the largest CNN under 10 s", **environment()})


if __name__ == "__main__":
    main()
