"""A photograph minus its left neighbour, by convolution and by the dense matrix, and how many operations each takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from shiftproof.errors import DataError
from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab, Step
from shiftproof.experiments.photographs.neighbours import (
    KERNEL,
    Tally,
    by_counting,
    by_dense_matrix,
    dense_row,
    sparse_matrix,
)
from shiftproof.experiments.sources import EIGHT_BILLION, NOTES
from shiftproof.records import Citation, Figure, Judged, Table
from shiftproof.records.numbers import fixed

WIDTH, HEIGHT = 320, 280
REPEATS = 5
WAYS = ("counted one by one", "convolution", "sparse matrix", "dense matrix")
OUTPUT_WIDTH, OUTPUT_HEIGHT = 319, 280  # as published, like the five numbers below
OPERATIONS, WEIGHTS = 267_960, 2
TIMES_OPERATIONS, TIMES_WEIGHTS = 60_000, 4e9
ENTRIES, ENTRIES_TWICE = 8_003_072_000, 16_006_144_000
BILLIONS = 8e9  # "8 billion operations", as the comparison that mixes operations and entries says
ADDRESS = "https://www.deeplearningbook.org/contents/convnets.html"
BOOK = Citation("Goodfellow, Bengio and Courville 2016, Deep Learning", "figure 9.6", ADDRESS)
# The book prints the product of the sizes, "over eight billion" and "over sixteen billion"; these are the exact numbers.
PRODUCT = Citation(
    BOOK.paper, "figure 9.6: 320 x 280 x 319 x 280, “over eight billion, entries in the matrix”", ADDRESS
)
TWICE = Citation(
    BOOK.paper, "figure 9.6: “over sixteen billion floating point operations”, two for each entry", ADDRESS
)


def timed(run: Callable[[], object], repeats: int) -> float:
    """The median wall clock of a call, in seconds."""
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        spent.append(time.perf_counter() - started)
    return sorted(spent)[len(spent) // 2]


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        photograph: its name.
        picture: its middle, whole numbers 0..255.
        difference: what the convolution made of it.
        equal: for each of `WAYS`, whether its result equals the difference to the last bit.
        operations: of the convolution and the two matrices, a row of k entries as k multiplications and k - 1 additions.
        weights: weights of the kernel, entries that the matrices hold.
        seconds: wall clock of each.
        dot: operations of one dot product of the dense matrix, counted while it ran.
        dense_twice: operations of the dense product if every entry takes a multiplication and an addition.
    """

    photograph: str
    picture: Float32[np.ndarray, "h w"]
    difference: Float32[np.ndarray, "h v"]
    equal: dict[str, bool]
    operations: dict[str, int]
    weights: dict[str, int]
    seconds: dict[str, float]
    dot: Tally
    dense_twice: int

    @property
    def times_operations(self) -> float:
        """Operations of the dense product, two for each entry, over those of the convolution."""
        return self.dense_twice / self.operations["convolution"]

    @property
    def times_weights(self) -> float:
        """Entries of the dense matrix over weights of the kernel."""
        return self.weights["dense matrix"] / self.weights["convolution"]

    @property
    def times_seconds(self) -> float:
        """Seconds of the dense product over those of the convolution."""
        return self.seconds["dense matrix"] / self.seconds["convolution"]


