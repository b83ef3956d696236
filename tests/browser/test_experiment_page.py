"""An experiment's page in a real browser: every chart is drawn, at every width, in both themes, and talks to nobody."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest

import experiments_made as made

pytestmark = pytest.mark.browser
KINDS = ["whole", "exact", "hostile"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of experiments with their pages and the overview."""
    from shiftproof.records import save_experiment
    from shiftproof.report import write_experiment_page, write_overview

    folder = tmp_path_factory.mktemp("experiments")
    for kind in KINDS:
        record = replace(getattr(made, kind)(), name=kind)
        save_experiment(record, folder / kind)
        write_experiment_page(record, folder / kind)
    write_overview(folder)
    return folder


@pytest.fixture(scope="module")
def page_of(folder):
    return functools.cache(lambda kind: folder / kind / "index.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_drawn_quietly(kind, scheme, page_of, watched):
    one = watched(page_of(kind), scheme=scheme)
    assert one.complaints == []
    assert one.outside == []
    plots = one.page.locator(".plot")
    assert plots.count() == (0 if kind == "exact" else 10)
    for i in range(plots.count()):
        assert plots.nth(i).locator("svg .mark-rect path, svg .mark-symbol path").count() > 0
    assert one.page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [360, 1600])
def test_nothing_sticks_out_at_any_width(kind, width, page_of, watched):
    one = watched(page_of(kind), width=width)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in one.page.locator(".plot > *").all():
        box = plot.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1


def show(page, selector):
    page.locator(selector).scroll_into_view_if_needed()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_bar_tells_its_name_figure_and_interval(page_of, watched):
    one = watched(page_of("whole"))
    show(one.page, "#chart-5")
    box = one.page.locator("#chart-5 svg").bounding_box()
    one.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 34)
    one.page.wait_for_selector("#tip:not([hidden])")
    assert one.page.locator("#tip dt").all_inner_texts() == ["effect", "series", "gain in accuracy", "interval"]
    assert one.page.locator("#tip dd").all_inner_texts() == ["weight sharing", "MNIST", "21 %", "18 – 24 %"]


def test_maps_are_square(page_of, watched):
    one = watched(page_of("whole"))
    boxes = one.page.evaluate(
        """() => [...document.querySelectorAll('#chart-7-0 .mark-rect.role-mark path')].map(p => p.getBoundingClientRect())
              .map(b => [b.left, b.top, b.right, b.bottom])"""
    )
    wide = max(b[2] for b in boxes) - min(b[0] for b in boxes)
    high = max(b[3] for b in boxes) - min(b[1] for b in boxes)
    assert wide == pytest.approx(high, rel=0.06)


@pytest.fixture(scope="module")
def widest(tmp_path_factory):
    """The page of the committed record with the widest table: 11 columns, each beside a published figure."""
    from shiftproof.records import load_experiment
    from shiftproof.report import write_experiment_page

    records = Path(__file__).parents[1] / "golden" / "experiments"
    return write_experiment_page(load_experiment(records / "sparse.json"), tmp_path_factory.mktemp("widest"))


@pytest.mark.parametrize("width", [1100, 390])
def test_a_table_that_is_too_wide_scrolls_inside_its_box_and_keeps_its_row_names(width, widest, watched):
    one = watched(widest, width=width)
    found = one.page.evaluate(
        """() => [...document.querySelectorAll('.scroll')].map(box => {
            box.scrollLeft = 1e6;
            const outer = box.getBoundingClientRect();
            const [name, last] = ['tbody th', 'tbody td:last-child'].map(q => box.querySelector(q).getBoundingClientRect());
            return [box.scrollLeft, name.left - outer.left, outer.right - last.right, outer.right];
        })"""
    )
    assert max(moved for moved, *_ in found) > 300  # so there is a table that is wider than its box
    for _, name, last, right in found:
        assert abs(name) <= 1  # the names of the rows stay at the left
        assert last >= -1  # the last column can be reached
        assert right <= width
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_large_picture_scrolls_on_a_phone_and_stays_readable(tmp_path, watched):
    from shiftproof.report import write_experiment_page

    record = replace(made.whole(), images={"digit.png": made.png(700), "sheet.png": made.png(300, 1)})
    one = watched(write_experiment_page(record, tmp_path), width=390)
    large, other = one.page.locator(".sheet img").all()
    assert large.bounding_box()["width"] >= 480
    assert other.bounding_box()["width"] <= 358
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (
        one.page.evaluate("(b => { b.scrollLeft = 1e6; return b.scrollLeft })(document.querySelector('.across'))") > 50
    )


def test_small_pictures_are_enlarged_by_pixels(page_of, watched):
    one = watched(page_of("whole"))
    image = one.page.locator("img.pixels")
    assert image.bounding_box()["width"] > 200
    assert image.evaluate("i => getComputedStyle(i).imageRendering") == "pixelated"


def test_the_overview_leads_to_each_page(folder, watched):
    one = watched(folder / "index.html", width=400)
    assert one.complaints == []
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 400
    one.page.get_by_role("link", name="whole").click()
    one.page.wait_for_selector("html[data-ready]")
    assert one.page.locator("h1").inner_text().startswith("whole")
