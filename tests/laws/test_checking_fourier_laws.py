"""Networks that work on frequencies, against brute force: what keeps to their phases is exact, what reads them is not.

Filters of whole circles (global filter networks), operators on some of the frequencies (Fourier neural operators, spectral
pooling), gates by magnitudes, and correlations.
"""

from __future__ import annotations

import random

import pytest
import torch
from torch import fft, nn

import shiftproof as sp
from brute_force import Call, canvas_worst, circular, worst

SIZE = (2, 8, 8)


class Frequencies(Call):
    """A function in double precision: its buffer says so to `torch.export`."""

    def __init__(self, function, **parts):
        super().__init__(function, **parts)
        self.register_buffer("precise", torch.zeros(1, dtype=torch.float64))


def factors(*shape: int) -> torch.Tensor:
    """Complex numbers without any regularity, made anew by the network itself: nothing is drawn."""
    n = torch.arange(float(torch.Size(shape).numel()), dtype=torch.float64)
    return torch.complex((1.7 * n * n).sin(), (2.3 * n * n).cos()).reshape(shape)


class GlobalFilter(nn.Module):
    """The block of a global filter network (GFNet), on tokens."""

    def __init__(self):
        super().__init__()
        self.norm, self.complex_weight = nn.LayerNorm(2), nn.Parameter(torch.randn(8, 5, 2, 2))

    def forward(self, x):
        t = self.norm(x.flatten(2).mT).view(1, 8, 8, 2)
        t = fft.rfft2(t, dim=(1, 2), norm="ortho") * torch.view_as_complex(self.complex_weight)
        return x + fft.irfft2(t, s=(8, 8), dim=(1, 2), norm="ortho").reshape(1, 64, 2).mT.view_as(x)


class SpectralConv(nn.Module):
    """The layer of a Fourier neural operator: the lowest frequencies, mixed over channels, among zeros."""

    def __init__(self):
        super().__init__()
        self.one, self.two = (nn.Parameter(torch.randn(2, 3, 2, 3, dtype=torch.complex64)) for _ in range(2))

    def forward(self, x):
        t = fft.rfft2(x)
        out = torch.zeros(1, 3, 8, 5, dtype=t.dtype)
        out[:, :, :2, :3] = torch.einsum("bixy,ioxy->boxy", t[:, :, :2, :3], self.one)
        out[:, :, -2:, :3] = torch.einsum("bixy,ioxy->boxy", t[:, :, -2:, :3], self.two)
        return fft.irfft2(out, s=(x.shape[-2], x.shape[-1]))


def spectrum(x):
    return fft.rfft2(x)


def back(t):
    return fft.irfft2(t, s=(8, 8))


def written(base, t, start, stop):
    """Frequencies written over a part of a tensor of the same number at each place."""
    return torch.slice_scatter(torch.full((1, 2, 8, 5), base, dtype=t.dtype), t, 3, start, stop)


def both(x, way, **more):
    return fft.ifft(way(fft.fft(x, dim=3, **more)), dim=3, **more).real


