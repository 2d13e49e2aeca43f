"""What the browser tests share: how to open the page, what is seen on it, what it is told."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.feed import Feed

OUTPUT = Path(__file__).parents[1] / "output"
AWAY = 15_000
SEEN = """stream => {
  const tile = document.querySelector(`.tile[data-stream="${stream}"]`);
  const view = tile.querySelector('canvas').getBoundingClientRect();
  const boxes = [...tile.querySelectorAll('.box')].map((box) => {
    const at = box.getBoundingClientRect();
    return [Number(box.dataset.track), box.dataset.label, at.x - view.x, at.y - view.y,
            at.width, at.height];
  });
  const kept = tile.querySelectorAll('.box[data-kept=true]').length;
  // A tile that was hidden since the page was opened has had no frame yet.
  return {seq: Number(tile.dataset.seq ?? -1), width: view.width, boxes, kept};
}"""


def open_page(page: Page, feed: Feed, boxes: int = 3, at: str = "") -> None:
    """Open the page and wait for its first boxes; `at` is what follows the address."""
    page.goto(feed.server.url + at)
    expect(page.locator(".box:visible")).to_have_count(boxes, timeout=AWAY)


def seen(page: Page, stream: str = "demo") -> dict[str, Any]:
    """Return the tile's frame, the width of its picture, and its boxes, in CSS pixels.

    `seq` is -1 before the first frame. `kept` is how many of the boxes are those of an
    earlier frame.
    """
    found: dict[str, Any] = page.evaluate(SEEN, stream)
    return found


def wait_for_picture_after(page: Page, seq: int, stream: str = "demo") -> None:
    """Wait for a later frame of the stream in its tile."""
    page.wait_for_function(
        "([stream, seq]) => "
        "Number(document.querySelector(`.tile[data-stream=${stream}]`).dataset.seq) > seq",
        arg=[stream, seq],
    )


def keep(page: Page, name: str, full: bool = True) -> None:
    """Keep a screenshot for a person to look at."""
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png", full_page=full)


def hide(page: Page, hidden: bool) -> None:
    """Make the page believe that its tab is hidden: a headless browser has no tabs to hide."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )
