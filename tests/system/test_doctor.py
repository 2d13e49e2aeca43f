"""The doctor next to a pipeline that runs."""

import json
import subprocess
import sys

from emostream.services.cli.processes.pipeline import Pipeline
from emostream.services.cli.processes.stages import STAGES
from emostream.shared.shipped_files import ROOT


def test_a_pipeline_that_runs_is_recognized_and_nothing_else_is_wrong(pipeline: Pipeline) -> None:
    config = pipeline.log.with_name("config.toml")
    words = ["-m", "emostream", "doctor", "--json", "--config", str(config)]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    wrong = [row for row in json.loads(done.stdout)["findings"] if row["status"] == "problem"]
    assert [row["found"] for row in wrong] == [
        f"a pipeline is already running here: {', '.join(STAGES)}"
    ]
    assert pipeline.config.display.page in wrong[0]["advice"]
