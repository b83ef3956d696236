"""The learner's own network in a real Chromium: moved by hand, audited, repaired; and what is said when nobody answers."""

import re
import threading

import pytest
from PIL import Image

from learner import Learner
from shiftproof.learning.export import page as exported
from shiftproof.learning.own import opened
from shiftproof.learning.pages import words
from shiftproof.learning.room import Room
from shiftproof.learning.serve import server

pytestmark = pytest.mark.browser
LONG = 180_000  # ms: an audit, or a repair with its proof, on a machine that does other things too


def answered(page):
    """Once the answer at this move is there."""
    page.wait_for_function("() => document.querySelector('.own .answer b').innerText !== '…'")


@pytest.fixture
def alone(chromium):
    """Somebody with a server of their own, where no work was done before: language -> Learner."""
    with server(0) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        found = []
        yield lambda language: found.append(Learner(chromium, serving.address, language=language)) or found[0]
        assert (found[0].complaints, found[0].outside) == ([], [])
        found[0].context.close()
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_predict_move_audit_repair(language, alone):
    one = alone(language)
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
    page.locator(".own section:nth-of-type(3) > p button").click()
    choice = page.locator(".own section:nth-of-type(3) .choice button")
    choice.last.wait_for(timeout=LONG)
    choice.last.click()
    page.locator(".own button.main").click()
    page.wait_for_function("(was) => document.querySelector('.sentence').innerText !== was", arg=before, timeout=LONG)
    page.locator(".own section:nth-of-type(2) a").wait_for(timeout=LONG)
    assert "100%" in page.inner_text(".sentence")  # the pose for the circle


def links(page):
    return page.locator(".findings a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")


def test_each_exhibit_that_explains_a_finding_is_there(learner):
    page = learner().open("#own?guess=skip")
    found = links(page)
    assert found == ["#border?padding=zero", "#pixels?stride=2", "#forgets"]
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
        for guess in ("skip", "surer"):
            page = one.open(f"#own?guess={guess}")
            assert "OSError: no <b>disk</b>" in page.inner_text(".failed")
            assert page.inner_text(".sentence") == words("en")["own.failed"]
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
    assert words("en")["page.gone"] in page.inner_text(".failed")
    one.context.set_offline(False)
    page.keyboard.press("ArrowDown")
    page.locator(".failed").wait_for(state="detached")
    one.context.close()


def test_a_server_that_is_gone_before_the_room_is_opened_is_a_sentence_too(chromium, address):
    one = Learner(chromium, address)
    page = one.open("#pool?guess=skip")
    one.context.set_offline(True)
    for where in ("#own", "#drag"):  # neither is loaded yet
        page.evaluate("(to) => { location.hash = to }", where)
        page.wait_for_function("(id) => location.hash.startsWith(id)", arg=where)
        page.locator(".failed").wait_for()
        assert words("en")["page.gone"] in page.inner_text(".failed")
        assert words("en")["own.loading"] not in page.inner_text("main")
    page.evaluate("location.hash = '#pool?guess=skip'")
    page.locator(".stage.pool, .stage").first.wait_for()
    page.locator(".tools button").first.click()  # Korean words cannot be had any more: the English ones stay
    page.wait_for_timeout(300)
    assert page.inner_text("h1") == words("en")["pool.title"]
    one.context.set_offline(False)
    page.evaluate("location.hash = '#drag'")
    page.wait_for_selector("html[data-ready=drag]")
    page.locator(".failed").wait_for(state="detached")
    page.locator(".tools button").first.click()
    page.wait_for_function(
        "(title) => document.querySelector('h1')?.innerText === title", arg=words("ko")["drag.title"]
    )
    one.context.close()


def test_on_a_phone_the_answer_stands_beside_the_picture_however_long_the_names_are(chromium, tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (80 * i, 90, 20)).save(tmp_path / "photos" / f"{i}.png")
    name = "class" + "_of_a_very_long_name" * 4
    code = (
        "import torch\n\n\nclass Net(torch.nn.Module):\n    input_size = (3, 16, 16)\n"
        f"    labels = ['{name}'] * 9\n\n"
        "    def forward(self, x):\n        return x.flatten(1)[:, :9]\n"
    )
    where = tmp_path / ("a_file_of_a_long_name" * 6 + ".py")
    where.write_text(code)
    with server(0, Room(lambda: opened(f"{where}:Net", str(tmp_path / "photos")))) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        one = Learner(chromium, serving.address, width=390)
        page = one.open("#own?guess=skip&dx=1")
        answered(page)
        for given in ("#own", "#own?guess=skip&dx=1"):
            one.open(given)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            boxes = [page.locator(f".own .pair > {of}").bounding_box() for of in (".picture", ".glance")]
            assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
            assert boxes[0]["y"] <= boxes[1]["y"] < boxes[0]["y"] + boxes[0]["height"]
        assert page.inner_text(".glance b") == page.inner_text(".answer b")
        assert one.complaints == []
        one.context.close()
        serving.shutdown()
        thread.join()


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
