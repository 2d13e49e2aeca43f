"""A page that needs a token: signing in and out, programs, roles, and who is let nowhere."""

import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from emostream.services.display.web.access import Access
from emostream.shared.http_access import HttpAccess
from emostream.shared.token_files import Role, TokenFile
from tests.bus.site import Site, emotion, serving
from tests.web_access import access

WAIT = 30.0
RECORD = '{"stream": "cam1", "command": "record", "arguments": {"on": true}}'
OPERATOR, VIEWER = "the operator's", "the viewer's"
HTML = {"accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving(access(OPERATOR, VIEWER, guarded=True)) as site:
        site.state.add_results(emotion("fear"))
        yield site


@pytest.fixture
def browser(site: Site) -> Iterator[httpx2.Client]:
    """A client that keeps cookies, and asks for pages as a browser does."""
    with httpx2.Client(base_url=site.server.url, headers=HTML, trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def sign_in(browser: httpx2.Client, token: str, **headers: str) -> httpx2.Response:
    return browser.post("/signin", data={"token": token}, headers=headers)


def watch(site: Site, **headers: str) -> Any:
    url = site.server.url.replace("http", "ws") + "/live"
    return connect(url, additional_headers=headers, proxy=None)


PATHS = (
    *("/api/state", "/events", "/settings.json", "/main.js", "/plotly.min.js", "/api/openapi.json"),
    *("//api/state", "/api/state/", "/api/./state", "/%61pi/state", "/api%2Fstate", "/API/state"),
    *("/signin/../api/state", "/signin%2F..%2Fmain.js", "/palette.css/../main.js", "/index.html"),
    *("/?token=x&token=", "/none", "/signout", "/", "/api", "/live", "//signin", "/signin/"),
)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_told(site: Site, path: str) -> None:
    host, port = site.server.url.removeprefix("http://").split(":")
    for method in ("GET", "HEAD", "POST", "OPTIONS", "PUT"):
        # As it is written, which a library would change.
        with socket.create_connection((host, int(port)), timeout=WAIT) as client:
            words = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            client.sendall(words.encode())
            answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        status = int(answer.split()[1])
        assert status in (401, 303), answer
        assert (status == 303) == ("token=" in path and method == "GET"), answer
        assert "fear" not in answer
        assert "set-cookie" not in answer.lower()


def test_a_program_is_told_what_it_lacks(site: Site) -> None:
    answer = site.get("/api/state")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "Authorization: Bearer" in answer.json()["error"]
    for token in (OPERATOR, VIEWER):
        assert site.get("/api/state", **bearer(token)).json()["streams"]
        with httpx2.stream(
            "GET", site.server.url + "/events", headers=bearer(token), trust_env=False
        ) as events:
            assert events.status_code == 200


def test_a_person_is_led_to_sign_in_and_out(site: Site, browser: httpx2.Client) -> None:
    first = browser.get("/")
    assert (first.status_code, first.headers["location"]) == (303, "/signin")
    form = browser.get("/signin")
    assert 'type="password"' in form.text
    assert form.headers["cache-control"] == "no-cache"
    answer = sign_in(browser, VIEWER, origin=site.server.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/"):
        assert part in cookie
    assert "secure" not in cookie
    assert VIEWER not in cookie
    assert 'id="streams"' in browser.get("/").text
    assert browser.get("/settings.json").json()["role"] == "viewer"
    kept = dict(browser.cookies)
    assert browser.post("/signout").headers["location"] == "/signin"
    assert browser.get("/").status_code == 303
    # Also who kept the cookie is out.
    assert (
        httpx2.get(site.server.url + "/main.js", cookies=kept, trust_env=False).status_code == 401
    )


def test_a_token_in_the_url_signs_in_and_leaves_the_address(browser: httpx2.Client) -> None:
    answer = browser.get("/", params={"token": OPERATOR})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert browser.get("/settings.json").json()["role"] == "operator"


def test_a_wrong_token_is_told_in_words_and_leads_nowhere_else(site: Site) -> None:
    with httpx2.Client(base_url=site.server.url, headers=HTML, trust_env=False) as browser:
        for answer in (
            sign_in(browser, "wrong", next="https://elsewhere.example"),
            browser.get("/", params={"token": "wrong", "next": "//elsewhere.example"}),
        ):
            assert (answer.status_code, answer.headers["location"]) == (303, "/signin?wrong")
        assert "Wrong token" in browser.get("/signin?wrong").text
        assert "elsewhere" not in browser.get("/signin?next=//elsewhere.example").text
        assert not browser.cookies


def test_a_link_elsewhere_leads_to_the_page_of_who_is_signed_in(browser: httpx2.Client) -> None:
    # The browser leaves the cookie out, but not once the page itself asks again.
    answer = browser.get("/", headers={"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text


def test_another_site_can_neither_sign_in_nor_out(site: Site, browser: httpx2.Client) -> None:
    for origin in ("http://elsewhere.example", "null", "http://127.0.0.1:1"):
        assert sign_in(browser, VIEWER, origin=origin).status_code == 403
    sign_in(browser, VIEWER)
    answer = browser.post("/signout", headers={"origin": "http://elsewhere.example"})
    assert answer.status_code == 403
    assert browser.get("/main.js").status_code == 200


@pytest.mark.parametrize(("token", "status"), [(OPERATOR, 202), (VIEWER, 403), ("wrong", 401)])
def test_commands_take_the_operator(site: Site, token: str, status: int) -> None:
    assert site.post(RECORD, **bearer(token)).status_code == status
    assert len(site.commands.take_messages()) == (status == 202)


def test_a_session_gives_commands_as_its_role_allows(site: Site, browser: httpx2.Client) -> None:
    json_type = {"content-type": "application/json"}
    for token, status in ((VIEWER, 403), (OPERATOR, 202)):
        sign_in(browser, token)
        assert browser.post("/api/control", content=RECORD, headers=json_type).status_code == status
    foreign = {**json_type, "origin": "http://elsewhere.example"}
    assert browser.post("/api/control", content=RECORD, headers=foreign).status_code == 403
    form = browser.post("/api/control", data={"x": "y"})
    assert form.status_code == 403
    site.commands.take_messages()


def test_pictures_take_a_token_or_a_session(site: Site, browser: httpx2.Client) -> None:
    for headers in ({}, {"cookie": "emostream-1=x"}):
        with pytest.raises(InvalidStatus) as refused:
            watch(site, **headers)
        assert refused.value.response.status_code == 401
    sign_in(browser, VIEWER)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    for headers in (bearer(VIEWER), {"cookie": cookie}):
        with watch(site, **headers) as viewer:
            assert json.loads(viewer.recv(timeout=WAIT))["streams"]
    with pytest.raises(InvalidStatus) as refused:
        watch(site, cookie=cookie, origin="http://elsewhere.example")
    assert refused.value.response.status_code == 403


def test_an_unknown_viewer_takes_no_place(site: Site) -> None:
    before = site.viewers
    with pytest.raises(InvalidStatus):
        watch(site)
    assert site.viewers == before


def test_wrong_tokens_are_counted_and_no_token_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted: list[None] = []
    guarded = access(OPERATOR, guarded=True, count_wrong=lambda: counted.append(None))
    with caplog.at_level(logging.DEBUG), serving(guarded) as site:
        logging.getLogger("uvicorn.error").setLevel(logging.DEBUG)
        assert site.get("/api/state", **bearer("not-this-one")).status_code == 401
        with pytest.raises(InvalidStatus):
            watch(site, **bearer("not-this-one"))
        site.get("/?token=not-this-one")
        assert len(counted) == 3
        site.get("/api/state", **bearer(OPERATOR))
        site.get("/api/state")
        site.get(f"/?token={OPERATOR}")
        url = site.server.url.replace("http", "ws") + "/live?token=secret-in-url"
        with contextlib.suppress(InvalidStatus), connect(url, proxy=None):
            pass
        assert len(counted) == 3
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)
    ours = [
        r.getMessage() for r in caplog.records if r.name.split(".")[0] in ("emostream", "uvicorn")
    ]
    for secret in (OPERATOR, "not-this-one", "secret-in-url"):
        assert secret not in "\n".join(ours)


def test_a_new_token_ends_what_the_old_one_began(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("old")
    token = TokenFile(file, "display.token_file").token
    with serving(Access(HttpAccess({Role.OPERATOR: token}, is_guarded=True))) as site:
        site.state.add_results(emotion("fear"))
        browser = httpx2.Client(base_url=site.server.url, headers=HTML, trust_env=False)
        sign_in(browser, "old")
        url = site.server.url + "/events"
        with (
            watch(site, **bearer("old")) as viewer,
            httpx2.stream(
                "GET", url, headers=bearer("old"), trust_env=False, timeout=WAIT
            ) as events,
        ):
            viewer.recv(timeout=WAIT)
            file.write_text("new one")
            assert browser.get("/main.js").status_code == 401
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    viewer.recv(timeout=WAIT)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "signed out")
            # It ends as an answer should, not as a connection that broke.
            for _ in events.iter_bytes():
                pass
        browser.close()
        assert site.get("/api/state", **bearer("new one")).status_code == 200


def test_huge_headers_and_cookies_are_refused_and_nothing_breaks(site: Site) -> None:
    for headers in ({"cookie": "x" * 40_000}, bearer("x" * 40_000)):
        with contextlib.suppress(httpx2.TransportError):
            assert site.get("/api/state", **headers).status_code in (400, 401, 429)
    for cookie in ("emostream=", "a=b;;;=", "viewer.9.x.y", "\xe9", '"', "operator..."):
        sent = f"emostream-{site.server.port}={cookie}".encode("latin-1")
        url = site.server.url + "/api/state"
        assert httpx2.get(url, headers={b"cookie": sent}, trust_env=False).status_code == 401
    assert site.get("/api/state", **bearer(VIEWER)).status_code in (200, 429)
