"""The report's page in a real browser: it draws, answers the pointer, changes its theme, and talks to nobody."""

import pytest

pytestmark = pytest.mark.browser

CHARTS = {
    "whole": 9,
    "small": 9,
    "dense": 5,
    "unlabelled": 7,
    "empty": 0,
    "hostile": 11,
    "ring": 3,
    "path": 3,
    "random": 5,
    "deep": 9,
    "wide": 5,
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", CHARTS)
def test_every_page_is_drawn_quietly(kind, scheme, page_file, watched):
    one = watched(page_file(kind), scheme=scheme)
    assert one.complaints == []
    assert one.outside == []
    plots = one.page.locator(".plot")
    assert plots.count() == CHARTS[kind]
    for i in range(plots.count()):
        assert plots.nth(i).locator("svg path, canvas").count() > 0
    assert one.page.locator(".plot.failed").count() == 0


def test_a_page_that_does_talk_is_heard(tmp_path, watched):
    page = tmp_path / "loud.html"
    page.write_text(
        "<html data-ready=true><link rel=icon href='data:,'><img src='file:///nowhere.png' onerror='alert(1)'>"
        "<script>console.error('loud')</script>"
    )
    one = watched(page)
    one.page.wait_for_timeout(300)
    assert one.outside == ["file:///nowhere.png"]
    assert "error: loud" in one.complaints
    assert "dialog: 1" in one.complaints


def test_hostile_names_are_inert(page_file, watched, made):
    one = watched(page_file("hostile"))
    one.page.wait_for_timeout(300)
    assert one.complaints == []
    assert one.page.locator("img[src=x]").count() == 0
    assert one.page.title().startswith(made.HOSTILE)
    show(one.page, "#layer-profile")
    box = one.page.locator("#layer-profile svg").bounding_box()
    one.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    one.page.wait_for_selector("#tip:not([hidden])")
    assert made.HOSTILE in one.page.locator("#tip").inner_text()  # as text, in the tooltip too
    assert one.page.locator("#tip img").count() == 0
    assert one.complaints == []


def test_the_policy_stops_a_foreign_script(page_file, watched):
    one = watched(page_file("empty"))
    one.page.evaluate(
        "() => { const s = document.createElement('script'); s.text = 'window.evil = 1'; document.body.append(s) }"
    )
    assert one.page.evaluate("window.evil") is None
    assert any("Content Security Policy" in c for c in one.complaints)


def show(page, selector):
    """Scroll there, and wait until the scrolling has been seen (which hides a tooltip)."""
    page.locator(selector).scroll_into_view_if_needed()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def cell(page, dy, dx, reach=8):
    """Where the cell of a move lies in the first map, in the window."""
    show(page, "#map-0")
    # the frame of the plotting area: the union of all the cells
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('#map-0 .mark-rect.role-mark path')].map(p => p.getBoundingClientRect())
              .map(b => [b.left, b.top, b.right, b.bottom])"""
    )
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[2] for b in boxes), max(b[3] for b in boxes)
    side = 2 * reach + 1
    return left + (dx + reach + 0.5) * (right - left) / side, top + (dy + reach + 0.5) * (bottom - top) / side


@pytest.mark.parametrize(("dy", "dx"), [(7, 7), (0, 0), (-8, 3)])
def test_a_cell_tells_its_move_figure_and_interval(dy, dx, page_file, watched, made):
    one = watched(page_file("whole"))
    one.page.mouse.move(*cell(one.page, dy, dx))
    one.page.wait_for_selector("#tip:not([hidden])")
    value = 100 * made.accuracy_of(dy, dx)
    assert one.page.locator("#tip dd").all_inner_texts() == [
        str(dy).replace("-", "−"),
        str(dx).replace("-", "−"),
        f"{value:.2f} %",
        f"{value - 2:.2f} – {value + 2:.2f} %",
    ]
    one.page.keyboard.press("Escape")
    assert one.page.locator("#tip").is_hidden()


def test_a_layer_tells_its_name_and_causes(page_file, watched):
    one = watched(page_file("whole"))
    show(one.page, "#layer-profile")
    box = one.page.locator("#layer-profile svg").bounding_box()
    one.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    one.page.wait_for_selector("#tip:not([hidden])")
    labels = one.page.locator("#tip dt").all_inner_texts()
    assert labels == [
        "layer",
        "operator",
        "stride",
        "interior",
        "propagated",
        "95 % interval",
        "local",
        "aliasing",
        "border",
        "position",
    ]
    assert one.page.locator("#tip dd").first.inner_text().startswith("layer")


def fills(page):
    """The colours of the page and of its first map's cells."""
    return page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  [...document.querySelectorAll('#map-0 .mark-rect.role-mark path')].map(p => p.getAttribute('fill')).join()]"""
    )


def test_the_theme_follows_the_system_and_the_button(page_file, watched):
    one = watched(page_file("small"), scheme="light")
    light = fills(one.page)
    one.page.emulate_media(color_scheme="dark")
    one.page.wait_for_selector("#map-0[data-drawn=dark]")
    dark = fills(one.page)
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    button = one.page.get_by_role("button", name="Switch to the light theme")
    button.click()
    assert fills(one.page) == light
    one.page.get_by_role("button", name="Switch to the dark theme").click()
    assert fills(one.page) == dark
    assert one.complaints == []


def test_paper_is_light_whatever_the_screen(page_file, watched):
    one = watched(page_file("small"), scheme="dark")
    before = fills(one.page)
    assert one.page.pdf().startswith(b"%PDF")
    assert fills(one.page) == before  # and the screen is as it was
    one.page.emulate_media(media="print", color_scheme="dark")
    one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    ground, cells = fills(one.page)
    assert ground == "rgb(255, 255, 255)"
    assert cells != before[1]


@pytest.mark.parametrize("kind", ["small", "dense", "hostile", "random", "deep"])
@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_sticks_out_at_any_width(kind, width, page_file, watched):
    one = watched(page_file(kind), width=width)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    for plot in one.page.locator(".plot > *").all():
        box = plot.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1


def test_charts_follow_the_window(page_file, watched):
    one = watched(page_file("small"), width=1280)
    wide = one.page.locator("#layer-profile svg").bounding_box()["width"]
    one.page.set_viewport_size({"width": 420, "height": 900})
    one.page.wait_for_function(
        "old => document.querySelector('#layer-profile svg').getBoundingClientRect().width < old / 2", arg=wide
    )
    assert one.complaints == []


def test_a_page_without_scripts_still_says_its_figures(page_file, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file("small").as_uri())
    text = page.locator("body").inner_text()
    context.close()
    assert "85.74 %" in text
    assert "The charts need JavaScript" in text
