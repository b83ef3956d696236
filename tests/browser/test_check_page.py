"""A verdict's page and its notebook card in a real browser."""

import pytest

import verdicts_made

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def check_page(tmp_path_factory):
    """A verdict's page by its kind: the kind's name -> file."""
    from shiftproof.report import write_verdict_page

    folder = tmp_path_factory.mktemp("checks")
    return lambda kind: write_verdict_page(verdicts_made.KINDS[kind](), folder / kind)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("kind", verdicts_made.KINDS)
def test_the_page_is_drawn_quietly_and_fits(kind, scheme, width, check_page, watched):
    one = watched(check_page(kind), scheme=scheme, width=width)
    one.page.wait_for_timeout(50)
    assert one.complaints == []
    assert one.outside == []
    assert one.page.locator("img[src=x]").count() == 0
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width


OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('.strip svg text')].map(t => [t.textContent, t.getBoundingClientRect()])
  const found = []
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2) found.push([a, b])
  }))
  return found
}"""


@pytest.mark.parametrize("kind", ["whole", "deep", "proved"])
def test_no_word_of_the_strip_lies_on_another(kind, check_page, watched):
    one = watched(check_page(kind))
    assert one.page.locator(".strip svg text").count() > 8
    assert one.page.evaluate(OVERLAPS) == []
    one.page.evaluate("() => document.querySelectorAll('.strip svg text').forEach(t => t.setAttribute('x', 90))")
    assert one.page.evaluate(OVERLAPS) != []  # the test can fail


def test_the_strip_has_the_colours_of_the_theme(check_page, watched):
    path = check_page("whole")
    script = "() => getComputedStyle(document.querySelector('.strip rect.clean')).fill"
    assert watched(path, scheme="light").page.evaluate(script) != watched(path, scheme="dark").page.evaluate(script)


@pytest.mark.parametrize("kind", verdicts_made.KINDS)
def test_a_notebooks_card_fits_in_400_pixels(kind, tmp_path, chromium):
    path = tmp_path / "card.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{verdicts_made.KINDS[kind]()._repr_html_()}</body>")
    context = chromium.new_context(viewport={"width": 400, "height": 700})
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("body > div").bounding_box()["width"] <= 400
    context.close()
