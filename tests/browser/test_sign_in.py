"""Signing in to a page that needs a token, and what each role finds there."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep
from tests.browser.test_accessibility import check
from tests.web_access import tokens

OPERATOR, VIEWER = "the operator's", "the viewer's"


class Secrets:
    """The tokens, which a test may replace."""

    operator, viewer = OPERATOR, VIEWER


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def guarded(secrets: Secrets) -> Iterator[Feed]:
    access = tokens(lambda: secrets.operator, lambda: secrets.viewer)
    with Feed("demo", access=access) as feed:
        yield feed


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_viewer_watches_and_an_operator_records(page: Page, guarded: Feed) -> None:
    page.goto(guarded.server.url)
    expect(page).to_have_url(f"{guarded.server.url}/signin")
    check(page, "sign in")
    sign_in(page, "a wrong one")
    expect(page.get_by_role("alert")).to_have_text("Wrong token.")
    keep(page, "sign-in")
    sign_in(page, VIEWER)
    expect(page.locator(".box:visible")).to_have_count(3, timeout=AWAY)
    expect(page).to_have_url(f"{guarded.server.url}/")
    for command in ("record", "blur"):
        expect(page.locator(f"[data-do={command}]")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator("#toast")).to_contain_text("Sign in with the operator's token")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{guarded.server.url}/signin")
    # As it may stand in a message: the address is without it at once.
    page.goto(f"{guarded.server.url}/?token={OPERATOR}")
    expect(page).to_have_url(f"{guarded.server.url}/")
    page.locator("[data-do=record]").click()
    expect(page.locator(".mark.recording")).to_be_visible(timeout=AWAY)
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_a_link_on_another_site_leads_to_the_page(page: Page, guarded: Feed) -> None:
    """The browser leaves a Strict cookie out of the first request from elsewhere."""
    page.goto(guarded.server.url)
    sign_in(page, VIEWER)
    expect(page.locator(".box:visible")).to_have_count(3, timeout=AWAY)
    page.goto("data:text/html,<title>elsewhere</title>")
    page.evaluate("url => { location.href = url; }", f"{guarded.server.url}/")
    expect(page.locator(".box:visible")).to_have_count(3, timeout=AWAY)


def test_a_replaced_token_ends_the_open_page(
    browser: Browser, guarded: Feed, secrets: Secrets
) -> None:
    # Its own page: Chromium's console tells of the refused connection.
    page = browser.new_page()
    page.goto(guarded.server.url)
    sign_in(page, VIEWER)
    expect(page.locator(".box:visible")).to_have_count(3, timeout=AWAY)
    secrets.viewer = "another"
    expect(page).to_have_url(f"{guarded.server.url}/signin", timeout=AWAY)
    page.close()
