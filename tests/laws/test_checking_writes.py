"""In-place writes: a tensor whose memory was written through another is never taken for what it was."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst

RAMP = torch.arange(5.0, dtype=torch.float64)


def after(write):
    """A network that makes y out of x, lets `write` spoil something and answers with both."""

    def run(m, x):
        y = m.a(x)
        return write(x, y)

    return Call(run, a=circular(2, 2, 3))


def through_a_view(x, y):
    y[:, :, :, 1:3] = 0
    return y


def through_a_transpose(x, y):
    y.transpose(2, 3).add_(RAMP[:, None])
    return y * 2


def view_then_base(x, y):
    rows = y.flatten(2)
    y.add_(RAMP)
    return rows


def the_base_itself(x, y):
    z = y
    z.add_(RAMP)
    return y


def a_copy(x, y):
    z = y.clone()
    z.add_(RAMP)
    return y + 0 * x


def contiguous_copy(x, y):
    z = y.transpose(2, 3).contiguous()
    z.add_(RAMP[:, None])
    return y + 0 * x


def contiguous_itself(x, y):
    z = y.contiguous()
    z.add_(RAMP)
    return y


def dropout_itself(x, y):
    z = nn.functional.dropout(y, 0.5, False)
    z.add_(RAMP)
    return y


def a_part_of_a_split(x, y):
    one, _two = y.split(1, 1)
    one.mul_(RAMP)
    return y


def the_picture(x, y):
    x = x.clone()
    x.relu_()
    return x + y


def an_expanded_view(x, y):
    z = y.sum(3, keepdim=True)
    wide = z.expand(-1, -1, -1, 5)
    z.mul_(torch.arange(4.0, dtype=torch.float64)[:, None])
    return wide + y


def zeroed(x, y):
    y.zero_()
    return y + x


def filled_by_rows(x, y):
    z = torch.zeros_like(y)
    z[:, :, 1] = y[:, :, 1]
    return z


def filled_by_channels(x, y):
    z = torch.empty_like(y)
    z[:, 0] = y[:, 1]
    z[:, 1] = y[:, 0]
    return z


def through_einsum(x, y):
    z = torch.einsum("nchw->nhwc", y)
    z.add_(RAMP[:, None])
    return y


def einsum_of_two(x, y):
    z = torch.einsum("nchw,nchw->nhwc", y, y)
    z.add_(1)
    return y + z.permute(0, 3, 1, 2)


def through_a_grid(x, y):
    y = y.sum((0, 1, 2))
    torch.meshgrid(y, y, indexing="ij")[1].add_(RAMP)
    return y * 2


def through_a_product(x, y):
    y = y.sum((0, 1, 2))
    torch.cartesian_prod(y).add_(RAMP)
    return y * 2


def through_broadcasting(x, y):
    torch.broadcast_tensors(y, x[:, :1])[0].add_(RAMP)
    return y * 2


def through_a_list(x, y):
    torch._foreach_add_([y], [RAMP.expand(1, 2, 4, 5)])
    return y


def a_list_of_constants(x, y):
    z = torch.zeros(5, dtype=x.dtype)
    torch._foreach_add_([z], [RAMP])
    return y + z


def a_list_of_even_constants(x, y):
    z = torch.zeros(5, dtype=x.dtype)
    torch._foreach_add_([z], [RAMP * 0])
    return y + z


def joined_and_written(x, y):
    z = torch.concat([y, x], 1)
    z.relu_()
    return torch.relu(y) + z[:, :2]


def statistics(normalise):
    """Torch's normalisation writes the statistics that it is given in training, and its schema does not say so."""

    def run(x, y):
        mean, variance = torch.zeros(5, dtype=x.dtype), torch.ones(5, dtype=x.dtype)
        normalise(RAMP.view(1, 5, 1).expand(1, 5, 3), mean, variance)
        return y + mean

    return run


updated_statistics = statistics(lambda t, m, v: F.batch_norm(t, m, v, training=True, momentum=1.0))
statistics_of_instances = statistics(lambda t, m, v: F.instance_norm(t, m, v, use_input_stats=True, momentum=1.0))
stored_statistics = statistics(lambda t, m, v: F.batch_norm(t, m, v, training=False))
for _function, _name in [
    (updated_statistics, "updated_statistics"),
    (statistics_of_instances, "statistics_of_instances"),
    (stored_statistics, "stored_statistics"),
]:
    _function.__name__ = _name


def statistics_of_the_picture(x, y):
    mean, variance = torch.zeros(5, dtype=x.dtype), torch.ones(5, dtype=x.dtype)
    F.batch_norm(y.permute(0, 3, 1, 2), mean, variance, training=True)
    return y + mean


PROGRAMS = [
    updated_statistics,
    statistics_of_instances,
    stored_statistics,
    statistics_of_the_picture,
    through_a_view,
    through_a_transpose,
    view_then_base,
    the_base_itself,
    a_copy,
    contiguous_copy,
    contiguous_itself,
    dropout_itself,
    a_part_of_a_split,
    the_picture,
    an_expanded_view,
    zeroed,
    filled_by_rows,
    filled_by_channels,
    through_einsum,
    einsum_of_two,
    through_a_grid,
    through_a_product,
    through_broadcasting,
    through_a_list,
    a_list_of_constants,
    a_list_of_even_constants,
    joined_and_written,
]
EXACT = {
    stored_statistics,
    a_copy,
    contiguous_copy,
    the_picture,
    zeroed,
    a_list_of_even_constants,
    joined_and_written,
    einsum_of_two,
}


@pytest.mark.parametrize("write", PROGRAMS, ids=lambda f: f.__name__)
def test_no_write_is_missed(write):
    module = whole(after(write))
    verdict = sp.check(module, (2, 4, 5))
    if verdict.circular.status == "proved":
        assert worst(module, verdict, (2, 4, 5), verdict.circular.step) == 0
    else:
        assert write not in EXACT, verdict.findings


@pytest.mark.parametrize(
    "write", [p for p in PROGRAMS if p not in EXACT | {filled_by_channels}], ids=lambda f: f.__name__
)
def test_what_a_write_breaks_is_not_proved(write):
    assert sp.check(whole(after(write)), (2, 4, 5)).circular.status != "proved"


def test_a_program_in_training_mode_is_not_believed():
    net = nn.Sequential(circular(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    program = torch.export.export(net.train(), (torch.zeros(1, 1, 6, 6),), strict=False)
    assert sp.check(program, (1, 6, 6)).circular.status == "unknown"


def test_random_numbers_are_not_believed():
    net = Call(lambda m, x: x + torch.rand(1, 1, 1, 1))
    assert sp.check(net, (1, 6, 6)).circular.status == "unknown"


def test_dropout_that_is_told_to_train_is_not_believed():
    net = Call(lambda m, x: nn.functional.dropout(x, 0.5, training=True))
    assert sp.check(net, (1, 6, 6)).circular.status == "unknown"