def measure(lab: Lab, *, height: int = HEIGHT, width: int = WIDTH) -> Numbers:
    """The same differences four ways: counted one by one, by torch's convolution, by the sparse and by the dense matrix.

    Args:
        lab: where the photographs come from.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Raises:
        DataError: no photograph is that large.
    """
    album = lab.photographs()
    found = next((p for p in album.photographs if p.grey.shape[0] >= height and p.grey.shape[1] >= width), None)
    if found is None:
        raise DataError(
            f"no photograph of at least {width} x {height} pixels",
            where=album.word,
            remedy="use larger photographs, or leave --data out",
        )
    top, left = (found.grey.shape[0] - height) // 2, (found.grey.shape[1] - width) // 2
    window = found.grey[top : top + height, left : left + width]
    picture = np.rint(window * 255).astype(np.float32)  # whole numbers, so that every way must agree to the last bit
    tensor, kernel = torch.from_numpy(picture), torch.tensor(KERNEL).reshape(1, 1, 1, 2)

    def convolved() -> Tensor:
        return torch.nn.functional.conv2d(tensor[None, None], kernel)[0, 0]

    expected = torch.from_numpy(picture[:, 1:] - picture[:, :-1])
    counted, tally = by_counting(picture)
    plain, row = dense_row(picture, onto_zero=True), dense_row(picture, onto_zero=False)
    by_convolution = convolved()
    matrix = sparse_matrix(height, width)
    by_sparse = torch.from_numpy(matrix @ picture.ravel()).reshape(expected.shape)
    lab.progress(Step("dense product", 0, 1))
    started = time.perf_counter()
    by_dense = by_dense_matrix(tensor)
    # Once only: it multiplies eight billion entries.
    dense_s = time.perf_counter() - started
    results = (torch.from_numpy(counted), by_convolution, by_sparse, by_dense)
    outputs = by_convolution.numel()
    return Numbers(
        photograph=found.name,
        picture=picture,
        difference=by_convolution.numpy(),
        equal={way: torch.equal(result, expected) for way, result in zip(WAYS, results, strict=True)},
        operations={
            "convolution": tally.operations,
            "sparse matrix": 2 * matrix.nnz - outputs,  # a row of k entries: k multiplications, k - 1 additions
            "dense matrix": row.operations * outputs,
        },
        weights={
            "convolution": kernel.numel(),
            "sparse matrix": matrix.nnz,
            "dense matrix": outputs * picture.size,
        },
        seconds={
            "convolution": timed(convolved, REPEATS),
            "sparse matrix": timed(lambda: matrix @ picture.ravel(), REPEATS),
            "dense matrix": dense_s,
        },
        dot=row,
        dense_twice=plain.operations * outputs,
    )


def figures(n: Numbers) -> list[Figure]:
    """Sizes, counts, seconds and ratios, the published ones beside them."""
    h_out, w_out = n.difference.shape

    def count(way: str, what: str, value: float, published: float | None = None, source: Citation = BOOK) -> Figure:
        if published is None:
            return Figure("ways", way, what, value, "count")
        return Figure("ways", way, what, value, "count", published=published, source=source, holds=value == published)

    def size(what: str, value: int, published: int) -> Figure:
        return Figure("sizes", "output", what, value, "px", published=published, source=BOOK, holds=value == published)

    def ratio(what: str, value: float, published: float, digits: int) -> Figure:
        holds = round(value, digits) == published
        return Figure(
            "ratios", what, "dense over convolution", value, "", published=published, source=BOOK, holds=holds
        )

    return [
        size("width", w_out, OUTPUT_WIDTH),
        size("height", h_out, OUTPUT_HEIGHT),
        count("convolution", "operations", n.operations["convolution"], OPERATIONS),
        count("sparse matrix", "operations", n.operations["sparse matrix"]),
        count("dense matrix", "operations", n.operations["dense matrix"]),
        count("dense matrix", "operations, two per entry", n.dense_twice, ENTRIES_TWICE, TWICE),
        count("convolution", "weights or entries", n.weights["convolution"], WEIGHTS),
        count("sparse matrix", "weights or entries", n.weights["sparse matrix"]),
        count("dense matrix", "weights or entries", n.weights["dense matrix"], ENTRIES, PRODUCT),
        *(Figure("ways", way, "seconds", s, "") for way, s in n.seconds.items()),
        *(Figure("ways", way, "equal to the difference", float(e), "", holds=e) for way, e in n.equal.items()),
        ratio("operations", n.times_operations, TIMES_OPERATIONS, -4),
        ratio("weights", n.times_weights, TIMES_WEIGHTS, -9),
        Figure("ratios", "seconds", "dense over convolution", n.times_seconds, ""),
        Figure(
            "ratios",
            "entries over operations, as often quoted",
            "dense over convolution",
            n.weights["dense matrix"] / n.operations["convolution"],
            "",
        ),
    ]


