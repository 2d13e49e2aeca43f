"""axe-core's rules (WCAG 2.2, levels A and AA) in every state of the page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.feed import Feed
from tests.browser.seen import AWAY, open_page
from tests.browser.test_state import stages

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def check(page: Page, state: str) -> None:
    """Fail with what axe finds."""
    found = Axe().run(page, options={"runOnly": RULES})
    told = [
        (one["id"], node["html"][:160], node["any"][0]["message"] if node["any"] else "")
        for one in found.response["violations"]
        for node in one["nodes"]
    ]
    assert not told, state


def test_one_stream_in_dark_and_light_with_its_dialogs(page: Page, feed: Feed) -> None:
    feed.report(stages=stages(classifier=("not ready", "no input for 3.2 s")))
    open_page(page, feed)
    expect(page.locator("#timeline .barlayer path").first).to_be_visible(timeout=AWAY)
    page.keyboard.press("k")
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        check(page, theme)
        for key in ("v", "?"):
            page.keyboard.press(key)
            expect(page.locator(":popover-open, dialog[open]")).to_have_count(1)
            check(page, f"{theme} {key}")
            page.keyboard.press("Escape")
            expect(page.locator(":popover-open, dialog[open]")).to_have_count(0)


def test_many_streams_and_a_phone(page: Page, two: Feed) -> None:
    two.report(stages=stages())
    open_page(page, two, boxes=6)
    check(page, "tiles")
    page.set_viewport_size({"width": 390, "height": 844})
    check(page, "tiles on a phone")
    page.get_by_role("button", name="Open garden").click()
    expect(page.locator("#faces-part")).to_be_visible()
    check(page, "one on a phone")


def test_words_tell_what_colors_show(page: Page, feed: Feed) -> None:
    """Roles and names as a screen reader has them."""
    open_page(page, feed)
    expect(page.get_by_role("region", name="Video")).to_be_visible()
    expect(page.get_by_role("region", name="Faces now").get_by_role("meter").first).to_be_visible()
    expect(page.get_by_role("log", name="What happened")).to_be_visible(timeout=AWAY)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("img", name="Face 1:")).to_be_visible()
    for name in page.locator(".box .name b").all():
        assert name.inner_text()
