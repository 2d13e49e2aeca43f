"""`python -m benchmarks.fuzz TARGET --minutes 10`: fuzz a target, guided by coverage.

Needs the package atheris. Prints a line with executions, coverage and findings, and exits with 1 if
there are findings. Each finding is a file, which `--replay FILE` runs again.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

NAMES: Final = ("decode", "configuration", "side-files", "http")
MAX_INPUT: Final = 8192  # bytes
STATUS: Final = re.compile(r"#(\d+)\s.*cov: (\d+) ft: (\d+) corp: (\d+)")
FINDING: Final = re.compile(r"Test unit written to (.+)")


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    made.add_argument("target", choices=NAMES)
    made.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    made.add_argument("--corpus", type=Path, help="folder for interesting inputs")
    made.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    made.add_argument("--replay", type=Path, metavar="FILE", help="run one input, once")
    return made


def run(options: argparse.Namespace) -> int:
    """Fuzz in a separate process, which exits at a finding; return the exit code."""
    options.findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.corpus or Path(folder)
        corpus.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "benchmarks.fuzz.worker", options.target, str(corpus)]
        words += [
            f"-max_total_time={round(60 * options.minutes)}",
            f"-max_len={MAX_INPUT}",
            f"-artifact_prefix={options.findings}/{options.target}-",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, errors="replace")
    executions, coverage, features, inputs = (0, 0, 0, 0)
    for match in STATUS.finditer(done.stderr):
        executions, coverage, features, inputs = map(int, match.groups())
    findings = FINDING.findall(done.stderr)
    print(
        f"{options.target}: {executions:,} executions in {options.minutes:g} minutes, "
        f"{coverage:,} branches, {features:,} features, {inputs:,} inputs kept, "
        f"{len(findings)} findings"
    )
    if findings or done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    return 1 if findings or done.returncode else 0


def replay(target: str, path: Path) -> int:
    """Run one input; raises its error."""
    from benchmarks.fuzz.targets import TARGETS

    TARGETS[target].call(path.read_bytes())
    return 0


if __name__ == "__main__":
    options = parser().parse_args()
    sys.exit(replay(options.target, options.replay) if options.replay else run(options))