EXACT = {
    "a global filter block": (GlobalFilter(), (1, 1)),
    "a spectral convolution": (SpectralConv(), (1, 1)),
    "axis by axis": (lambda m, x: both(x, lambda t: fft.ifft(fft.fft(t, dim=2) * factors(8, 8), dim=2)), (1, 1)),
    "axis by axis, in another order": (
        lambda m, x: fft.ifft(fft.ifft(fft.fft(fft.fft(x, dim=2), dim=3) * factors(8, 8), dim=2), dim=3).real,
        (1, 1),
    ),
    "the lowest in the middle": (
        lambda m, x: fft.ifft2(fft.ifftshift(fft.fftshift(fft.fft2(x), dim=(2, 3)) * factors(8, 8), dim=(2, 3))).imag,
        (1, 1),
    ),
    "shifted over all dimensions": (lambda m, x: fft.ifft2(fft.ifftshift(fft.fftshift(fft.fft2(x)))).abs(), (1, 1)),
    "a map shifted": (lambda m, x: fft.fftshift(x, dim=(2, 3)) * x, (1, 1)),
    "channels mixed": (lambda m, x: back(torch.einsum("bchw,cd->bdhw", spectrum(x), factors(2, 3))), (1, 1)),
    "sums of two": (lambda m, x: back(spectrum(x) * factors(2, 8, 5) - spectrum(x.relu()) * factors(8, 5)), (1, 1)),
    "laid beside": (lambda m, x: back(torch.cat([spectrum(x), spectrum(x.tanh()) * factors(8, 5)], 1)), (1, 1)),
    "stacked, summed": (lambda m, x: back(torch.stack([spectrum(x), 2j * spectrum(x.sin())], 2).sum(2)), (1, 1)),
    "gated by magnitudes": (lambda m, x: back(spectrum(x) * spectrum(x).abs().sigmoid()), (1, 1)),
    "the phase alone": (lambda m, x: back(spectrum(x) / (spectrum(x).abs() + 1)), (1, 1)),
    "with itself": (lambda m, x: back(spectrum(x) * spectrum(x).conj()), (1, 1)),
    "with another": (lambda m, x: back(spectrum(x) * spectrum(x.relu()).conj()), (1, 1)),
    "a filter that the picture chooses": (
        lambda m, x: back(spectrum(x) * x.tanh().mean((2, 3)).view(1, 2, 1, 1) * factors(8, 5)),
        (1, 1),
    ),
    "some of them": (lambda m, x: back(spectrum(x).masked_fill(torch.arange(5) > 2, 0)), (1, 1)),
    "read backwards": (lambda m, x: back(spectrum(x).conj()), (1, 1)),
    "transformed twice": (lambda m, x: fft.fft2(fft.fft2(x) * factors(8, 8)).real, (1, 1)),
    "inverse first": (lambda m, x: fft.fft2(fft.ifft2(x) * factors(8, 8)).real, (1, 1)),
    "hermitian": (lambda m, x: fft.hfft(fft.ihfft(x) * factors(5)), (1, 1)),
    "fewer cells": (lambda m, x: fft.irfft2(spectrum(x)[:, :, :4, :3], s=(4, 4)), (2, 2)),
    "fewer cells, the lowest in the middle": (
        lambda m, x: fft.ifft2(fft.ifftshift(fft.fftshift(fft.fft2(x), dim=(2, 3))[:, :, 2:6, 2:6], dim=(2, 3))).real,
        (2, 2),
    ),
    "more cells": (lambda m, x: fft.irfft2(spectrum(x), s=(8, 16)), (1, 1)),
    "more cells of rows, by zeros": (
        lambda m, x: fft.ifft(nn.functional.pad(fft.fft(x)[..., :4], (0, 12))).real,
        (1, 1),
    ),
    "magnitudes after a filter": (lambda m, x: (spectrum(x) * factors(8, 5)).abs(), (1, 1)),
    "the mean": (lambda m, x: spectrum(x)[:, :, 0, 0].real, (1, 1)),
    "another layout": (
        lambda m, x: back((spectrum(x).flatten(0, 1).permute(1, 2, 0) * factors(2)).movedim(2, 0)[None]),
        (1, 1),
    ),
    "after a stride": (lambda m, x: fft.irfft2(spectrum(x[:, :, ::2]) * factors(4, 5), s=(4, 8)), (2, 1)),
    "in halves": (
        lambda m, x: back(torch.cat([t * k for t, k in zip(spectrum(x).chunk(2, 2), (1j, 3), strict=True)], 2)),
        (1, 1),
    ),
    "in other numbers": (lambda m, x: back(spectrum(x).to(torch.complex64).to(torch.complex128)), (1, 1)),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_keeps_to_the_phases_is_equal_for_every_move(case):
    made, step = EXACT[case]
    torch.manual_seed(0)
    net = made if isinstance(made, nn.Module) else Frequencies(made).double()
    net = net.eval()
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", step), verdict.findings
    assert (verdict.window.status == "proved") == (case == "a map shifted")
    precise = net.double()
    for p in precise.parameters():
        p.data = p.data.to(torch.complex128) if p.is_complex() else p.data
    if case != "a spectral convolution":  # whose zeros are of the precision of its weights
        assert worst(precise, verdict, SIZE, step) <= (1e-5 if case == "in other numbers" else 1e-9)


READ = {
    "real parts": lambda m, x: spectrum(x).real,
    "real parts, and back": lambda m, x: fft.irfft2(spectrum(x).real + 0j),
    "a number added": lambda m, x: back(spectrum(x) + 1),
    "numbers added": lambda m, x: back(spectrum(x) + factors(8, 5)),
    "an activation of its parts": lambda m, x: back(torch.view_as_complex(torch.view_as_real(spectrum(x)).relu())),
    "times itself": lambda m, x: back(spectrum(x) * spectrum(x)),
    "other ones on the way back": lambda m, x: back(spectrum(x).flip(2).roll(3, 2)),
    "moved on by one": lambda m, x: back(spectrum(x).roll(1, 3)),
    "shifted once": lambda m, x: fft.ifft2(fft.fftshift(fft.fft2(x), dim=2)).real,
    "shifted twice the same way": lambda m, x: (
        fft.ifft(fft.fftshift(fft.fftshift(fft.fft(x[..., 1:]), dim=3), dim=3)).real
    ),
    "neighbours mixed": lambda m, x: back(spectrum(x)[..., 1:] - spectrum(x)[..., :-1]),
    "summed": lambda m, x: spectrum(x).sum((2, 3)).abs(),
    "one alone": lambda m, x: spectrum(x)[:, :, 1, 2].real,
    "filled up before": lambda m, x: fft.irfft2(fft.rfft2(x, s=(8, 10)) * factors(8, 6), s=(8, 10))[..., :8],
    "cut after": lambda m, x: fft.irfft(fft.rfft(x), n=6),
    "one axis made real": lambda m, x: fft.irfft(fft.fft(fft.rfft(x), dim=2)),
    "rows and columns exchanged": lambda m, x: fft.ifft2(fft.fft2(x).mT + fft.fft2(x)).real,
    "put to real numbers": lambda m, x: fft.fft2(x).to(torch.float64),
    "written into ones": lambda m, x: back(written(1, spectrum(x)[..., :3], 0, 3)),
    "written at other places": lambda m, x: back(written(0, spectrum(x)[..., :3], 1, 4)),
    "padded at the low end": lambda m, x: back(nn.functional.pad(spectrum(x)[..., :4], (1, 0))),
    "a layer with a bias": lambda m, x: back(
        nn.functional.linear(spectrum(x).movedim(1, 3), factors(2, 2), factors(2)).movedim(3, 1)
    ),
    "a map that was cut": lambda m, x: fft.irfft(fft.rfft(x[..., :6]) * factors(4), n=6),
    "all rows as one": lambda m, x: fft.irfft(fft.rfft(x.flatten(2)) * factors(33), n=64).view_as(x),
    "the angle": lambda m, x: spectrum(x + 3).angle(),
}


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("case", READ)
def test_what_reads_the_phases_is_not_proved(case):
    made = READ[case]
    net = (made if isinstance(made, nn.Module) else Frequencies(made)).double().eval()
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step != (1, 1), verdict
    picture = torch.randn((1, *SIZE), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        still, shown = net(picture), net(picture.roll((1, 2), (2, 3)))
    assert (shown - still).abs().max() > 1e-6
    if still.ndim == 4:
        assert all((shown - still.roll((s, 2 * s), (2, 3))).abs().max() > 1e-6 for s in (1, -1))


def test_the_finding_is_at_the_transform_and_names_who_reads_the_phases():
    verdict = sp.check(Frequencies(lambda m, x: torch.cat([spectrum(x).real, spectrum(x).imag], 1)), SIZE)
    found = [f for f in verdict.findings if f.code == "T7"]
    assert {f.operator for f in found} == {"fft_rfft2"}
    assert [f.detail.rsplit(" ", 2)[-2:] for f in found] == [["real", "reads"], ["imag", "reads"]]
    alone = sp.check(Frequencies(lambda m, x: fft.rfft2(x)), SIZE).findings
    assert [(f.code, f.detail.endswith("which the answer reads")) for f in alone] == [("T7", True)]


def drawn(seed: int):
    """A network of a map, its frequencies, some operators on them, and the way back; (network, size)."""
    r = random.Random(seed)
    size = r.choice([(2, 8, 8), (2, 6, 8), (2, 7, 8)])
    c, h, w = size
    before = r.choice([lambda x: x, lambda x: x.relu(), lambda x: x.square()])
    kind = r.choice(["real", "complex", "rows", "columns"])
    half = w // 2 + 1

    def forth(x):
        x = before(x)
        if kind == "real":
            return fft.rfft2(x)
        if kind == "complex":
            return fft.fft2(x)
        return fft.fft(x, dim=3 if kind == "rows" else 2)

    length = w if kind != "columns" and r.random() < 0.7 else w + 2 if r.random() < 0.5 else w
    low = r.randint(1, half - 1)
    at = r.choice([2, 3])
    k = r.choice([(c, h, half), (half,), (c, 1, 1), (h, 1)])
    full = r.choice([(c, h, w), (w,), (h, 1)])
    steps = [
        lambda x, t: t * factors(*(k if kind == "real" else full)),
        lambda x, t: t * factors(*(k if kind == "real" else full)),
        lambda x, t: t * t.abs().tanh(),
        lambda x, t: t * t.conj(),
        lambda x, t: t.conj(),
        lambda x, t: t + forth(x.tanh()),
        lambda x, t: t + 0.5,
        lambda x, t: t.flip(at),
        lambda x, t: t.roll(1, at),
        lambda x, t: fft.ifftshift(fft.fftshift(t, dim=at), dim=at),
        lambda x, t: fft.fftshift(t, dim=at),
        lambda x, t: torch.cat([t[..., :low], torch.zeros_like(t[..., low:])], 3),
        lambda x, t: torch.cat([t[..., low:], t[..., :low]], 3),
        lambda x, t: torch.einsum("bchw,cd->bdhw", t, factors(c, c)),
        lambda x, t: t.flatten(2).unflatten(2, t.shape[2:]),
        lambda x, t: t.transpose(2, 3).transpose(2, 3),
        lambda x, t: -t,
        lambda x, t: t * x.mean((2, 3), keepdim=True),
        lambda x, t: t.sum(1, keepdim=True).expand_as(t),
        lambda x, t: t.index_select(at, torch.arange(t.shape[at] - 1, -1, -1)).flip(at),
        lambda x, t: torch.stack([t, 2 * t], 1)[:, 1],
        lambda x, t: t.relu() if not t.is_complex() else t * (t.real > 0),
        lambda x, t: nn.functional.pad(t[..., :low], (0, t.shape[3] - low)),
        lambda x, t: t.masked_fill(torch.arange(t.shape[3]) >= low, 0),
    ]
    chosen = [r.choice(steps) for _ in range(r.randint(1, 4))]
    end = r.choice(["back", "back", "back", "magnitudes", "shorter"])

    def run(m, x):
        t = forth(x)
        for step in chosen:
            t = step(x, t)
        if end == "magnitudes":
            return t.abs()
        if kind == "real":
            return fft.irfft2(t, s=(h, length)) if end == "back" else fft.irfft2(t[:, :, :, :3], s=(h, 4))
        if kind == "complex":
            return fft.ifft2(t).real if end == "back" else fft.ifft2(t[:, :, :, :4]).abs()
        return fft.ifft(t, dim=3 if kind == "rows" else 2).abs()

    return Frequencies(run).double().eval(), size


def test_random_work_on_frequencies_is_held_to_brute_force():
    proved = broken = 0
    for seed in range(150):
        net, size = drawn(seed)
        picture = torch.randint(-4, 5, (1, *size), generator=torch.Generator().manual_seed(seed)).double()
        try:
            with torch.no_grad():
                scale = 1 + net(picture).abs().max().item()
        except RuntimeError:  # factors that do not fit
            continue
        verdict = sp.check(net, size)
        assert worst(net, verdict, size, verdict.circular.step) <= 1e-9 * scale, f"seed {seed}\n{verdict}"
        proved += verdict.circular.status == "proved"
        broken += verdict.circular.status != "proved"
    assert proved >= 30, (proved, broken)
    assert broken >= 20, (proved, broken)


CANVAS = {
    "a filter after zeros": lambda m, x: back(spectrum(m.a(x)) * factors(8, 5)),
    "a correlation after zeros": lambda m, x: back(spectrum(m.a(x)) * spectrum(m.a(x)).conj()),
    "magnitudes of a filter after zeros": lambda m, x: (spectrum(m.a(x)) * factors(8, 5)).abs(),
}


@pytest.mark.parametrize("case", CANVAS)
def test_frequencies_of_a_padded_map_are_not_proved_on_a_canvas(case):
    net = Frequencies(CANVAS[case], a=nn.Conv2d(2, 2, 3, padding=1)).double().eval()
    verdict = sp.check(net, SIZE)
    assert verdict.canvas.status == "not_proved"
    assert canvas_worst(net, verdict, SIZE, 2) > 1e-6
    twin = Frequencies(CANVAS[case], a=circular(2, 2, 3)).double().eval()
    assert sp.check(twin, SIZE).canvas.status == "proved"
