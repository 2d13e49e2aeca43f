"""A real Chromium, and displays that show what the test gives them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.browser.feed import Feed
from tests.conftest import require_tool

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    path = require_tool("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1440 x 900 on which any complaint in the console fails the test."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if _complains(message) else None,
    )
    yield page
    page.close()
    assert not complaints


def _complains(message: ConsoleMessage) -> bool:
    # Chromium itself notes each command that the server refuses.
    refused = message.location["url"].endswith("/api/control") and "status of 40" in message.text
    # A display that the test started itself ends before the page does.
    ended = "net::ERR_CONNECTION_REFUSED" in message.text
    return message.type in ("error", "warning") and not (refused or ended)


@pytest.fixture
def feed() -> Iterator[Feed]:
    """One stream, `demo`."""
    with Feed("demo") as feed:
        yield feed


@pytest.fixture
def two() -> Iterator[Feed]:
    """The streams `door` and `garden`."""
    with Feed("door", "garden") as feed:
        yield feed
