"""S16: a photograph minus its left neighbour, by convolution and by the dense matrix; and what was counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from shiftproof.errors import DataError
from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab, Step
from shiftproof.records import Figure, Source, Table

WIDTH, HEIGHT = 320, 280
KERNEL = (-1.0, 1.0)  # of the left neighbour and of the pixel itself
REPEATS = 5
TIMES_OPERATIONS, TIMES_WEIGHTS = 60_000, 4e9  # of the book, in round numbers
BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "figure 9.6",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SPECIFICATION = Source("The project's specification", "row S16 and claim 3")  # the exact counts; the book says "over"
DOCUMENTS = Source("Project's source documents (specification row S16)", "267,960 operations versus 8 billion")


@dataclass
class Tally:
    """How many multiplications and additions were done on `Counted` numbers.

    Args:
        multiplications: so far.
        additions: so far.
    """

    multiplications: int = field(default=0)
    additions: int = field(default=0)

    @property
    def operations(self) -> int:
        """Both together."""
        return self.multiplications + self.additions


@dataclass(frozen=True)
class Counted:
    """Numbers that report to a tally each multiplication and each addition done with them.

    Args:
        values: the numbers.
        tally: where they report.
    """

    values: np.ndarray
    tally: Tally

    def __mul__(self, other: float | np.ndarray) -> Counted:
        self.tally.multiplications += self.values.size
        return Counted(self.values * other, self.tally)

    def __add__(self, other: Counted) -> Counted:
        self.tally.additions += self.values.size
        return Counted(self.values + other.values, self.tally)

    def __getitem__(self, where: tuple[slice, slice]) -> Counted:
        return Counted(self.values[where], self.tally)

    def sum(self, *, onto_zero: bool) -> Counted:
        """All of them added up, one by one: onto a zero, as the straightforward loop does, or onto the first."""
        self.tally.additions += self.values.size - (not onto_zero)
        return Counted(self.values.sum(keepdims=True), self.tally)


def by_counting(picture: Float32[np.ndarray, "h w"]) -> tuple[np.ndarray, Tally]:
    """The differences, and how many operations they took, by numbers that count."""
    tally = Tally()
    x = Counted(picture, tally)
    out = x[:, :-1] * KERNEL[0] + x[:, 1:] * KERNEL[1]
    return out.values.astype(np.float32), tally


def dense_row(picture: Float32[np.ndarray, "h w"], *, onto_zero: bool) -> Tally:
    """How many operations one output of the dense product takes, by numbers that count; every other takes as many.

    Args:
        picture: its size decides.
        onto_zero: see `Counted.sum`.
    """
    tally = Tally()
    (Counted(picture.ravel(), tally) * np.zeros(picture.size, np.float32)).sum(onto_zero=onto_zero)
    return tally


def sparse_matrix(height: int, width: int):
    """The matrix from flattened pictures to flattened differences, only its nonzero entries held (SciPy's CSR)."""
    from scipy.sparse import csr_array

    rows = height * (width - 1)
    y, x = np.divmod(np.arange(rows), width - 1)
    left = y * width + x
    columns = np.stack([left, left + 1], axis=1).ravel()
    entries = np.tile(np.array(KERNEL, dtype=np.float32), rows)
    return csr_array((entries, columns, np.arange(0, 2 * rows + 1, 2)), shape=(rows, height * width))


def by_dense_matrix(picture: Float32[Tensor, "h w"]) -> Float32[Tensor, "h v"]:
    """The product with every entry of the dense matrix, zeros and all; the rows of one line of the picture at a time."""
    height, width = picture.shape
    flat, out = picture.flatten(), torch.empty(height, width - 1)
    block, rows = torch.zeros(width - 1, height * width), torch.arange(width - 1)
    for y in range(height):
        for entry, column in zip(KERNEL, (y * width + rows, y * width + rows + 1), strict=True):
            block[rows, column] = entry
        out[y] = block @ flat
        block[:, y * width : (y + 1) * width] = 0
    return out


def timed(run: Callable[[], object], repeats: int) -> float:
    """The median wall clock of a call, in seconds."""
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return sorted(spent)[len(spent) // 2]


def rounded(operations: float, weights: float) -> list[str]:
    """How the book's two ratios come out of the counts, where they do: "roughly 60,000 times", "four billion times".

    Args:
        operations: of the dense product over those of the convolution.
        weights: entries of the matrix over weights of the kernel.

    >>> rounded(1.0, 2.0)
    []
    """
    if (round(operations, -4), round(weights, -9)) != (TIMES_OPERATIONS, TIMES_WEIGHTS):
        return []
    return [
        f"The book's ratios are round numbers: “roughly {TIMES_OPERATIONS:,} times” for {operations:,.1f}, which holds to "
        f"the ten thousand, and “four billion times” for {weights:,.0f}, which holds to the billion."
    ]


def measure(lab: Lab) -> Result:
    """The same differences four ways: counted one by one, by torch's convolution, by the sparse and by the dense matrix."""
    album = lab.photographs()
    found = next((p for p in album.photographs if p.grey.shape[0] >= HEIGHT and p.grey.shape[1] >= WIDTH), None)
    if found is None:
        raise DataError(f"no photograph of at least {WIDTH} x {HEIGHT} pixels", where=album.word)
    top, left = (found.grey.shape[0] - HEIGHT) // 2, (found.grey.shape[1] - WIDTH) // 2
    window = found.grey[top : top + HEIGHT, left : left + WIDTH]
    picture = np.rint(window * 255).astype(np.float32)  # whole numbers: every way must agree to the last bit
    tensor, kernel = torch.from_numpy(picture), torch.tensor(KERNEL).reshape(1, 1, 1, 2)

    def convolved() -> Tensor:
        return torch.nn.functional.conv2d(tensor[None, None], kernel)[0, 0]

    expected = torch.from_numpy(picture[:, 1:] - picture[:, :-1])
    counted, tally = by_counting(picture)
    size, plain, row = picture.size, dense_row(picture, onto_zero=True), dense_row(picture, onto_zero=False)
    by_convolution = convolved()
    matrix = sparse_matrix(HEIGHT, WIDTH)
    by_sparse = torch.from_numpy(matrix @ picture.ravel()).reshape(expected.shape)
    lab.progress(Step("dense product", 0, 1))
    started = time.perf_counter()
    by_dense = by_dense_matrix(tensor)
    dense_s = time.perf_counter() - started
    equal = {
        "counted one by one": torch.equal(torch.from_numpy(counted), expected),
        "convolution": torch.equal(by_convolution, expected),
        "sparse matrix": torch.equal(by_sparse, expected),
        "dense matrix": torch.equal(by_dense, expected),
    }
    h_out, w_out = by_convolution.shape
    entries = (h_out * w_out) * size
    dense_flops = plain.operations * h_out * w_out
    seconds = {
        "convolution": timed(convolved, REPEATS),
        "sparse matrix": timed(lambda: matrix @ picture.ravel(), REPEATS),
        "dense matrix": dense_s,
    }
    weights = {"convolution": kernel.numel(), "sparse matrix": matrix.nnz, "dense matrix": entries}
    operations = {
        "convolution": tally.operations,
        "sparse matrix": 2 * matrix.nnz - h_out * w_out,  # a row of k entries: k multiplications, k - 1 additions
        "dense matrix": row.operations * h_out * w_out,
    }

    def figure(way: str, what: str, value: float, published: float | None = None, source: Source = BOOK) -> Figure:
        if published is None:
            return Figure("ways", way, what, value, "count")
        return Figure("ways", way, what, value, "count", published=published, source=source, holds=value == published)

    figures = [
        Figure("sizes", "output", "width", w_out, "px", published=319, source=BOOK, holds=w_out == 319),
        Figure("sizes", "output", "height", h_out, "px", published=280, source=BOOK, holds=h_out == 280),
        figure("convolution", "operations", operations["convolution"], published=267_960),
        figure("sparse matrix", "operations", operations["sparse matrix"]),
        figure("dense matrix", "operations", operations["dense matrix"]),
        figure("dense matrix", "operations, two an entry", dense_flops, published=16_006_144_000, source=SPECIFICATION),
        figure("convolution", "weights or entries", weights["convolution"], published=2),
        figure("sparse matrix", "weights or entries", weights["sparse matrix"]),
        figure("dense matrix", "weights or entries", weights["dense matrix"], published=8_003_072_000, source=SPECIFICATION),
        *(Figure("ways", way, "seconds", s, "") for way, s in seconds.items()),
        *(Figure("ways", way, "equal to the difference", float(e), "", holds=e) for way, e in equal.items()),
        Figure("ratios", "operations", "dense over convolution", dense_flops / operations["convolution"], "",
               published=TIMES_OPERATIONS, source=BOOK,
               holds=round(dense_flops / operations["convolution"], -4) == TIMES_OPERATIONS),
        Figure("ratios", "weights", "dense over convolution", weights["dense matrix"] / weights["convolution"], "",
               published=TIMES_WEIGHTS, source=BOOK,
               holds=round(weights["dense matrix"] / weights["convolution"], -9) == TIMES_WEIGHTS),
        Figure("ratios", "seconds", "dense over convolution", seconds["dense matrix"] / seconds["convolution"], ""),
        Figure("ratios", "as documented: entries over operations", "dense over convolution",
               entries / operations["convolution"], "", source=DOCUMENTS),
    ]  # fmt: skip
    agree = all(equal.values())
    faster = seconds["dense matrix"] / seconds["convolution"]
    return Result(
        finding=[
            f"The photograph “{found.name}” minus its left neighbour is {w_out} x {h_out} pixels. "
            + (
                "Counted one by one, by convolution, by the sparse and by the dense matrix: equal to the last bit."
                if agree
                else f"Not all ways agree: {', '.join(w for w, e in equal.items() if not e)} differs."
            ),
            f"“{operations['convolution']:,} operations versus 8 billion operations” compares two things. As operations it "
            f"is {operations['convolution']:,} versus {dense_flops:,} (two an entry of the matrix); as weights it is "
            f"{weights['convolution']} versus {entries:,}.",
            f"Run here, the convolution took {seconds['convolution'] * 1e6:,.0f} µs, the matrix with only its "
            f"{matrix.nnz:,} nonzero entries {seconds['sparse matrix'] * 1e6:,.0f} µs, the dense product "
            f"{seconds['dense matrix']:.1f} s: {faster:,.0f} times as long, less than the "
            f"{dense_flops / operations['convolution']:,.0f} times as many operations."
            if faster < dense_flops / operations["convolution"]
            else f"Run here, the dense product took {faster:,.0f} times as long as the convolution.",
        ],
        figures=figures,
        tables=[
            Table("sizes", f"A {WIDTH} x {HEIGHT} photograph minus its left neighbour", "picture"),
            Table("ways", "The same differences, by every way", "way", "seconds: median of 5; the dense product once"),
            Table("ratios", "How many times", "counted"),
        ],
        pictures={
            "edges.png": (
                side_by_side([picture / 255, np.abs(by_convolution.numpy()).clip(0, 128) / 128]),
                f"Left: the photograph, {WIDTH} x {HEIGHT}. Right: the absolute difference of each pixel and its left "
                f"neighbour, {w_out} x {h_out}, twice as bright.",
            )
        },
        footnotes=[
            "The book counts two multiplications and one addition for each output of the convolution, but one "
            "multiplication and one addition for each entry of the matrix. Counted alike, a dot product of "
            f"{size:,} terms has {row.multiplications:,} multiplications and {row.additions:,} additions, and the dense "
            f"product {operations['dense matrix']:,} operations rather than {dense_flops:,}.",
            "The book itself says eight billion entries and sixteen billion operations; the source documents set its count "
            "of operations beside its count of entries.",
            *rounded(dense_flops / operations["convolution"], weights["dense matrix"] / weights["convolution"]),
            f"The dense matrix would fill {entries * 4 / 2**30:.0f} GiB in float32, so it is made, multiplied and thrown "
            "away a block of rows at a time; making it is part of its time.",
            "The sparse matrix has two entries a row: three operations a row, as the convolution.",
        ],
        protocol={
            "photograph": f"{found.name}, its middle {WIDTH} x {HEIGHT}, luma rounded to whole numbers 0..255, float32",
            "kernel": f"{list(KERNEL)} over (left neighbour, pixel), no padding",
            "operations of the convolution": "counted while running, by numbers that count each * and +",
            "operations of the dense product": "one row by the same numbers, times the rows: the loop that adds every product "
            "onto a zero (two an entry), and the one that begins with the first product, as the convolution does",
        },
    )


EXPERIMENT = Experiment(
    name="edges",
    systems=("S16",),
    shows="edge detection by convolution and by a dense matrix: equal results, and what was counted",
    claim="Subtracting the left neighbour of each pixel of a 320 x 280 picture takes 267,960 operations by convolution; the "
    "dense matrix that does the same has over eight billion entries.",
    source=BOOK,
    measure=measure,
)
