"""Circular padding in place of every other: what a layer does to a picture that repeats without end."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import shiftproof as sp
from brute_force import Call
from shiftproof.errors import RepairError
from shiftproof.models.answer import answer
from shiftproof.repairing.export import export
from shiftproof.repairing.methods.circular import with_circular_padding

SIZE = (4, 8, 12)
COPIES = 5  # of the picture along each axis, so that no window of the middle one sees an end

LAYERS = {
    "zeros": nn.Conv2d(4, 6, 3, padding=1),
    "zeros, stride 2": nn.Conv2d(4, 6, 3, 2, 1),
    "no padding": nn.Conv2d(4, 6, 3),
    "no padding, stride 2": nn.Conv2d(4, 6, 5, 2),
    "same": nn.Conv2d(4, 6, (4, 3), padding="same", dilation=(1, 2)),
    "patches": nn.Conv2d(4, 6, 4, 4),
    "one cell of two": nn.Conv2d(4, 6, 1, 2),
    "an even kernel": nn.Conv2d(4, 6, 4, 2, 1),
    "more padding than the kernel needs": nn.Conv2d(4, 6, 3, padding=2),
    "a single cell, padded": nn.Conv2d(4, 6, 1, padding=1),
    "dilated beyond the picture": nn.Conv2d(4, 6, 5, padding=12, dilation=6),
    "depthwise, reflected": nn.Conv2d(4, 4, 3, padding=1, groups=4, padding_mode="reflect"),
    "replicated": nn.Conv2d(4, 4, 5, padding=2, padding_mode="replicate"),
    "circular already": nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "padded on one side first": Call(lambda m, x: m.a(functional.pad(x, (0, 1, 0, 1)).relu()), a=nn.Conv2d(4, 6, 3, 2)),
    "padded twice": Call(lambda m, x: m.a(functional.pad(x, (0, 1, 2, 1))), a=nn.Conv2d(4, 6, 5, 1, (1, 2))),
    "largest": nn.MaxPool2d(3, 2, 1),
    "largest, dilated": nn.MaxPool2d(3, 1, 1, dilation=2),
    "largest, ceil_mode": nn.MaxPool2d(3, 2, ceil_mode=True),
    "mean": nn.AvgPool2d(3, 2, 1),
    "mean of what is there": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "mean, ceil_mode": nn.AvgPool2d((2, 3), 2, ceil_mode=True),
    "patches unfolded": Call(
        lambda m, x: functional.unfold(x, 3, padding=1, stride=2).unflatten(2, (-1, x.shape[3] // 2))
    ),
    "transposed": nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2),
    "transposed, output padding": nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1),
    "transposed, dilated": nn.ConvTranspose2d(4, 6, 3, 1, 2, dilation=2),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=3, mode="bilinear"),
    "bicubic": nn.Upsample(scale_factor=(2, 1), mode="bicubic"),
}


def picture(size=SIZE, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_sees_the_picture_repeated_without_end(name):
    layer = LAYERS[name].eval().double()
    around = with_circular_padding(layer, SIZE)[0].double()
    with torch.no_grad():
        found = around(picture())
        endless = layer(picture().repeat(1, 1, COPIES, COPIES))
    # Cells of the result per cell of the picture; the first place of a window is the same.
    h, w = found.shape[-2:]
    rows, columns = (torch.arange(COPIES // 2 * n, COPIES // 2 * n + n) for n in (h, w))
    torch.testing.assert_close(found, endless[..., rows[:, None], columns], rtol=1e-6, atol=1e-6)


def test_a_layer_that_pads_with_zeros_does_not():
    layer = LAYERS["zeros"].eval().double()
    found = layer(picture())
    endless = layer(picture().repeat(1, 1, COPIES, COPIES))[..., 16:24, 24:36]
    assert (found - endless).abs().max() > 0.1


REFUSED = {
    "5 cells, stride 2": (nn.MaxPool2d(2, 2), (1, 5, 5), "5 cells are not a multiple of its stride 2"),
    "corners aligned": (
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        (1, 4, 4),
        "aligned corners",
    ),
    "windows that are not alike": (nn.AdaptiveAvgPool2d(3), (1, 8, 8), "its windows are not alike"),
    "another ratio": (nn.Upsample((12, 12), mode="bilinear"), (1, 8, 8), "8 x 8 to 12 x 12 cells"),
    "a map cut": (Call(lambda m, x: functional.pad(x, (-1, -1))), (1, 8, 8), "it cuts cells off the ends"),
    "padded for nobody": (
        Call(lambda m, x: functional.pad(x, (1, 1, 1, 1)).softmax(3)),
        (1, 8, 8),
        "whose padding no sliding",
    ),
    "positions counted": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2)),
        (1, 8, 8),
        r"written for maps of the size.* \(2 \(linear\)\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_circular_form_is_refused_with_the_operator_and_the_reason(case):
    layer, size, said = REFUSED[case]
    with pytest.raises(RepairError, match=said) as refusal:
        with_circular_padding(layer.eval(), size)
    assert 'method="pose"' in str(refusal.value)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 4, 3, 1, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@pytest.mark.parametrize(("method", "step"), [("circular", (4, 4)), ("circular+phase", (1, 1))])
def test_a_repair_keeps_the_weights_and_says_what_it_replaced(method, step):
    net, size = network(), (1, 8, 12)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    mended = sp.repair(net, size, method=method)
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    kept = mended.state_dict()
    # What an evaluation does not read is not in a graph.
    assert all(torch.equal(v, kept[f"network.{k}"]) for k, v in before.items() if not k.endswith("tracked"))
    assert mended.guarantee.step == step
    replaced = [c for c in mended.changes if c.action == "replaced"]
    assert [(c.module, c.operator) for c in replaced] == [("0", "conv2d"), ("3", "max_pool2d"), ("4", "conv2d")]
    assert replaced[0].mend is not None
    assert replaced[0].mend.kind == "circular_padding"
    assert "zeros(1)" in replaced[0].found
    x, mended = picture(size), mended.double()
    with torch.no_grad():
        still = mended(x)
        for move in [(a, b) for a in range(0, 8, step[0]) for b in range(0, 12, step[1])]:
            torch.testing.assert_close(mended(x.roll(move, (2, 3))), still, rtol=1e-10, atol=1e-12)
        if step != (1, 1):
            assert (mended(x.roll((1, 1), (2, 3))) - still).abs().max() > 1e-4


def test_what_pads_nowhere_is_refused_for_what_is_in_the_way():
    with pytest.raises(RepairError, match=r"weights over positions.*linear in 2"):
        sp.repair(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(128, 2)), (1, 8, 8), method="circular")


def test_the_proof_ends_where_positions_have_weights_of_their_own():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 2))
    with pytest.raises(RepairError, match="linear in 2"):
        sp.repair(net, (1, 8, 8), method="circular")


NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    net = nn.Sequential(*layers)
    net.input_size, net.mean, net.std = (1, 8, 12), 0.0, 1.0
    return net
"""


def test_every_file_is_the_same_model(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    model = sp.load_model(f"{tmp_path}/net.py:build")
    mended = sp.repair(model, method="circular+phase")
    record = export(mended, model, tmp_path / "out")
    assert record.files == ("mended.safetensors", "mended.pt2", "mended.onnx", "mended.py", "repair.json")
    x = picture((1, 8, 12)).float().repeat(3, 1, 1, 1).roll((1, 2), (1, 2))
    with torch.no_grad():
        for name in ("mended.pt2", "mended.py:build", "mended.onnx"):
            found = answer(sp.load_model(f"{tmp_path}/out/{name}").module(x))
            torch.testing.assert_close(found, mended(x), rtol=1e-5, atol=1e-6)
