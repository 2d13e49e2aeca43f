"""The command lines in README.md and docs/*.md: each with how it is run, or why it is not."""

import re
from fnmatch import fnmatchcase
from typing import Final

from tests.conftest import TESTS

ROOT: Final = TESTS.parent
PROGRAMS: Final = (
    *("emostream", "make", "honcho", "python", "pip", "curl", "docker", "cp", "mv", "cd"),
    *("pkill", "prometheus", "promtool"),
)
FENCED: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SHELLS: Final = ("sh", "bash", "console", "shell")
INLINE: Final = re.compile(rf"`((?:\w+=\S+ |\.venv/bin/)*(?:{'|'.join(PROGRAMS)}) [^`]+)`")
COMMENT: Final = re.compile(r"\s+#\s.*")

# Patterns of command lines (as in a shell: * is any text) that no test runs, each with the reason.
NOT_RUN: Final = {
    "docker *": "needs a Docker engine",
    "kubectl *": "needs a cluster; tests/unit/test_kubernetes.py checks what is applied",
    "sudo *": "changes the system; tests/unit/test_systemd.py checks the units",
    "python docker/k8s/keys/make_keys.py": "writes into the checkout; the tests run it in a copy",
    "pip install *": "installs into the environment, from the network",
    "*/pip install *": "installs from the network",
    "python3.11 -m venv *": "makes an environment for a peer, which is installed from the network",
    "python -m benchmarks.*": "a benchmark: takes minutes, and some need the training faces",
    "emostream bench*": "a benchmark: takes minutes",
    "emostream batch*": "starts Ray, some on a cluster; tests/system/test_batch*.py run it",
    "*emostream train*": "takes hours, and needs the training faces",
    "python -m emostream.models.answers *": "needs a net that was trained for hours",
    "python -m emostream.models.calibrate *": "needs a net that was trained for hours",
    "python -m emostream.models.mean_weights *": "needs nets that were trained for hours",
    "python -m emostream.models.demo_pictures": "writes into the checkout; needs training faces",
    "emostream evaluate*": "takes minutes, and needs the training faces or other ones with labels",
    "emostream models export alexnet-fer *": "replaces a shipped model's file; takes minutes",
    "emostream models info mine.onnx*": "needs a model of one's own",
    "emostream models fetch yunet": "downloads",
    'make run ARGS="--set classifier.model=../original/model.h5"': "needs the original's model",
    "make run CONFIG=configs/webcam.toml*": "needs a camera",
    "EMOSTREAM_CONFIG=webcam *": "needs a camera",
    "make install": "makes the environment that the tests run in",
    "make test*": "runs this test",
    "make evidence": "runs this test",
    "python -m benchmarks.fuzz *": "needs atheris, and takes minutes",
    "scp *": "needs another host; tests/system/test_remote_gpu.py runs it and the two below",
    "cd classifier && honcho start": "needs the folder that scp brings",
    "cd two-hosts/cameras && honcho start": "needs the other host",
    "pip uninstall *": "changes the environment",
    "pip wheel *": "builds the wheel; tests/wheels.py does",
    "pip install -r benchmarks/fuzz/*": "changes the environment",
    "emostream keys *": "writes into the user's home; tests/unit/test_keys.py runs each",
    "emostream healthy classifier *": "reads /etc; tests/bus/test_healthy_command.py asks stages",
    "make check": "takes minutes; the checks run next to the tests",
    "make format": "changes the checkout",
    "make coverage": "runs the tests",
    "make lock": "changes the checkout, from the network",
    "make clean": "removes the environment that the tests run in",
    "pkill *": "would reach processes that no test started",
    "python -m docs.schemas.generate": "writes into the checkout; a test compares what it writes",
}
# Names of commands in a sentence, without what they need: run with --help.
MENTIONS: Final = (
    *("emostream analyze", "emostream analyze --no-video", "emostream analyze --resume"),
    *("emostream models", "emostream replay", "emostream supervise", "emostream init"),
    *("emostream relay", "emostream keys", "emostream classifier --standby"),
    *("emostream detector", "emostream classifier", "emostream recorder"),
    *("emostream subscribe --timeout", "emostream STAGE --check-config", "python -m emostream"),
    *("emostream healthy", "emostream healthy STAGE"),
    "emostream models export NAME --engine litert",
    "emostream models export NAME|FILE --engine litert|onnxruntime",
    "python -P",
)
# What runs until it is interrupted.
ENDLESS: Final = (
    *("make run", 'make run ARGS="--log-format json"', "honcho start*", "cd * && honcho start"),
    "make run ARGS=\"--set capture.sources=[{name='film',url='film.mp4',loop=true}]\"",
    *("emostream capture", "emostream display", "emostream subscribe", "emostream subscribe --*"),
    "emostream relay --set *",
    *("emostream replay * --loop", "curl -N *", "python subscribe*.py", "prometheus *"),
)
# The line above a line, which that needs.
BEFORE: Final = {"cd cameras && *": "emostream init cameras"}
# What a command needs next to it to end, or to find anything.
BESIDE: Final = {
    "emostream replay *": "emostream subscribe",
    "emostream top": "emostream display",
    "curl *": "emostream display",
}
# Those that need no socket and end at once.
QUICK: Final = (
    *("emostream init *", "emostream config", "emostream config *"),
    *("emostream models list", "emostream models info *", "emostream models verify"),
    *("emostream export*", "cp *", "emostream analyze --resume --out *", "promtool *"),
)
# Commands whose exit code says what they found of this machine.
MAY_FAIL: Final = (".venv/bin/emostream doctor", "emostream doctor*")


def command_lines() -> dict[str, str]:
    """Return each command line with the page that has it first."""
    found: dict[str, str] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in lines_of(page.read_text("utf-8")):
            found.setdefault(line, page.name)
    return found


def lines_of(text: str) -> list[str]:
    """Return the command lines of a page: those of its blocks for a shell, and those in its text.

    A comment behind a line is left out, and lines that are continued are joined.
    """
    blocks = [block for language, block in FENCED.findall(text) if language in SHELLS]
    joined = "".join(blocks).replace("\\\n", " ")
    fenced = (COMMENT.sub("", line).strip() for line in joined.splitlines())
    inline = (match.replace("\\|", "|") for match in INLINE.findall(FENCED.sub("", text)))
    return [" ".join(line.split()) for line in (*fenced, *inline) if line]


def before(line: str) -> str:
    """Return the line that must be run before this one, "" for none."""
    return next((BEFORE[pattern] for pattern in BEFORE if matches(line, (pattern,))), "")


def beside(line: str) -> str:
    """Return what the line needs next to it, "" for nothing."""
    return next((BESIDE[pattern] for pattern in BESIDE if matches(line, (pattern,))), "")


def matches(line: str, patterns: tuple[str, ...]) -> bool:
    """Whether the line is one of the patterns."""
    return any(line == pattern or _fits(line, pattern) for pattern in patterns)


def reason_not_run(line: str) -> str:
    """Return why no test runs the line, "" if one does."""
    return next((NOT_RUN[each] for each in NOT_RUN if matches(line, (each,))), "")


def to_run(*, quick: bool) -> list[str]:
    """Return the lines that are run as they are written, quick ones or the others."""
    return [
        line
        for line in command_lines()
        if not reason_not_run(line) and line not in MENTIONS and matches(line, QUICK) == quick
    ]


def _fits(line: str, pattern: str) -> bool:
    # Square brackets are part of command lines, not sets of characters.
    return fnmatchcase(line, pattern.replace("[", "[[]"))
