"""What the pages of `shiftproof learn` hold that a run made: small networks and ten digits (`make exhibits`).

    python tests/golden/make_exhibits.py            # all, minutes on one core
    python tests/golden/make_exhibits.py NAME ...   # these again: engine, drag, moved

The data folder is `../shared/data` beside the checkout, or what SHIFTPROOF_DATA names. One thread and fixed seeds: a second run
writes the same files. Weights are rounded to half precision before anything is measured with them, so that the page, which
reads halves, has the same numbers.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))

from exhibit_networks import CLASSES, TwoReadouts, chain_from_file, chain_to_file, from_file, halves, to_file
from exhibit_operators import operators
from exhibit_records import kept_records
from shiftproof.data import Labelled, open_labelled
from shiftproof.experiments.trained.position import cells
from shiftproof.layers import Capsules
from shiftproof.layers.capsule import squash
from shiftproof.models import ConvNet, bag_of_parts, face_detector, face_patches
from shiftproof.models.networks import parts
from shiftproof.training import Training, train
from shiftproof.translations import translate

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src/shiftproof/learning/weights"
GOLDEN = ROOT / "tests/exhibits/golden"
DATA = os.environ.get("SHIFTPROOF_DATA", str(ROOT.parent / "shared/data"))
EPOCHS, BATCH, RATE = 3, 64, 6e-3
MOVES = 5  # of each digit in the golden outputs


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] and labels of MNIST."""
    held = open_labelled(f"mnist:{DATA}/mnist", split)
    return held.pictures / 255, held.labels


