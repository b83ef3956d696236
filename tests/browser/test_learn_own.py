"""The learner's own network in a real Chromium: moved by hand, audited, repaired; and what is said when nobody answers."""

import re
import threading

import pytest

from learner import Learner
from shiftproof.learning.export import page as exported
from shiftproof.learning.pages import words
from shiftproof.learning.room import Room
from shiftproof.learning.serve import server

pytestmark = pytest.mark.browser
LONG = 180_000  # ms: an audit, or a repair with its proof, on a machine that does other things too


def answered(page):
    """Once the answer at this move is there."""
    page.wait_for_function("() => document.querySelector('.own .answer b').innerText !== '…'")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_predict_move_audit_repair(language, learner):
    one = learner(language=language)
    page = one.open("#own")
    said = words(language)
    assert page.inner_text(".sentence") == said["take.nothing"]
    assert page.locator(".own .map, .own .findings").count() == 0  # nothing is given away
    page.locator(".predict .option").first.click()
    page.wait_for_selector(".predict.done")
    answered(page)
    assert page.inner_text(".sentence") != said["take.nothing"]
    assert [a.split("?")[0] for a in links(page)] == ["#border", "#pixels", "#forgets"]  # T2, T1, T5
    page.keyboard.press("ArrowDown")
    answered(page)
    tried = page.get_attribute(".own .map canvas", "aria-label")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("(was) => document.querySelector('.own .map canvas').ariaLabel !== was", arg=tried)
    if page.locator(".own button.main").count():
        page.locator(".own button.main").click()
    page.locator(".own section:nth-of-type(2) a").wait_for(timeout=LONG)
    before = page.inner_text(".sentence")
    assert "%" in before
    with one.context.expect_page() as opening:
        page.locator(".own section:nth-of-type(2) a").click()
    audit = opening.value
    audit.wait_for_selector("h1")
    assert "builtin:digits-cnn" in audit.inner_text("body")
    audit.close()
    if page.locator(".own section:nth-of-type(3) > p button").count():  # the first language has it repaired for both
        page.locator(".own section:nth-of-type(3) > p button").click()
    choice = page.locator(".own section:nth-of-type(3) .choice button")
    choice.last.wait_for(timeout=LONG)
    choice.last.click()
    if page.locator(".own button.main").count():
        page.locator(".own button.main").click()
    page.wait_for_function("(was) => document.querySelector('.sentence').innerText !== was", arg=before, timeout=LONG)
    page.locator(".own section:nth-of-type(2) a").wait_for(timeout=LONG)
    assert "100%" in page.inner_text(".sentence")  # the pose for the circle


def links(page):
    return page.locator(".findings a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")


def test_each_exhibit_that_explains_a_finding_is_there(learner):
    page = learner().open("#own?guess=skip")
    found = links(page)
    for where in found:
        page.evaluate("(to) => { location.hash = to }", where)
        page.wait_for_selector(f"html[data-ready='{where.strip('#').split('?')[0]}']")


def test_an_address_restores_the_picture_the_edge_and_the_move(learner):
    one = learner()
    page = one.open("#own?picture=2&edge=zero&dx=-2&dy=1&guess=skip")
    answered(page)
    assert page.locator(".slider output").all_inner_texts() == ["-2", "1"]
    pressed = page.locator(".own section:first-child .choice button[aria-pressed=true]").all_inner_texts()
    assert pressed == ["3", words("en")["own.edge.zero"]]
    page = one.open("#own?picture=11&edge=crop&dx=8&dy=-8&mended=1&guess=skip")  # more than this network has
    answered(page)
    assert page.locator(".slider output").all_inner_texts() == ["4", "-4"]
    pressed = page.locator(".own section:first-child .choice button[aria-pressed=true]").all_inner_texts()
    assert pressed == ["6", words("en")["own.edge.circular"]]


def test_a_network_that_fails_is_a_sentence_and_the_exhibits_go_on(chromium):
    def fails():
        raise OSError("no <b>disk</b>")

    with server(0, Room(fails)) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        one = Learner(chromium, serving.address)
        page = one.open("#own?guess=skip")
        assert "OSError: no <b>disk</b>" in page.inner_text(".failed")
        one.open("#pool?guess=skip")
        assert one.complaints == []
        one.context.close()
        serving.shutdown()
        thread.join()


def test_a_server_that_is_gone_is_a_sentence_and_the_exhibits_go_on(chromium, address):
    one = Learner(chromium, address)
    page = one.open("#own?guess=skip")
    answered(page)
    one.context.set_offline(True)
    page.keyboard.press("ArrowDown")
    page.locator(".failed").wait_for()
    assert words("en")["own.gone"] in page.inner_text(".failed")
    one.context.set_offline(False)
    page.keyboard.press("ArrowDown")
    page.locator(".failed").wait_for(state="detached")
    one.context.close()


def test_an_exported_page_holds_the_answers_at_all_moves(chromium, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(exported())
    context = chromium.new_context(offline=True, locale="en-US", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{path.as_uri()}#own?guess=skip&dx=-3&dy=4")
    page.wait_for_selector("html[data-ready=own]", timeout=60_000)
    answered(page)
    assert words("en")["own.stored"] in page.inner_text("main")
    assert page.locator(".own button.main").count() == 0  # nothing can be started
    assert re.search(r"\d%", page.inner_text(".sentence"))  # its audit is there
    context.close()