def claims(n: Numbers) -> list[Judged]:
    """The book's counts, and the comparison that learners make of them."""
    operations, entries = n.operations["convolution"], n.weights["dense matrix"]
    return [
        judged(
            "Subtracting the left neighbour of each pixel of a 320 x 280 picture takes 267,960 operations by convolution; "
            "the dense "
            "matrix that does the same has over eight billion entries.",
            BOOK,
            [operations == OPERATIONS, entries == ENTRIES, all(n.equal.values())],
            holds=f"Counted while they run: {operations:,} operations, {entries:,} entries, and equal results to the last bit.",
            in_part=f"Counted: {operations:,} operations and {entries:,} entries; not all three statements are so.",
            does_not=f"Counted: {operations:,} operations and {entries:,} entries, and the results differ.",
            rests_on=[("ways", "convolution", "operations"), ("ways", "dense matrix", "weights or entries")],
        ),
        judged(
            EIGHT_BILLION,
            NOTES,
            [round(n.dense_twice, -9) == BILLIONS],
            holds=f"The dense product takes {n.dense_twice:,} operations.",
            does_not=f"This compares operations with entries: as operations, the dense product takes {n.dense_twice:,}, and as "
            f"weights it is {n.weights['convolution']} against {entries:,}.",
            rests_on=[
                ("ways", "dense matrix", "operations, two per entry"),
                ("ways", "convolution", "weights or entries"),
            ],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """Whether the ways agree, what the published numbers count, and how long each way took."""
    h_out, w_out = n.difference.shape
    operations, entries = n.operations["convolution"], n.weights["dense matrix"]
    compared = (
        f"There are {operations:,} operations compared with {n.dense_twice:,} ({n.dense_twice / entries:g} per entry of the "
        f"matrix), and {n.weights['convolution']} weights compared with {entries:,}."
    )
    took = (
        f"On this machine, the convolution took {n.seconds['convolution'] * 1e6:,.0f} µs, the sparse matrix with its "
        f"{n.weights['sparse matrix']:,} nonzero entries {n.seconds['sparse matrix'] * 1e6:,.0f} µs, and the dense "
        f"product {fixed(n.seconds['dense matrix'], 1)} s: {n.times_seconds:,.0f} times as long as the convolution, "
    )
    return [
        f"The photograph “{n.photograph}” minus its left neighbour is {w_out} x {h_out} pixels.",
        Said(
            all(n.equal.values()),
            yes="The convolution, the sparse matrix and the dense matrix give the same result to the last bit.",
            no=f"Not all ways give the same result; these differ: {', '.join(w for w, e in n.equal.items() if not e)}.",
        ),
        Said(
            round(entries, -9) == BILLIONS != round(n.dense_twice, -9),
            yes=f"“{operations:,} operations versus 8 billion operations” compares the operations of the convolution with the "
            f"entries of the matrix. {compared}",
            no=Said(
                round(entries, -9) == BILLIONS,
                yes=f"“{operations:,} operations versus 8 billion operations” compares operations with operations: "
                f"the matrix has 8 billion entries, and its product takes as many operations. {compared}",
                no=f"At this size, the matrix does not have 8 billion entries. {compared}",
            ),
        ),
        Said(
            n.times_seconds < n.times_operations,
            yes=f"{took}for {n.times_operations:,.0f} times as many operations.",
            no=f"{took}which is no less than the ratio of operations, {n.times_operations:,.0f}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    weights, entries = n.weights["convolution"], n.weights["dense matrix"]
    counts = f"{weights} weights in a convolution, {entries:,} entries in a matrix"
    return Said(
        all(n.equal.values()) and n.times_operations > 1,
        yes=f"The same edges can be had with {counts}: a convolution does the work of a dense layer with "
        f"{n.times_operations:,.0f} times fewer operations.",
        no=f"The ways to find the edges do not all agree, or the convolution saves no operations ({counts}).",
    )


def tables(n: Numbers) -> list[Table]:
    """Sizes, ways and ratios."""
    h, w = n.picture.shape
    return [
        Table("sizes", f"A {w} x {h} photograph minus its left neighbour", "picture", claim="It is as printed."),
        Table(
            "ways",
            "The same differences, computed in three ways",
            "way",
            f"seconds: median of {REPEATS} runs; the dense product ran once",
            "The count is as printed; the results are equal.",
        ),
        Table("ratios", "Ratios", "counted", claim="It is as printed, rounded as there."),
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The photograph and its differences."""
    (h, w), (h_out, w_out) = n.picture.shape, n.difference.shape
    return {
        "edges.png": (
            side_by_side([n.picture / 255, np.abs(n.difference).clip(0, 128) / 128]),
            f"Left: the photograph, {w} x {h}. Right: the absolute difference of each pixel and its left neighbour, "
            f"{w_out} x {h_out}, twice as bright.",
        )
    }


def footnotes(n: Numbers) -> list[Said | str]:
    """How the book counts, and what the dense matrix would need."""
    dense, per_output = n.operations["dense matrix"], n.operations["convolution"] / n.difference.size
    per_row = n.weights["sparse matrix"] / n.difference.size
    return [
        "The book counts two multiplications and one addition for each output of the convolution, but one "
        "multiplication and one addition for each entry of the matrix. Counted alike, a dot product of "
        f"{n.picture.size:,} terms has {n.dot.multiplications:,} multiplications and {n.dot.additions:,} additions, and "
        f"the dense product {dense:,} operations rather than {n.dense_twice:,}.",
        "Figure 9.6 says over eight billion entries and over sixteen billion operations. The phrase “8 billion operations” "
        "mixes these: it compares the operations of the convolution with the entries of the matrix.",
        Said(
            rounds(n),
            yes=f"The book's ratios are round numbers: “roughly {TIMES_OPERATIONS:,} times” for "
            f"{n.times_operations:,.1f}, correct to the nearest ten thousand, and “four billion times” for "
            f"{n.times_weights:,.0f}, correct to the nearest billion.",
            no=f"The book's ratios are for {WIDTH} x {HEIGHT} pixels: “roughly {TIMES_OPERATIONS:,} times” and “four "
            f"billion times”. Here they are {n.times_operations:,.1f} and {n.times_weights:,.0f}.",
        ),
        f"The dense matrix would fill {n.weights['dense matrix'] * 4 / 2**30:.0f} GiB in float32. So it is made, "
        "multiplied and thrown away one block of rows at a time, and its seconds include making it.",
        Said(
            n.operations["sparse matrix"] == n.operations["convolution"],
            yes=f"The sparse matrix has {per_row:g} entries per row and takes {per_output:g} operations per output, as the "
            "convolution does.",
            no=f"The sparse matrix has {per_row:g} entries per row and takes "
            f"{n.operations['sparse matrix'] / n.difference.size:g} operations per output, the convolution {per_output:g}.",
        ),
    ]


def rounds(n: Numbers) -> bool:
    """Whether the counts come out as the book's two round ratios: "roughly 60,000 times" and "four billion times"."""
    return (round(n.times_operations, -4), round(n.times_weights, -9)) == (TIMES_OPERATIONS, TIMES_WEIGHTS)


def protocol(n: Numbers) -> dict[str, str]:
    """Everything needed to repeat it."""
    h, w = n.picture.shape
    return {
        "photograph": f"{n.photograph}, its middle {w} x {h}, luma rounded to whole numbers 0..255, float32",
        "kernel": f"{list(KERNEL)} over (left neighbour, pixel), no padding",
        "operations of the convolution": "counted while running, with numbers that count each * and +",
        "operations of the dense product": "one row with the same numbers, times the number of rows: a loop that adds every "
        "product to zero (two operations per entry), and a loop that begins with the first product, as the convolution does",
    }


EXPERIMENT = Experiment(
    name="edges",
    systems=("S16",),
    title="Finding edges with two weights",
    definition="Edge: a place where neighbouring pixels differ. Here each pixel is compared with its left neighbour.",
    shows="edge detection by convolution and by a dense matrix: equal results, very different costs",
    claim="Subtracting the left neighbour of each pixel of a 320 x 280 picture takes 267,960 operations by convolution; the "
    "dense matrix that does the same has over eight billion entries.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
