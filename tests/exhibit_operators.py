"""What torch computes in float64 for random cases of the engine's operators, with gradients by autograd."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

PAD = {"circular": "circular", "reflect": "reflect", "replicate": "replicate"}
CONVOLUTIONS = [  # channels in and out, rows, columns, kernel, stride, padding, dilation, groups, border
    (1, 1, 5, 5, 3, 1, 0, 1, 1, "zero"),
    (2, 3, 7, 6, 3, 1, 1, 1, 1, "zero"),
    (3, 5, 8, 9, 3, 2, 1, 1, 1, "zero"),
    (2, 6, 9, 7, 2, 1, 0, 2, 1, "zero"),
    (4, 8, 6, 6, 3, 1, 2, 2, 2, "circular"),
    (4, 4, 5, 7, 1, 1, 0, 1, 4, "zero"),
    (3, 9, 7, 7, 5, 1, 2, 1, 3, "circular"),
    (2, 7, 11, 5, 3, 3, 1, 1, 1, "reflect"),
    (1, 4, 6, 5, 5, 2, 2, 1, 1, "replicate"),
    (2, 2, 4, 4, 3, 1, 5, 3, 2, "zero"),
]


def drawn(*shape: int) -> Tensor:
    """Random numbers with few digits, so that the file is short."""
    return (torch.randn(*shape, dtype=torch.float64) * 64).round() / 64


def flat(x: Tensor) -> list[float]:
    return x.detach().flatten().tolist()


def backward(out: Tensor, *wanted: Tensor) -> tuple[Tensor, list[list[float]]]:
    """A random gradient of the output, and what it gives for each input."""
    delta = drawn(*out.shape)
    return delta, [flat(g) for g in torch.autograd.grad(out, wanted, delta)]


def convolutions() -> list[dict[str, Any]]:
    found = []
    for i, o, h, w, k, stride, pad, dilation, groups, border in CONVOLUTIONS:
        x, weight, bias = (v.requires_grad_() for v in (drawn(i, h, w), drawn(o, i // groups, k, k), drawn(o)))
        inside = x[None] if border == "zero" else functional.pad(x[None], (pad,) * 4, mode=PAD[border])
        out = functional.conv2d(inside, weight, bias, stride, pad if border == "zero" else 0, dilation, groups)[0]
        delta, (dx, dw, db) = backward(out, x, weight, bias)
        shape = {"channelsIn": i, "channelsOut": o, "kernel": k, "stride": stride, "padding": pad, "dilation": dilation}
        found.append(
            {
                **shape,
                "groups": groups,
                "border": border,
                "size": [i, h, w],
                "outSize": list(out.shape),
                "x": flat(x),
                "weight": flat(weight),
                "bias": flat(bias),
                "out": flat(out),
                "delta": flat(delta),
                "dx": dx,
                "dw": dw,
                "db": db,
            }
        )
    return found


def pools() -> list[dict[str, Any]]:
    found = []
    kinds = {"max": functional.max_pool2d, "average": functional.avg_pool2d}
    for (name, pool), (k, stride) in itertools.product(kinds.items(), [(2, 2), (3, 1), (3, 2), (4, 4)]):
        x = drawn(2, 9, 7).requires_grad_()
        out = pool(x[None], k, stride)[0]
        delta, (dx,) = backward(out, x)
        found.append(
            {"kind": name, "k": k, "stride": stride, "size": [2, 9, 7], "outSize": list(out.shape), "x": flat(x)}
            | {"out": flat(out), "delta": flat(delta), "dx": dx}
        )
    return found


def vectors() -> dict[str, Any]:
    """A dense layer, softmax of ordinary and of large scores, ReLU, the mean over positions."""
    x, weight, bias = (v.requires_grad_() for v in (drawn(7), drawn(4, 7), drawn(4)))
    out = weight @ x + bias
    delta, (dx, dw, db) = backward(out, x, weight, bias)
    found: dict[str, Any] = {
        "dense": {"x": flat(x), "weight": flat(weight), "bias": flat(bias), "out": flat(out), "delta": flat(delta)}
        | {"dx": dx, "dw": dw, "db": db},
        "softmax": [],
    }
    for scale in (1, 30, 900):
        z = (drawn(10) * scale).requires_grad_()
        p = z.softmax(0)
        delta, (dz,) = backward(p, z)
        found["softmax"].append({"z": flat(z), "p": flat(p), "delta": flat(delta), "dz": dz})
    x = drawn(3, 5, 4).requires_grad_()
    for name, out in (("relu", x.relu()), ("average", x.mean((1, 2)))):
        delta, (dx,) = backward(out, x)
        found[name] = {"size": [3, 5, 4], "x": flat(x), "out": flat(out), "delta": flat(delta), "dx": dx}
    return found


def halves() -> dict[str, Any]:
    """Half-precision numbers of every kind, as base64 and as they are."""
    import base64

    held = torch.tensor(
        [0, -0.0, 1, -1, 0.333, 65504, -65504, 2**-14, 2**-24, -(2**-24), 1023 * 2**-24, 6.1e-5, 3.1416]
    )
    half = held.to(torch.float16).numpy().astype("<f2")
    return {"text": base64.b64encode(half.tobytes()).decode(), "values": half.astype(float).tolist()}


def operators() -> dict[str, Any]:
    """All cases."""
    torch.manual_seed(0)
    return {"convolutions": convolutions(), "pools": pools(), **vectors(), "halves": halves()}
