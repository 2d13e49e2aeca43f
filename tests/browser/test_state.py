"""Health, the loss sum, the session's shares, and that a face keeps its color."""

import re

from playwright.sync_api import Browser, Page, expect

from emostream.services.display.schema import Drop, Loss, PathCounts, StageState
from emostream.shared.colors import COLORS
from emostream.shared.config import Config, Display, Security
from tests.browser.feed import Feed
from tests.browser.seen import AWAY, keep, open_page

# All at one moment: the page continues while a test looks from one to the next.
BADGES = "all => all.map(one => [one.innerText, getComputedStyle(one).backgroundColor])"
BOXES = (
    "all => all.map(one => "
    "[one.querySelector('.badge').innerText, getComputedStyle(one).borderTopColor])"
)
STAGES = ("capture", "detector", "classifier", "recorder", "display")


def stages(**states: tuple[str, str]) -> list[StageState]:
    """Return what all stages say; `states` are those that are not ready, with the reason."""
    told = []
    for port, stage in enumerate(STAGES, 9101):
        state, reason = states.get(stage, ("ready", ""))
        fps = None if state in ("away", "down") else 24.9
        told.append(StageState(stage, f"127.0.0.1:{port}", state, reason, fps))  # type: ignore[arg-type]
    return told


def test_of_several_classifiers_each_is_named_with_its_address(page: Page, feed: Feed) -> None:
    second = StageState("classifier", "127.0.0.1:9203", "ready", "", 24.9)
    feed.report(stages=[*stages(), second])
    open_page(page, feed)
    names = page.locator("#stages li[data-stage=classifier] b")
    expect(names).to_have_text(["classifier 127.0.0.1:9103", "classifier 127.0.0.1:9203"])
    expect(page.locator("#stages li[data-stage=detector] b")).to_have_text("detector")


def test_each_stages_health_is_a_sign_a_word_and_a_reason(page: Page, feed: Feed) -> None:
    feed.report(stages=stages(detector=("not ready", "no input for 3.2 s")))
    open_page(page, feed)
    items = page.locator("#stages li")
    expect(items).to_have_count(5)
    expect(items.first).to_contain_text("capture")
    expect(items.first).to_contain_text("ready")
    expect(items.first).to_contain_text("25/s")
    detector = page.locator("#stages li[data-stage=detector]")
    expect(detector).to_have_attribute("data-state", "not ready")
    expect(detector.locator(".sign")).to_have_text("!")
    expect(detector.locator(".word")).to_have_text("not ready")
    expect(detector.locator(".more")).to_be_hidden()
    detector.focus()
    expect(detector.locator(".more")).to_be_visible()
    expect(detector.locator(".more")).to_contain_text("127.0.0.1:9102: no input for 3.2 s")
    keep(page, "not-ready")


def test_a_stage_that_is_down_shows_as_such(page: Page, feed: Feed) -> None:
    feed.report(stages=stages(detector=("down", "down: exited with code 1")))
    open_page(page, feed)
    detector = page.locator("#stages li[data-stage=detector]")
    expect(detector.locator(".sign")).to_have_text("✕")
    expect(detector.locator(".word")).to_have_text("down")
    detector.focus()
    expect(detector.locator(".more")).to_contain_text("down: exited with code 1")


def test_a_classifier_that_is_away_shows_as_such_and_recovers(page: Page, feed: Feed) -> None:
    feed.report(stages=stages())
    open_page(page, feed)
    feed.answering = False
    feed.report(stages=stages(classifier=("away", "connection refused")))
    classifier = page.locator("#stages li[data-stage=classifier]")
    expect(classifier.locator(".word")).to_have_text("away", timeout=AWAY)
    expect(page.locator(".notice")).to_contain_text("stale", timeout=AWAY)
    expect(page.locator(".box")).to_have_count(0)
    expect(page.locator(".face")).to_have_count(0)
    expect(page.locator("#faces-part .hint")).to_contain_text("stale")
    expect(page.locator(".figures")).to_contain_text("frames/s")
    keep(page, "stale")
    feed.answering = True
    feed.report(stages=stages())
    expect(page.locator(".notice")).to_have_count(0, timeout=AWAY)
    expect(page.locator(".box")).to_have_count(3)
    expect(page.locator(".face")).to_have_count(3)
    expect(classifier.locator(".word")).to_have_text("ready")


def test_the_tile_and_the_health_panel_say_that_a_standby_answers(page: Page, two: Feed) -> None:
    accounts = [PathCounts(name, "emotions", 100, 100, [], [], 0) for name in ("door", "garden")]
    two.report(stages=stages(), accounts=accounts)
    open_page(page, two, boxes=6)
    page.get_by_role("button", name="Details").click()
    heading = page.locator("#health h3").first
    expect(heading).to_have_text("door", timeout=AWAY)
    expect(page.locator(".notice")).to_have_count(0)
    two.standby = True
    notice = page.locator(".tile[data-stream=door] .notice")
    expect(notice).to_have_text(
        "Answered by a standby: the active classifier is not responding", timeout=AWAY
    )
    expect(heading).to_have_text(
        "door, answered by a standby: the active classifier is not responding"
    )
    expect(page.locator(".tile[data-stream=door] .box")).to_have_count(3)
    keep(page, "standby-details")
    page.keyboard.press("Escape")
    keep(page, "standby")
    two.standby = False
    expect(page.locator(".notice")).to_have_count(0, timeout=AWAY)


