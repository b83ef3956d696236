"""The equations of the derivation as code: each takes the weights of its step and a picture, and returns the output.

Pixels outside the picture count as 0.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def fully_connected(w: Float[Tensor, "h w k l"], u: Float[Tensor, "h w"], x: Float[Tensor, "k l"]) -> Tensor:
    """Equation 7.1.1, first line: H[i, j] = U[i, j] + sum over k, l of W[i, j, k, l] X[k, l]."""
    return u + torch.einsum("ijkl,kl->ij", w, x)


def by_offset(v: Float[Tensor, "h w a b"], u: Float[Tensor, "h w"], x: Float[Tensor, "h w"]) -> Tensor:
    """Equation 7.1.1, second line: H[i, j] = U[i, j] + sum over a, b of V[i, j, a, b] X[i + a, j + b]."""
    return u + torch.einsum("ijab,ijab->ij", v, around(x, v.shape[2], v.shape[3]))


def shared(v: Float[Tensor, "a b"], u: Tensor, x: Float[Tensor, "h w"]) -> Tensor:
    """Equations 7.1.2 and 7.1.3: H[i, j] = u + sum over a, b of V[a, b] X[i + a, j + b].

    The two differ in the size of V alone: offsets over the whole picture, or up to Delta.

    >>> shared(torch.ones(1, 3), torch.tensor(0.0), torch.tensor([[1.0, 2.0, 4.0]])).tolist()
    [[3.0, 7.0, 6.0]]
    """
    return u + torch.einsum("ab,ijab->ij", v, around(x, *v.shape))


def convolution(f: Float[Tensor, "a b"], g: Float[Tensor, "h w"]) -> Tensor:
    """Equation 7.1.6: (f * g)(i, j) = sum over a, b of f(a, b) g(i - a, j - b)."""
    return torch.einsum("ab,ijab->ij", f, around(g, *f.shape).flip(2, 3))


def channels(v: Float[Tensor, "a b c d"], x: Float[Tensor, "h w c"]) -> Float[Tensor, "h w d"]:
    """Equation 7.1.7: H[i, j, d] = sum over a, b, c of V[a, b, c, d] X[i + a, j + b, c]."""
    return torch.einsum("abcd,ijcab->ijd", v, around(x, v.shape[0], v.shape[1]))


def around(x: Float[Tensor, "h w *c"], rows: int, columns: int) -> Float[Tensor, "h w *c a b"]:
    """X[i + a, j + b] for every position (i, j) and offset (a, b), 0 outside the picture.

    Args:
        x: the picture.
        rows: number of offsets a, odd: from -(rows - 1) / 2 to (rows - 1) / 2.
        columns: number of offsets b, odd.

    >>> around(torch.tensor([[1.0, 2.0]]), 1, 3).tolist()
    [[[[0.0, 1.0, 2.0]], [[1.0, 2.0, 0.0]]]]
    """
    top, left = rows // 2, columns // 2
    wide = x.new_zeros(x.shape[0] + 2 * top, x.shape[1] + 2 * left, *x.shape[2:])
    wide[top : top + x.shape[0], left : left + x.shape[1]] = x
    return wide.unfold(0, rows, 1).unfold(1, columns, 1)


def with_offsets(w: Float[Tensor, "h w h w"]) -> Float[Tensor, "h w a b"]:
    """V[i, j, a, b] = W[i, j, i + a, j + b], 0 where the pixel (i + a, j + b) is outside the picture."""
    h, width = w.shape[:2]
    v = w.new_zeros(h, width, 2 * h - 1, 2 * width - 1)
    for i, j in itertools.product(range(h), range(width)):
        v[i, j, h - 1 - i : 2 * h - 1 - i, width - 1 - j : 2 * width - 1 - j] = w[i, j]
    return v


def without_offsets(v: Float[Tensor, "h w a b"]) -> Float[Tensor, "h w h w"]:
    """W[i, j, k, l] = V[i, j, k - i, l - j]."""
    h, width = v.shape[:2]
    w = v.new_zeros(h, width, h, width)
    for i, j in itertools.product(range(h), range(width)):
        w[i, j] = v[i, j, h - 1 - i : 2 * h - 1 - i, width - 1 - j : 2 * width - 1 - j]
    return w


def inside(h: int, w: int) -> Bool[Tensor, "h w a b"]:
    """Whether the pixel (i + a, j + b) is in the picture: which coefficients V[i, j, a, b] there are.

    >>> inside(1, 2).flatten(1).tolist()
    [[False, True, True, True, True, False]]
    """
    return with_offsets(torch.ones(h, w, h, w)) > 0


def at_every_position(v: Float[Tensor, "a b"], h: int, w: int) -> Float[Tensor, "h w p q"]:
    """The same V[a, b] at every position, with 0 for offsets that it does not have: V[i, j, a, b] of a shared layer."""
    full = v.new_zeros(2 * h - 1, 2 * w - 1)
    top, left = h - 1 - v.shape[0] // 2, w - 1 - v.shape[1] // 2
    full[top : top + v.shape[0], left : left + v.shape[1]] = v
    return full.expand(h, w, *full.shape)