def trained(pictures: Tensor, labels: Tensor) -> TwoReadouts:
    """Both readouts trained at once on unmoved digits, with Adam and a rate that rises and falls once."""
    torch.manual_seed(0)
    net = TwoReadouts()
    steps = EPOCHS * (len(pictures) // BATCH)
    optimiser = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        for at in torch.randperm(len(pictures)).split(BATCH)[: len(pictures) // BATCH]:
            flat, average = net(pictures[at])
            loss = functional.cross_entropy(flat, labels[at]) + functional.cross_entropy(average, labels[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.3f}", flush=True)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.half().float())
    return net.double().eval()


@torch.no_grad()
def accuracies(net: TwoReadouts, pictures: Tensor, labels: Tensor) -> list[float]:
    """Accuracy of each readout, in float64."""
    right = torch.zeros(2)
    for x, y in zip(pictures.split(500), labels.split(500), strict=True):
        right += torch.tensor([float((s.argmax(1) == y).sum()) for s in net(x.double())])
    return [float(r) / len(pictures) for r in right]


@torch.no_grad()
def chosen(net: TwoReadouts, pictures: Tensor, labels: Tensor) -> list[int]:
    """The first test picture of each class that both readouts read right."""
    scores = net(pictures[:500].double())
    right = [(s.argmax(1) == labels[:500]) for s in scores]
    return [int(((labels[:500] == c) & right[0] & right[1]).nonzero()[0]) for c in range(CLASSES)]


def write(path: Path, value: Any) -> None:
    """The value as JSON, in one line for each entry at the top."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


def drag() -> None:
    """The network of "Drag the digit" and the ten digits."""
    net = trained(*digits("train"))
    pictures, labels = digits("test")
    flat, average = accuracies(net, pictures, labels)
    at = chosen(net, pictures, labels)
    ten = pictures[at]
    write(
        WEIGHTS / "digits.json",
        {
            "source": "MNIST test set, CC BY-SA 3.0, see NOTICE",
            "index": at,
            "side": ten.shape[-1],
            "pixels": base64.b64encode((ten * 255).round().byte().numpy().tobytes()).decode(),
        },
    )
    write(WEIGHTS / "drag.json", {**to_file(net), "accuracy": {"flat": flat, "average": average}})
    print(f"accuracy on the 10,000 test digits: flattened {flat:.2%}, averaged {average:.2%}")


@torch.no_grad()
def moved() -> None:
    """Scores of each of the ten digits, moved around the circle, as torch computes them in float64 from the files."""
    ten = kept_digits()
    net = from_file(json.loads((WEIGHTS / "drag.json").read_text()))
    draw = torch.Generator().manual_seed(1)
    found = []
    for k in range(CLASSES):
        for dy, dx in torch.randint(-14, 14, (MOVES, 2), generator=draw).tolist():
            flat, average = net(ten[k : k + 1].roll((dy, dx), (2, 3)))
            found.append({"digit": k, "dy": dy, "dx": dx, "flat": flat[0].tolist(), "average": average[0].tolist()})
    write(GOLDEN / "drag.json", {"moved": found})


def records() -> None:
    """What exhibits show of experiments that took a training run."""
    write(WEIGHTS / "records.json", kept_records())


def back() -> None:
    """The arrays of the record of recurrent gradients, and what autograd says of them and of a small convolution."""
    from shiftproof.experiments.exact import recurrent_gradients as recurrent

    # drawn as in the experiment, so that its figures come out again
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(recurrent.STEPS, recurrent.INPUT, generator=drawn, dtype=torch.float64)
    shape = (recurrent.STATE, recurrent.INPUT + recurrent.STATE)
    w = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    write(WEIGHTS / "back.json", {"x": x.tolist(), "w": w.tolist()})
    time = []
    for scale in recurrent.SCALES:
        scaled = w * scale / recurrent.STATE**0.5
        truth = torch.autograd.functional.jacobian(lambda v: recurrent.run(x, v)[-1], scaled)
        states = recurrent.run(x, scaled)
        time.append({"scale": scale, "gradient": truth.flatten().tolist(), "states": states.flatten().tolist()})
    v, k, d = (torch.randint(-7, 8, (1, 1, n, n), generator=drawn).double().requires_grad_() for n in (5, 3, 3))
    by_v, by_k = torch.autograd.grad(functional.conv2d(v, k), (v, k), d.detach())
    space = {n: a.detach().flatten().tolist() for n, a in (("v", v), ("k", k), ("d", d), ("dv", by_v), ("dk", by_k))}
    write(GOLDEN / "back.json", {"time": time, "space": space})


MOVED_PX = 3  # by how much pictures are moved in the training of one of the two networks of "Who is responsible?"


def credit() -> None:
    """Model C of the pooling experiment, trained without and with moves; each with its accuracy on the test digits."""
    data, test = (open_labelled(f"mnist:{DATA}/mnist", split) for split in ("train", "test"))
    found = {}
    for name, moves_px in (("plain", 0), ("moved", MOVED_PX)):
        net = train(lambda: ConvNet("cpcp"), data, Training(moves_px=moves_px), seed=0)
        rounded(net)
        right = 0
        with torch.no_grad():
            for x, y in zip(test.pictures.split(500), test.labels.split(500), strict=True):
                right += int((net(x.double() / 255).argmax(1) == y).sum())
        found[name] = {"layers": chain_to_file(net), "accuracy": right / len(test), "movesPx": moves_px}
        print(f"{name}: {right / len(test):.2%} of the test digits")
    write(WEIGHTS / "credit.json", found)


@torch.no_grad()
def credited() -> None:
    """Scores of the ten digits by both networks, moved with zeros moved in, as torch computes them from the files."""
    held = json.loads((WEIGHTS / "credit.json").read_text())
    ten = kept_digits()
    draw = torch.Generator().manual_seed(2)
    found: dict[str, Any] = {"moved": []}
    for k in range(CLASSES):
        for dy, dx in torch.randint(-7, 8, (2, 2), generator=draw).tolist():
            x = translate(ten[k : k + 1], [(dy, dx)], "zero")[:, 0]
            scores = {name: chain_from_file(held[name]["layers"])(x)[0].tolist() for name in held}
            found["moved"].append({"digit": k, "dy": dy, "dx": dx, **scores})
    write(GOLDEN / "credit.json", found)


def kept_digits() -> Tensor:
    """The ten digits of digits.json, in float64."""
    held = json.loads((WEIGHTS / "digits.json").read_text())
    pixels = np.frombuffer(base64.b64decode(held["pixels"]), np.uint8).reshape(CLASSES, 1, held["side"], held["side"])
    return torch.from_numpy(pixels / 255)


def squared(weight: Tensor) -> Tensor:
    """Kernels with zeros around them, as high as they are wide, which changes no answer."""
    side = max(weight.shape[2:])
    rim = [(side - n) // 2 for n in weight.shape[2:]]
    return functional.pad(weight, (rim[1], rim[1], rim[0], rim[0]))


def face_networks() -> dict[str, nn.Module]:
    """The networks of the experiment "scrambled-face", in which nothing but two trainings is random."""
    from shiftproof.experiments.trained.scrambled_face import numbers as scrambled

    patches, labels = face_patches("train")
    data = Labelled((patches * 255).round().to(torch.uint8), labels, "faces")
    found: dict[str, nn.Module] = {"bag": bag_of_parts(), "places": face_detector()}
    for name, of in (("deep", scrambled.DEEP), ("capsules", scrambled.CAPSULES)):
        build, loss = scrambled.LEARNED[of]
        found[name] = train(build, data, scrambled.TRAINING, seed=0, loss=loss)
    for net in found.values():
        rounded(net)
    return found


@torch.no_grad()
def faces() -> None:
    """The networks of "The scrambled face", and what torch says of pictures drawn by chance, and of capsules."""
    nets: dict[str, Any] = face_networks()
    places, bag, capsules = nets["places"], nets["bag"], nets["capsules"]

    def conv(layer: nn.Conv2d, **more: Any) -> dict[str, Any]:
        weight = squared(layer.weight)
        shape = {"channelsIn": layer.in_channels, "channelsOut": layer.out_channels, "kernel": weight.shape[2]}
        bias = {} if layer.bias is None else {"bias": halves(layer.bias)}
        return {**shape, **more, "weight": halves(weight), **bias}

    def circular(layer: nn.Conv2d) -> dict[str, Any]:
        return conv(layer, padding=squared(layer.weight).shape[2] // 2, border="circular")

    def readout(layer: nn.Linear) -> dict[str, Any]:
        return {"weight": halves(layer.weight), "bias": halves(layer.bias)}

    held = {
        "template": circular(places.template),
        "window": circular(places.window),
        "face": circular(places.face),
        "floor": parts.FLOOR,
        "places": readout(places.dense),
        "bag": readout(bag.dense),
        "deep": chain_to_file(nets["deep"]),
        "conv": conv(capsules.conv),
        "primary": conv(capsules.primary.conv, stride=2),
        "route": {"weight": halves(capsules.capsules.weight), "shape": list(capsules.capsules.weight.shape)},
        "routings": capsules.capsules.routings,
    }
    write(WEIGHTS / "faces.json", held)
    draw = torch.Generator().manual_seed(3)
    x = torch.rand(6, 1, 25, 25, generator=draw, dtype=torch.float64)
    u = torch.randn(2, 5, 3, generator=draw, dtype=torch.float64)
    routed = Capsules(5, 4, 3, 6).double()
    v, coupling = routed.route(u)
    golden = {
        "x": x.mul(1000).round().div(1000).flatten(1).tolist(),
        "squash": {"s": u.flatten().tolist(), "out": squash(u).flatten().tolist()},
        "route": {
            "w": routed.weight.flatten().tolist(),
            "v": v.flatten().tolist(),
            "coupling": coupling.flatten().tolist(),
        },
    }
    x = torch.tensor(golden["x"], dtype=torch.float64).reshape(x.shape)
    golden |= {name: net(x).tolist() for name, net in nets.items()}
    write(GOLDEN / "faces.json", golden)


POSITION = {  # the networks of "When position matters": kinds of the experiment "position", with fewer maps
    "circular": cells.SHARED,
    "none": "convolution, no padding, average",
    "zeros": cells.LEAKY,
    "flattened": "convolution, circular padding, flattened",
    "coordinates": "coordinates as channels, circular padding, average",
    "unshared": cells.UNSHARED,
}
MAPS = (2, 4)  # of the two layers
COMPARED = ((0, 3, 5, 10, 15), (0, 4, 7))  # cells and digits of the golden scores


def position() -> None:
    """Six networks that say in which of 16 cells a digit is, trained as in the experiment; and what torch says of ten digits."""
    data = open_labelled(f"mnist:{DATA}/mnist", "train")
    task = cells.task(data, 0, seed=0)
    size = task.pictures.shape[-1]
    few = cells.shrunk(kept_digits().mul(255).round().to(torch.uint8))
    held: dict[str, Any] = {"side": few.shape[-1], "nets": {}}
    golden: dict[str, Any] = {}
    for name, kind in POSITION.items():
        net = train(
            lambda kind=kind: cells.network(kind, size, MAPS),
            task,
            Training(epochs=4, rate=1e-2, pictures=20_000),
            seed=0,
        )
        rounded(net)
        held["nets"][name] = {"layers": chain_to_file(net), "row": kind}
        with torch.no_grad():
            scores = torch.stack(
                [net(cells.placed(few, torch.full((len(few),), c)).double() / 255) for c in range(cells.CELLS)]
            )
        golden[name] = {str(c): scores[c, list(COMPARED[1])].tolist() for c in COMPARED[0]}
        right = (scores.argmax(2) == torch.arange(cells.CELLS)[:, None]).double().mean()
        print(f"{name}: names the cell of the ten digits in {right:.1%} of cases")
    write(WEIGHTS / "position.json", held)
    write(GOLDEN / "position.json", golden)


def rounded(net: nn.Module) -> None:
    """The network's weights become half precision, held in double precision."""
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p.half().float())
    net.double().eval()


def engine() -> None:
    """What torch says of the operators that the page has written again."""
    write(GOLDEN / "engine.json", operators())


MAKERS = {
    "engine": engine,
    "drag": drag,
    "moved": moved,
    "credit": credit,
    "credited": credited,
    "records": records,
    "back": back,
    "faces": faces,
    "position": position,
}


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()


if __name__ == "__main__":
    main()
