"""The files of the page: colours from one source, vendored files as published, and words in every language."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from shiftproof.learning.lean import lean
from shiftproof.learning.pages import SITE, files, languages, palette, words
from shiftproof.records.colours import PALETTE

ROOT = Path(__file__).parents[3]
VENDOR = SITE / "vendor"
SOURCES = json.loads((VENDOR / "SOURCES.json").read_text())
NAMES = re.compile(r"\{(\w+)\}")
# after a number or a name these depend on how it is read aloud
PARTICLES = re.compile(r"\}[”’\"')]*(?:은|는|이|가|을|를|와|과|로|으로|라|이라|라고|이라고|야|아|랑|이랑)(?![가-힣])")


def test_the_colours_are_those_of_all_reports():
    style = palette()
    for name, (light, dark) in PALETTE.items():
        assert f"--{name}:{light};" in style
        assert style.count(f"--{name}:{dark};") >= 2
    assert not re.search(r"#[0-9a-f]{3,6}\b", "".join(p.read_text() for p in SITE.rglob("*.css")))


@pytest.mark.parametrize("name", SOURCES)
def test_a_vendored_file_is_as_published(name):
    row = SOURCES[name]
    held = (VENDOR / name).read_bytes()
    assert hashlib.sha256(held).hexdigest() == row["sha256"]
    assert (VENDOR / row["text"]).stat().st_size > 500
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"][f"node_modules/{row['package']}"]
    assert locked["version"] == row["version"]
    npm = ROOT / "node_modules" / row["package"] / row["path"]
    if npm.exists():
        assert held == npm.read_bytes()


def test_every_vendored_file_has_its_source():
    assert {p.name for p in VENDOR.glob("*.mjs")} == set(SOURCES)


def test_no_file_names_a_registry():
    lock = (ROOT / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "http" not in "".join(line for line in lock.splitlines() if "funding" not in line and '"url"' not in line)


def test_all_languages_say_the_same_things():
    english = words("en")
    assert languages()[0] == "en"
    assert "ko" in languages()
    listed = re.search(r"LANGUAGES = \{(.*?)\}", (SITE / "words.js").read_text()).group(1)
    assert set(re.findall(r"(\w+):", listed)) == set(languages())
    for language in languages():
        said = words(language)
        assert set(said) == set(english)
        for key, text in said.items():
            assert set(NAMES.findall(text)) == set(NAMES.findall(english[key])), (language, key)


def test_no_digit_is_typed_in_a_sentence():
    for language in languages():
        assert [k for k, text in words(language).items() if re.search(r"\d", NAMES.sub("", text))] == []


def hanging(text: str) -> bool:
    """Whether a particle stands behind a value, so that it would be wrong for half of the values."""
    return PARTICLES.search(text) is not None


def test_korean_has_no_particle_that_depends_on_a_value():
    assert hanging("{digit}는 움직입니다")
    assert hanging("숫자 “{digit}”를 옮깁니다")
    assert not hanging("{n}가지 이동, {n}번, {a}입니다")
    assert [k for k, text in words("ko").items() if hanging(text)] == []
    assert [k for k, text in words("ko").items() if re.search(r"[은을이]\([는를가]\)", text)] == []


# one word for one thing: what else a teacher would say, or would not
ONE_WORD = {
    "화소": "픽셀",
    "걸음": "시점",
    "완전연결 층": "완전연결층",
    "시험 숫자": "테스트 숫자",
    "학습 그림": "학습 데이터",
}
# behind the first use in an exhibit stands the English term, by which the notes and the books are searched
TERMS = {
    "불변": "invarian", "등변": "equivarian", "합성곱": "convolution", "커널": "kernel", "필터": "filter",
    "특징 맵": "feature map", "맥스 풀링": "max pooling", "가중치 공유": "weight sharing",
    "완전연결": "FC|fully connected", "펼치기": "flatten", "소프트맥스": "softmax", "로짓": "logit",
    "스트라이드": "stride", "패딩": "padding", "에일리어싱": "aliasing", "정상성": "stationarity",
    "국소성": "locality", "수용 영역": "receptive field", "데이터 증강": "augmentation", "캡슐": "capsule",
}  # fmt: skip


def test_korean_has_one_word_for_one_thing():
    assert [k for k, text in words("ko").items() if any(other in text for other in ONE_WORD)] == []


def test_the_english_term_stands_in_brackets_at_its_first_use_in_each_korean_exhibit():
    by_exhibit: dict[str, list[str]] = {}
    for key, text in words("ko").items():
        if not key.endswith(".title") or key.count(".") > 1:  # the name of an exhibit, which its question explains
            by_exhibit.setdefault(key.split(".")[0], []).append(text)
    bare = {
        (exhibit, term)
        for exhibit, texts in by_exhibit.items()
        if exhibit not in {"room", "predict", "take", "number"}
        for term, english in TERMS.items()
        for first in [next((t for t in texts if term in t), None)]
        if first and not re.search(rf"{term}[^()]*\(?[^()]*(?:{english})", first)
    }
    assert bare == set()


def used() -> tuple[set[str], list[str]]:
    """The keys that the site's source names, and those that it makes from the name of an exhibit or a room, as patterns."""
    source = "".join(p.read_text() for p in SITE.rglob("*.js"))
    exact = set(re.findall(r'"([a-z][\w-]*(?:\.[\w-]+)+)"', source))
    made = [
        re.sub(r"\$\{[^}]*\}", r"[\\w-]+", k).replace(".", r"\.").replace(r"[\\w-]", r"[\w-]")
        for k in re.findall(r"`((?:[\w-]|\$\{[^}`]*\})+(?:\.(?:[\w-]|\$\{[^}`]*\})+)+)`", source)
    ]
    return exact, made


def test_no_words_are_left_over():
    exact, made = used()
    left = [
        k
        for k in words("en")
        if k not in exact
        and not any(re.fullmatch(m, k) for m in made)
        and k not in {"noscript"}
        and not k.startswith("minutes")
        and k != "step"
    ]
    assert left == []
    assert not any(re.fullmatch(m, "drag.nobody.says.this") for m in made)


def test_what_is_sent_has_no_comments_and_all_of_the_code():
    assert lean('const a = "x"; /** a\n * b */ const b = 1;\n  // no\n\n  f(a); // no') == 'const a="x";const b=1;f(a);'
    assert lean("a\n(b)\nif (c)\n  d\n  .e()\nelse {\n  f\n}\ng") == "a\n(b)\nif(c)\nd.e()\nelse{f}\ng"
    assert lean('f("a, // b", /[/ "]+ /g, a / b); g(`//  c ${ d + `/* e */` }`);') == (
        'f("a, // b",/[/ "]+ /g,a /b);g(`//  c ${d+`/* e */`}`);'
    )
    assert lean("x = a++ + ++b - -c; return /a b/.test(x)") == "x=a++ + ++b- -c;return /a b/.test(x)"
    assert lean("html`<p>\n  a\n  ${b}\n  <b\n    c>\n</p>`") == "html`<p>a\n${b}<b\nc></p>`"  # as htm reads it
    held = files()
    for p in SITE.rglob("*.js"):
        sent, source = held[p.relative_to(SITE).as_posix()].decode(), p.read_text()
        exports = re.findall(r"^export (?:const|function|async function) (\w+)", source, re.M)
        assert exports == re.findall(r"(?:^|[;}])export (?:const|function|async function) (\w+)", sent, re.M)


def test_every_file_of_the_page_is_text():
    for path, held in files().items():
        assert held.decode(), path
