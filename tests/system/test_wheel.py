"""The wheel in its own environment, used from a folder far from the checkout."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emostream.shared.shipped_files import ROOT, config_names
from tests.system.conftest import wait_until
from tests.unit.videos import Clip
from tests.wheels import build_wheel, make_environment, tracked

pytestmark = pytest.mark.heavy

FOLDERS = ("emostream/", "services/", "shared/", "models/", "configs/", "docs/schemas/")
# What is about the checkout: how the models came to be, and what writes the schemas.
LEFT_OUT = {"models/EXPERIMENTS.md", "models/training.ipynb", "docs/schemas/generate.py"}
# In the folder that emostream is used from: nothing of it may be imported.
LOCAL = ("models.py", "services.py", "shared/__init__.py", "queue.py", "emostream/__init__.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, which is built from the tracked files."""
    return build_wheel(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and other packages from this one's."""
    folder = tmp_path_factory.mktemp("environment")
    programs = make_environment(folder)
    python = programs / "python"
    words = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    # A folder that a .pth file names is searched, but .pth files in it, as that of the checkout's
    # editable install, do not count.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of names that are modules here, as the working folder."""
    for name in LOCAL:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('imported from the working folder')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(environment: Path, *words: str) -> str:
    """Run the `emostream` command, which must succeed, and return what it prints."""
    done = subprocess.run(
        [str(environment / "emostream"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_what_is_tracked_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    wanted = {name for name in tracked() if name.startswith(FOLDERS)} - LEFT_OUT
    wanted |= {"docs/configuration.md"}
    assert names == {f"emostream/{name.removeprefix('emostream/')}" for name in wanted}


def test_configurations_go_by_name(environment: Path, elsewhere: Path) -> None:
    for name in config_names():
        said = run(environment, "recorder", "--config", name, "--check-config")
        assert re.fullmatch(rf"{environment.parent}/lib/.+/configs/{name}.toml: good\n", said)


def test_the_weights_are_there(environment: Path, elsewhere: Path) -> None:
    lines = run(environment, "models", "verify").splitlines()
    assert len(lines) == len([*(ROOT / "models" / "weights").glob("*.[kt][ef]*")])
    assert all(line.endswith(": good") for line in lines)


def test_the_library_works_beside_modules_of_the_same_names(
    environment: Path, elsewhere: Path
) -> None:
    shutil.rmtree(elsewhere / "emostream")
    (elsewhere / "queue.py").unlink()
    # Python searches the folder of a script first, so these two would rightly be taken.
    (elsewhere / "program.py").write_text(
        "from importlib.resources import files\n"
        "from emostream import load, recognize\n"
        f"print(len(recognize({str(ROOT / 'tests/average_faces.png')!r})))\n"
        "print(load().name)\n"
        "print(len([*(files('emostream.docs') / 'schemas').iterdir()]))\n"
    )
    done = subprocess.run(
        [str(environment / "python"), "program.py"], capture_output=True, text=True, check=False
    )
    faces, *rest = done.stdout.splitlines()
    assert int(faces) > 0, done.stderr
    assert (rest, done.stderr) == (["alexnet-fer", "6"], "")


@contextmanager
def display(environment: Path, folder: Path) -> Iterator[str]:
    """Run the display on free ports, and give the page's address."""
    settings = ("bind=tcp://127.0.0.1:*", "metrics=127.0.0.1:0", "page=127.0.0.1:0")
    words = [word for setting in settings for word in ("--set", f"display.{setting}")]
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [str(environment / "emostream"), "display", *words], stdout=out, stderr=out
        )

    def addresses() -> list[str]:
        return re.findall(r"serving the page on (\S+)\n", said.read_text())

    try:
        wait_until(addresses, "the page's address")
        yield addresses()[0]
    finally:
        process.terminate()
        process.wait(10)


def test_the_page_is_served(environment: Path, elsewhere: Path) -> None:
    with display(environment, elsewhere) as address:
        for path in ("/", "/main.js", "/style.css", "/icon.svg", "/plotly.min.js", "/api"):
            with urllib.request.urlopen(address + path, timeout=10) as answer:
                assert answer.status == 200
                assert answer.read()


def test_a_recording_and_a_photo_are_analyzed(environment: Path, elsewhere: Path) -> None:
    Clip(range(0, 250, 50)).write(elsewhere / "film.mp4")
    shutil.copy(ROOT / "tests/average_faces.png", elsewhere / "faces.png")
    run(environment, "analyze", "film.mp4", "faces.png")
    written = {path.name for path in (elsewhere / "analysis").rglob("*.html")}
    assert written == {"report.html", "photos.html"}


def test_the_doctor_and_the_bench_need_no_checkout(environment: Path, elsewhere: Path) -> None:
    done = subprocess.run(
        [str(environment / "emostream"), "doctor", "--json", "recorder"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (packages,) = [row for row in json.loads(done.stdout)["findings"] if row["check"] == "packages"]
    assert packages["status"] == "OK", packages
    run(environment, "bench", "--runs", "1", "--seconds", "2", "--warm-up", "0")
