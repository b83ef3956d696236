"""The server of the exhibits: its own pages to its own machine, and nothing else to anybody."""

import http.client
import json
import threading
from contextlib import closing

import pytest

from shiftproof.errors import LearnError
from shiftproof.learning.serve import LOOPBACK, server


@pytest.fixture
def serving():
    with server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def asked(serving, path, *, method="GET", **headers):
    """Status, headers and body of one request; headers by their names with _ for -."""
    with closing(http.client.HTTPConnection(*serving.server_address, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_it_answers_the_page_and_its_files(serving):
    status, headers, body = asked(serving, f"/{serving.token}/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in body
    assert b"<noscript><main" in body
    for path, kind in (
        ("app.js", "text/javascript"),
        ("vendor/preact.mjs", "text/javascript"),
        ("style.css", "text/css"),
    ):
        status, headers, _ = asked(serving, f"/{serving.token}/{path}")
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
    digits = json.loads(asked(serving, f"/{serving.token}/material/digits.json")[2])
    assert len(digits["index"]) == 10


def test_it_listens_on_loopback_only(serving):
    assert serving.server_address[0] == LOOPBACK == "127.0.0.1"
    assert serving.address.startswith(f"http://{LOOPBACK}:")


@pytest.mark.parametrize("path", ["/", "/app.js", "/x/app.js", "/{token}x/app.js", "/{token}", "{token}/app.js", "*"])
def test_without_the_token_there_is_nothing(serving, path):
    assert asked(serving, path.format(token=serving.token))[0] == 404


@pytest.mark.parametrize(
    "path", ["../serve.py", "..%2fserve.py", "%2e%2e/serve.py", "/etc/passwd", "site/app.js", "vendor/LICENSE.htm"]
)
def test_no_path_leads_out_of_the_page(serving, path):
    assert asked(serving, f"/{serving.token}/{path}")[0] == 404


def test_another_name_of_the_host_is_refused(serving):
    page, port = f"/{serving.token}/", serving.server_address[1]
    assert asked(serving, page, Host=f"localhost:{port}")[0] == 200
    assert asked(serving, page, Host=f"evil.example:{port}")[0] == 421
    assert asked(serving, page, Host="127.0.0.1")[0] == 421


def test_another_page_is_refused(serving):
    page, port = f"/{serving.token}/", serving.server_address[1]
    assert asked(serving, page, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert asked(serving, page, Origin="http://evil.example")[0] == 403
    assert asked(serving, page, Origin="null")[0] == 403


def test_nothing_can_be_sent_to_it(serving):
    """But the two requests that start work; they are read from the address, and asked by the page only."""
    for path in ("", "app.js", "own/answer.json", "own/work.json"):
        assert asked(serving, f"/{serving.token}/{path}", method="POST")[0] == 404
    for method in ("PUT", "DELETE", "PATCH"):
        assert asked(serving, f"/{serving.token}/own/audit.json", method=method)[0] == 501
    assert asked(serving, "/own/audit.json?edge=zero", method="POST")[0] == 404
    assert asked(serving, f"/{serving.token}/own/audit.json", method="POST", Origin="http://evil.example")[0] == 403
    assert asked(serving, f"/{serving.token}/own/audit.json", method="POST", Host="evil.example")[0] == 421
    assert json.loads(asked(serving, f"/{serving.token}/own/work.json")[2]) == {}


def test_the_network_answers_through_it(serving):
    status, headers, body = asked(serving, f"/{serving.token}/own/answer.json?picture=0&edge=zero&mended=0&dy=1&dx=-2")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert list(json.loads(body)) == ["said", "name"]


def test_its_policy_allows_this_origin_only(serving):
    for path in ("", "app.js", "none"):
        policy = asked(serving, f"/{serving.token}/{path}")[1]["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
        assert "unsafe" not in policy
        assert "http" not in policy


def test_a_head_has_no_body(serving):
    status, headers, body = asked(serving, f"/{serving.token}/app.js", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_each_server_has_its_own_token(serving):
    with server() as other:
        assert other.token != serving.token
        assert len(other.token) >= 20


def test_a_port_that_is_taken_is_left_alone(serving):
    port = serving.server_address[1]
    with server(port) as other:
        assert other.server_address[1] not in (0, port)


def test_a_port_that_is_not_allowed_says_what_to_do():
    with pytest.raises((LearnError, OverflowError)):
        server(70_000)