def test_the_loss_sum_adds_up_and_opens_into_its_parts(page: Page, feed: Feed) -> None:
    drops = [Drop("detector", "stale", 9)]
    lost, killed = [Loss("classifier", 3)], [Loss("detector", 7)]
    feed.report(
        accounts=[
            PathCounts("demo", "emotions", 2519, 2498, drops, lost, 2, killed),
            PathCounts("demo", "pixels to display", 2512, 2512, [], [], 0),
        ]
    )
    open_page(page, feed)
    account = page.locator(".account summary")
    expect(account).to_have_text(
        "2,519 captured = 2,498 shown + 9 dropped (detector: stale) + 3 lost "
        "+ 7 lost with a process (detector) + 2 in flight"
    )
    account.click()
    rows = page.locator(".account tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("3 before classifier")
    expect(rows.nth(0)).to_contain_text("7 detector")
    expect(rows.nth(1)).to_contain_text("frames to this page")
    box = page.locator(".account .more").bounding_box()
    assert box and box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 1440
    keep(page, "loss")
    feed.report(accounts=[PathCounts("demo", "emotions", 100, 103, [], [], -3)])
    expect(account).to_have_text("100 captured = 103 shown − 3 in flight")
    expect(rows).to_have_count(1)


def test_a_face_has_one_color_everywhere_and_keeps_it(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#events li").first).to_be_visible(timeout=AWAY)
    before = badges(page)
    assert len(set(before.values())) == 3
    assert not set(before.values()) & {rgb(color) for color in COLORS.values()}
    for number, color in page.locator(".box").evaluate_all(BOXES):
        assert before[number] == color
    for place in ("#faces .badge", "#events .badge"):
        for number, color in page.locator(place).evaluate_all(BADGES):
            assert before[number] == color, place
    page.reload()
    expect(page.locator(".box")).to_have_count(3, timeout=AWAY)
    assert badges(page) == before


def badges(page: Page) -> dict[str, str]:
    """Return each face's color by its number."""
    return dict(page.locator(".box .badge").evaluate_all(BADGES))


def rgb(color: str) -> str:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return f"rgb({red}, {green}, {blue})"


def test_the_sessions_shares_have_names_and_count_each_moment_once(page: Page, feed: Feed) -> None:
    open_page(page, feed)
    expect(page.locator("#shares-part li").first).to_be_visible(timeout=AWAY)
    expect(page.locator("#shares-part h2")).to_contain_text("since")
    expect(page.locator("#shares")).to_have_attribute("aria-label", re.compile(r"[a-z]+ \d+%"))
    page.keyboard.press("k")
    # The server sends segments as they grow, and all of its memory after a new connection.
    told = page.evaluate(
        """async () => {
          const { Shares } = await import('/shares.js');
          const section = document.getElementById('shares-part').cloneNode(true);
          const styleOf = (label) => ({label, color: '#ffffff', ink: '#000000'});
          const settings = {history_ms: 300000, styleOf, labels: () => ['joy', 'fear']};
          const shares = new Shares(section, settings, {onChange() {}, shows: () => true});
          shares.select('demo');
          shares.add({demo: [[1, 0, 1000, 'joy', .9], [1, 1000, 2000, 'fear', .9]]});
          shares.add({demo: [[1, 1000, 4000, 'fear', .9]]});
          shares.add({demo: [[1, 1000, 5000, 'fear', .9]]});
          shares.draw();
          return [...section.querySelectorAll('li')].map((item) => item.textContent);
        }"""
    )
    assert told == ["joy20%", "fear80%"]


def test_a_viewer_too_many_is_told_so(browser: Browser) -> None:
    config = Config(display=Display(max_viewers=1))
    with Feed("demo", config=config) as feed:
        first, second = browser.new_page(), browser.new_page()
        first.goto(feed.server.url)
        expect(first.locator("body")).to_contain_text("live")
        second.goto(feed.server.url)
        expect(second.locator("body")).to_contain_text("too many viewers, retrying")
        first.close()
        second.close()


def test_the_page_says_where_nothing_is_encrypted(page: Page) -> None:
    said = page.get_by_text("not encrypted", exact=True)
    with Feed("demo", config=Config(security=Security(mode="disabled"))) as feed:
        open_page(page, feed)
        expect(said).to_be_visible()
        keep(page, "not-encrypted")
    with Feed("demo") as feed:
        open_page(page, feed)
        expect(said).to_be_hidden()
