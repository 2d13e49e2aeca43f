"""Takes the screenshot of the page for README.md and docs/page.md.

    python -m benchmarks.page_picture --out docs/page.png

The default pipeline runs the demo; the screenshot is taken at a frame with three expressions. On a
busy machine, the page reports skipped work, and no screenshot is taken: try again later.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.shared.config import load
from emostream.shared.shipped_files import ROOT

FRAME = 1300  # of the demo
WIDTH, HEIGHT = 1440, 900
BUSY = ".tile :text('analyzing'), #stages [data-state=overloaded]"
REACHED = "seq => Number(document.querySelector('.tile[data-stream=demo]')?.dataset.seq) >= seq"


def take(page: Page, url: str, out: Path) -> None:
    """Write the screenshot when the page shows the frame; fail if the page reports overload."""
    page.goto(url)
    page.wait_for_function(REACHED, arg=FRAME, timeout=120_000)
    busy = page.locator(BUSY)
    if busy.count():
        raise SystemExit(f"no picture: the machine is busy ({busy.first.inner_text()})")
    page.screenshot(path=out)


def main() -> None:
    """Start the pipeline and a browser, and take the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("docs/page.png"))
    arguments = parser.parse_args()
    config = load(ROOT / "configs" / "default.toml", [])
    with TemporaryDirectory() as folder, Pipeline(config, Path(folder)) as pipeline:
        pipeline.wait_ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark"
            )
            take(page, f"http://{pipeline.config.display.page}", arguments.out)
            browser.close()


if __name__ == "__main__":
    main()
