"""What the server does for the learner's own network: it answers, audits and repairs, and refuses what makes no sense."""

import json
import threading
import time
from dataclasses import replace

import pytest

from shiftproof.learning.own import audited, found_by_check, opened
from shiftproof.learning.room import HTML, JSON, Room


@pytest.fixture(scope="module")
def own():
    return opened("builtin:digits-cnn", "digits")


def asked(room, path, **given):
    kind, body = room.get(path, given)
    assert kind == JSON
    return json.loads(body)


def started(room, what, **given):
    """The reply names the work: the page needs no other to know of it."""
    name = f"{what} {given['edge']}" + (f" {given.get('mended', '0')}" if what == "audit" else "")
    assert name in json.loads(room.post(f"own/{what}.json", given)[1])


def finished(room, name, seconds=120):
    """The work of this name once it is done."""
    until = time.monotonic() + seconds
    while (job := asked(room, "own/work.json")[name])["busy"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    return job


def test_it_opens_the_network_once_and_when_it_is_asked(own):
    calls = []
    room = Room(lambda: calls.append(1) or own)
    assert calls == []
    for _ in range(2):
        assert asked(room, "material/own.json")["model"] == "builtin:digits-cnn"
    assert calls == [1]


def test_it_answers_at_a_move(own):
    said = asked(Room(lambda: own), "own/answer.json", picture="2", edge="zero", mended="0", dy="-1", dx="3")
    (expected,) = own.answers(own.model.module, 2, "zero", [(-1, 3)])
    assert said == {"said": list(expected), "name": str(expected[0])}


@pytest.mark.parametrize(
    "given",
    [
        {"edge": "crop"},
        {"edge": "<b>"},
        {"edge": "zero", "picture": "6"},
        {"edge": "zero", "picture": "-1"},
        {"edge": "zero", "dy": "5"},
        {"edge": "zero", "dx": "1e3"},
        {"edge": "zero", "dx": "9" * 5000},
        {"edge": "zero", "dx": "0000000005"},
        {"edge": "zero", "picture": "00000000099"},
        {"edge": "zero", "mended": "2"},
        {"edge": "zero", "mended": "1"},
        {},
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(own, given):
    assert list(asked(Room(lambda: own), "own/answer.json", **given)) == ["error"]


def test_nothing_else_is_there(own):
    room = Room(lambda: own)
    for path in ("own/nothing.json", "own/audit.json", "material/digits.json", "../serve.py", ""):
        assert room.get(path, {}) is None
    for path in ("own/answer.json", "own/work.json", "material/own.json", ""):
        assert room.post(path, {}) is None


def test_an_audit_runs_beside_and_leaves_its_page(own):
    room = Room(lambda: own, ("--pretrained",))
    started(room, "audit", edge="zero")
    job = finished(room, "audit zero 0")
    assert job["done"] == job["total"] == 81 * 6
    assert job["kept"]["0 0"] == 1
    kind, page = room.get(job["page"], {})
    assert kind == HTML
    said = "shiftproof audit builtin:digits-cnn digits --limit 6 --boundary zero --max-px 4 --layers 0 --pretrained"
    assert said in page.decode()
    before = dict(job)
    started(room, "audit", edge="zero")  # asked again, it is there
    assert asked(room, "own/work.json")["audit zero 0"] == before


def test_what_is_repaired_answers_and_is_audited_too(own):
    room = Room(lambda: own)
    started(room, "repair", edge="circular")
    job = finished(room, "repair circular")
    assert job["method"] == "pose"
    assert "proved" in job["guarantee"]
    at = [
        asked(room, "own/answer.json", picture="1", edge="circular", mended="1", dy=str(d), dx="2")["said"]
        for d in (0, 3)
    ]
    assert at[0] == at[1]
    started(room, "audit", edge="circular", mended="1")
    assert finished(room, "audit circular 1")["share"] == 1


def test_several_tabs_at_once_are_told_the_same(own):
    """torch.export in two threads breaks both, or the process."""
    room, said = Room(lambda: own), []
    tabs = [threading.Thread(target=lambda: said.append(asked(room, "material/own.json"))) for _ in range(4)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert [one["check"] for one in said] == [found_by_check(own.model)] * 4


def test_audits_repairs_and_answers_at_once_do_not_disturb_each_other(own):
    room = Room(lambda: own)
    for edge in own.edges:
        started(room, "repair", edge=edge)
        started(room, "audit", edge=edge)
    while any(job["busy"] for job in asked(room, "own/work.json").values()):
        assert asked(room, "own/answer.json", edge="zero", dx="1")["said"] == list(
            own.answers(own.model.module, 0, "zero", [(0, 1)])[0]
        )
    jobs = asked(room, "own/work.json")
    assert len(jobs) == 2 * len(own.edges)
    assert [job["error"] for name, job in jobs.items() if name.startswith("audit") and "error" in job] == []
    alone = audited(own, own.model.module, "zero")
    assert {name: jobs["audit zero 0"][name] for name in alone} == alone
    assert jobs["repair circular"]["method"] == "pose"


def test_work_that_fails_says_so_and_may_be_tried_again(own):
    def broken(x):
        raise RuntimeError("out of luck")

    room = Room(lambda: own)
    started(room, "audit", edge="zero")
    finished(room, "audit zero 0")
    module = own.model.module
    hook = module.register_forward_pre_hook(lambda *_: broken(0))
    try:
        started(room, "audit", edge="circular")
        assert "out of luck" in finished(room, "audit circular 0")["error"]
    finally:
        hook.remove()
    started(room, "audit", edge="circular")
    assert "error" not in finished(room, "audit circular 0")


def test_a_network_that_cannot_be_opened_is_a_sentence(capsys):
    def fails():
        raise OSError("no disk")

    assert asked(Room(fails), "material/own.json") == {"error": "OSError: no disk"}
    assert "no disk" in capsys.readouterr().err


def test_a_camera_is_repaired_by_measuring(own):
    """The average of crops: it may be refused as no steadier, and then the reason is the answer."""
    room = Room(lambda: replace(own, edges=("crop", "circular", "zero")))
    started(room, "repair", edge="crop")
    job = finished(room, "repair crop")
    assert ("method" in job) != ("error" in job)
