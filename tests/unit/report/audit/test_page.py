import base64
import hashlib
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from seen import Seen, attacks, leaves
from shiftproof.report import write_page
from shiftproof.report.audit.page import render


def test_the_parser_sees_attacks_and_addresses(made):
    naive = f"<h1>{made.HOSTILE}</h1><img src='https://example.org/x.png'>"
    assert len(attacks(naive)) == 3
    assert leaves(naive) == ["x", "https://example.org/x.png"]


def test_a_page_holds_all_that_it_needs(every_kind, page_of):
    html = page_of(every_kind)
    links = {attrs["href"] for attrs in Seen(html).all("a") if not attrs["href"].startswith("#")}
    assert set(leaves(html)) == links  # references to papers, which a reader may follow
    assert "url(" not in html[: html.index("</style>")]
    assert "@import" not in html


def test_hostile_names_are_text(page_of, made):
    html = page_of("hostile")
    assert attacks(html) == []
    assert made.HOSTILE in Seen(html).words
    assert "{{ 7 * 7 }}" in Seen(html).words  # nor are they templates
    scripts, benign = Seen(html).all("script"), Seen(page_of("small")).all("script")
    assert len(scripts) == len(benign) == 3


def test_the_policy_admits_the_pages_own_scripts_and_style_only(page_of):
    seen = Seen(page_of("small"))
    (policy,) = [a["content"] for a in seen.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = set(re.findall(r"'(sha256-[^']+)'", policy))

    def digest(text):
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    run = [text for tag, attrs, text in seen.raw if attrs.get("type") != "application/json"]
    assert {digest(text) for text in run} == allowed
    assert digest(run[-1] + " ") not in allowed
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any("style" in attrs for _, attrs in seen.tags)  # which the policy would forbid


def test_the_charts_rows_come_through_as_they_are(page_of, record_of, made):
    (payload,) = [t for _, attrs, t in Seen(page_of("hostile")).raw if attrs.get("type") == "application/json"]
    layers = json.loads(payload)["figures"][-1]["columns"]["layer"]
    assert layers == [layer.name for layer in record_of("hostile").layers]
    assert "<" not in payload


def test_headings_names_and_pictures_are_in_order(every_kind, page_of):
    seen = Seen(page_of(every_kind))
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert seen.all("html")[0]["lang"] == "en"
    assert all(attrs.get("alt") for attrs in seen.all("img"))
    ids = [attrs["id"] for _, attrs in seen.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {attrs["href"][1:] for attrs in seen.all("a") if attrs["href"].startswith("#")}
    assert targets <= set(ids)
    labels = {name for _, attrs in seen.tags for name in (attrs.get("aria-labelledby") or "").split()}
    assert labels <= set(ids)
    plots = [attrs for attrs in seen.all("div") if attrs.get("class") == "plot"]
    assert all(attrs["role"] == "img" and attrs["aria-label"].endswith(".") for attrs in plots)


def test_the_figures_are_there(page_of, record_of):
    text = Seen(page_of("whole")).words
    for words in (
        "timm:resnet18.a1_in1k",
        "85.74 %",
        "83.13 – 88.35 %",
        "Lowest 74.21 % at dy 7, dx 7",
        "layer1.0.conv2d0",
        "space suit → military uniform",
        "fell by 71.0 points",
        "dy −7, dx 3",
        "7 px up, 3 px right",
        "label: espresso",
        "the Bayesian bootstrap over clusters",
        "1.03 per view",
        "torch 2.15.0",
        "Kauderer-Abrams 2017",
        record_of("whole").model.sha256,
    ):
        assert words in text, words


def test_pictures_are_inside_and_small_ones_are_enlarged_by_pixels(page_of, record_of):
    for kind, small in (("small", True), ("whole", False)):
        images, record = Seen(page_of(kind)).all("img"), record_of(kind)
        kept = [base64.b64decode(attrs["src"].split(",")[1]) for attrs in images]
        assert kept == [record.pictures[name] for w in record.witnesses for name in (w.picture, w.moved)]
        assert all((attrs.get("class") == "pixels") == small for attrs in images)
        assert {attrs["width"] for attrs in images} == {"28" if small else "224"}


def test_a_picture_that_was_not_kept_or_is_no_picture(record_of):
    from shiftproof.report import render

    record = record_of("small")
    name = record.witnesses[0].picture
    html = render(replace(record, pictures={name: b"<svg onload=alert(1)>"}))
    assert Seen(html).all("img") == []
    assert html.count("the picture was not kept") == 2 * len(record.witnesses)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("empty", "There is no map, because the record has no figures for single moves."),
        (
            "empty",
            "There is no layer profile: the layers of this kind of model cannot be seen.",
        ),
        ("empty", "There are no witnesses, because no move of any picture changed an answer."),
        ("dense", "There are no witnesses, because the model answers with a mask and not with one class."),
        ("ring", "All moves have (nearly) the same length, so there is no radial curve."),
        ("path", "All moves lie on one line."),
        ("unlabelled", "none: only the model's answers are compared with each other"),
        ("bad", "3 items could not be used and were skipped"),
        ("bad", "photos/broken-2.jpg"),
    ],
)
def test_what_is_missing_is_said(kind, sentence, page_of):
    assert sentence in Seen(page_of(kind)).words
    assert sentence not in Seen(page_of("whole")).words


def test_pages_stay_of_a_sensible_size(page_of):
    assert len(page_of("empty")) < 60_000  # no charts, no chart library
    assert 800_000 < len(page_of("small")) < 1_500_000


def test_the_page_is_written_beside_and_renamed(tmp_path, record_of, page_of):
    (tmp_path / "index.html").write_text("old")
    path = write_page(record_of("empty"), tmp_path)
    assert path == tmp_path / "index.html"
    assert path.read_text("utf-8") == page_of("empty")
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_the_report_costs_nothing_until_it_is_asked_for():
    loaded = "import sys, shiftproof.report; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "shiftproof.report.audit.page" in modules
    assert not {"torch", "altair", "vl_convert", "jinja2", "numpy"} & set(modules)


def test_control_characters_do_not_reach_the_page(record_of):
    whole = record_of("whole")
    page = render(replace(whole, model=replace(whole.model, word="net\x1b[31m\x07.pt2")))
    assert "\x1b" not in page
    assert "\x07" not in page
    assert r"net\x1b[31m\x07.pt2" in page
