"""The measures against plain loops written from the papers' formulas: slow, obvious, and sharing no code with them."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch

from shiftproof import measure

N, M, CLASSES = 7, 6, 4


@pytest.fixture(params=range(5))
def scene(request):
    rng = np.random.default_rng(request.param)
    return (
        rng.integers(0, CLASSES, (N, M)),
        rng.integers(0, CLASSES, N),
        rng.integers(0, CLASSES, N),
        rng.random((N, M)),
    )


# ---- answers -------------------------------------------------------------------------------------------------------


def loop_consistency(row):
    """Zhang 2019: the probability that two moves give the same class, over all pairs."""
    pairs = [(a, b) for i, a in enumerate(row) for b in row[i + 1 :]]
    return sum(a == b for a, b in pairs) / len(pairs)


def loop_flip_probability(row):
    """Hendrycks & Dietterich 2019: FP = 1/(m-1) sum over j = 2..m of 1(f(x_j) != f(x_{j-1}))."""
    return sum(row[j] != row[j - 1] for j in range(1, len(row))) / (len(row) - 1)


def test_answers(scene):
    answers, labels, unmoved, probability = scene
    for i in range(N):
        row = answers[i].tolist()
        assert measure.accuracy(answers, labels)[i] == sum(a == labels[i] for a in row) / M
        assert measure.accuracy_unmoved(unmoved, labels)[i] == float(unmoved[i] == labels[i])
        assert measure.accuracy_every_move(answers, labels)[i] == float(all(a == labels[i] for a in row))
        assert measure.consistency(answers)[i] == pytest.approx(loop_consistency(row), abs=1e-15)
        assert measure.flip_rate(answers, unmoved)[i] == sum(a != unmoved[i] for a in row) / M
        assert measure.mean_flip_rate(answers)[i] == loop_flip_probability(row)
        assert measure.wobble(probability)[i] == max(probability[i]) - min(probability[i])


def test_worst_move(scene):
    answers, labels, *_ = scene
    sums = [sum(int(answers[i][t] == labels[i]) for i in range(N)) for t in range(M)]
    worst = sums.index(min(sums))
    assert measure.worst_move(np.array([s / N for s in sums])) == worst
    assert measure.accuracy_worst_move(answers, labels).tolist() == [
        float(answers[i][worst] == labels[i]) for i in range(N)
    ]


def loop_adjusted(consistencies, accuracies):
    c, a = sum(consistencies) / len(consistencies), sum(accuracies) / len(accuracies)
    by_chance = a * a + sum(((1 - a) / (CLASSES - 1)) ** 2 for _ in range(CLASSES - 1))
    return (c - by_chance) / (1 - by_chance)


def test_adjusted_consistency(scene):
    answers, labels, *_ = scene
    c, a = measure.consistency(answers).tolist(), measure.accuracy(answers, labels).tolist()
    found = measure.adjusted_consistency(np.array(c), np.array(a), classes=CLASSES, confidence=0.9)
    value, low, high = loop_jackknife(lambda i: loop_adjusted(*drop((c, a), i)), loop_adjusted(c, a), 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((value, low, min(high, 1.0)), rel=1e-6)


# ---- statistics ----------------------------------------------------------------------------------------------------


def drop(columns, i):
    return [column[:i] + column[i + 1 :] for column in columns]


def loop_degrees(values):
    n, mean = len(values), sum(values) / len(values)
    second, fourth = (sum((v - mean) ** k for v in values) / n for k in (2, 4))
    return max(1, min(n - 1, math.floor(2 * n / max(fourth / second**2 - 1, 1e-12) + 1e-9)))


def loop_jackknife(without, value, confidence):
    """Tukey 1958: (n-1)/n sum (g_i - mean g)^2."""
    g = [without(i) for i in range(N)]
    mean = sum(g) / N
    variance = (N - 1) / N * sum((v - mean) ** 2 for v in g)
    half = scipy.stats.t.ppf((1 + confidence) / 2, loop_degrees(g)) * math.sqrt(variance)
    return value, value - half, value + half


def weighted_upper(values, level):
    """The upper end: weights uniform on the simplex have E D_i = 1/k and Cov(D_i, D_j) = ([i = j] k - 1) / (k^2 (k + 1))."""
    least = min(values)
    x = [(v - least) / (1 - least) for v in [*values, 1.0]]
    k = len(x)
    mean = sum(x) / k
    variance = sum(
        (k * (i == j) - 1) / (k**2 * (k + 1)) * x[i] * x[j] for i, j in itertools.product(range(k), range(k))
    )
    size = mean * (1 - mean) / variance - 1
    return least + (1 - least) * scipy.stats.beta.ppf((1 + level) / 2, mean * size, (1 - mean) * size)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_fractions_get_the_bootstrap_with_one_more_picture_at_the_far_end(scene, confidence):
    *_, fractions = scene
    for column in fractions.T:
        found = measure.mean_interval(column, confidence=confidence, bounded=(0, 1))
        low, high = 1 - weighted_upper((1 - column).tolist(), confidence), weighted_upper(column.tolist(), confidence)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize("shape", [(0.2, 0.8), (0.3, 3), (2, 2), (8, 1)])
@pytest.mark.parametrize("n", [5, 20, 80])
def test_the_beta_distribution_stands_in_for_random_weights(shape, n):
    rng = np.random.default_rng(n)
    values = rng.beta(*shape, n)
    weights = rng.dirichlet(np.ones(n + 1), 40_000)
    low, high = np.quantile(weights @ [*values, 0], 0.025), np.quantile(weights @ [*values, 1], 0.975)
    found = measure.mean_interval(values, bounded=(0, 1))
    assert found.value - found.low == pytest.approx(found.value - low, rel=0.15)
    assert found.high - found.value == pytest.approx(high - found.value, rel=0.15)


def test_ratio_by_the_jackknife(scene):
    *_, x = scene
    a, b = x[:, 0].tolist(), (x[:, 1] + 1).tolist()
    found = measure.function_interval(np.stack([a, b], axis=1), lambda means: means[..., 0] / means[..., 1])
    expected = loop_jackknife(lambda i: np.divide(*map(sum, drop((a, b), i))), sum(a) / sum(b), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx(expected, rel=1e-6)


def test_radial_curve(scene):
    *_, x = scene
    offsets = [(0, 0), (1, 0), (0, -2), (2, 0), (-1, -1), (1, 2)]
    by_radius = {}
    for t, (dy, dx) in enumerate(offsets):
        by_radius.setdefault(round(math.sqrt(dy * dy + dx * dx)), []).append(t)
    curve = measure.radial(offsets, x, bounded=(0, 1))
    assert curve.radius_px == sorted(by_radius)
    for r, value, low, high in zip(curve.radius_px, curve.values, curve.low, curve.high, strict=True):
        per_image = [sum(x[i][t] for t in by_radius[r]) / len(by_radius[r]) for i in range(N)]
        metric = measure.mean_interval(np.array(per_image), bounded=(0, 1))
        assert (value, low, high) == pytest.approx((metric.value, metric.low, metric.high), rel=1e-12)


# ---- sensitivity ---------------------------------------------------------------------------------------------------


def test_sensitivity():
    rng = np.random.default_rng(0)
    moved, still = rng.normal(size=(4, 3, 5)), rng.normal(size=(4, 5))
    gaps = sorted(math.dist(still[i], still[j]) for i in range(4) for j in range(i))
    unit = (gaps[2] + gaps[3]) / 2
    assert measure.typical_distance(still) == pytest.approx(unit, rel=1e-12)
    f, g = torch.from_numpy(moved), torch.from_numpy(still)[:, None]
    euclidean, cosine = (measure.distance(f, g, kind).numpy() for kind in ("euclidean", "cosine"))
    for i in range(4):
        lengths = [math.dist(moved[i, t], still[i]) / unit for t in range(3)]
        assert measure.sensitivity_euclidean(euclidean, unit)[i] == pytest.approx(sum(lengths) / 3, rel=1e-12)
        angles = [
            1 - sum(moved[i, t] * still[i]) / math.sqrt(sum(moved[i, t] ** 2) * sum(still[i] ** 2)) for t in range(3)
        ]
        assert measure.sensitivity_cosine(cosine)[i] == pytest.approx(sum(angles) / 3, rel=1e-12)


# ---- dense ---------------------------------------------------------------------------------------------------------


def loop_dense(moved, y, dy, dx, *, boundary, size, border_px, stride):
    """One image, one move: cell by cell, for each rounding of the move; the best by interior error."""
    k, h, w = y.shape
    power = sum(float(v) ** 2 for v in y.ravel()) / (h * w)
    wraps = [boundary == "circular" and c * r == s for c, r, s in zip((h, w), stride, size, strict=True)]  # by axis
    candidates = []
    for sy, sx in itertools.product(
        sorted({math.floor(dy / stride[0]), math.ceil(dy / stride[0])}),
        sorted({math.floor(dx / stride[1]), math.ceil(dx / stride[1])}),
    ):
        gaps = {"_interior": [], "_border": []}
        same = {"_interior": [], "_border": []}
        for i, j in itertools.product(range(h), range(w)):
            a, b = i + sy, j + sx
            a, b = a % h if wraps[0] else a, b % w if wraps[1] else b
            if not (0 <= a < h and 0 <= b < w):
                continue
            interior = True
            for cell, other, d, r, s, wrap in zip((i, j), (a, b), (dy, dx), stride, size, wraps, strict=True):
                for c in (cell, other):  # first and last pixel of the cell, in its own view
                    interior &= c * r >= border_px and (c + 1) * r <= s - border_px
                if not wrap:  # the old content lies between max(0, d) and s + min(0, d)
                    interior &= other * r - border_px >= max(0, d) and (other + 1) * r + border_px <= s + min(0, d)
            region = "_interior" if interior else "_border"
            gaps[region].append(sum(float(moved[c, a, b] - y[c, i, j]) ** 2 for c in range(k)))
            same[region].append(int(np.argmax(moved[:, a, b])) == int(np.argmax(y[:, i, j])))
        mean = lambda v: sum(v) / len(v) if v else math.nan  # noqa: E731
        found = {}
        for region in ("_interior", "_border", ""):
            g = gaps[region] if region else gaps["_interior"] + gaps["_border"]
            found["equivariance_error" + region] = math.sqrt(mean(g) / power)
            found["mask_agreement" + region] = mean(same[region] if region else same["_interior"] + same["_border"])
        score = found["equivariance_error_interior"]
        score = found["equivariance_error"] if math.isnan(score) else score
        candidates.append((math.inf if math.isnan(score) else score, found))
    return min(candidates, key=lambda c: c[0])[1]


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect", "crop"])
@pytest.mark.parametrize(
    ("cells", "size", "stride"),
    [((6, 5), (6, 5), None), ((4, 6), (8, 18), None), ((4, 3), (7, 9), (2, 3)), ((8, 6), (4, 3), None)],
)
@pytest.mark.parametrize("border_px", [0, 1, 2.5])
def test_dense_agreement(boundary, cells, size, stride, border_px):
    offsets = [(0, 0), (1, 0), (-2, 3), (2, 2), (0.5, -1.25), (0, 4), (-7, 1), (30, 0)]
    y = torch.randn(3, *cells, dtype=torch.float64)
    moved = torch.randn(len(offsets), 3, *cells, dtype=torch.float64)
    found = measure.dense_agreement(
        moved, y, offsets, boundary=boundary, input_size=size, border_px=border_px, stride=stride
    )
    steps = stride or tuple(s / c for s, c in zip(size, cells, strict=True))
    for t, (dy, dx) in enumerate(offsets):
        expected = loop_dense(
            moved[t].numpy(), y.numpy(), dy, dx, boundary=boundary, size=size, border_px=border_px, stride=steps
        )
        for name, value in expected.items():
            assert found[name][t] == pytest.approx(value, rel=1e-12, nan_ok=True), (name, dy, dx)
