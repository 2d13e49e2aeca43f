"""The clients of docs/examples, on the pipeline as a user starts it."""

import re
from pathlib import Path

import pytest

from emostream.models.labels import LABELS
from emostream.services.cli.processes.pipeline import Pipeline
from tests.examples import CLIENTS, client
from tests.system.conftest import wait_until

LINE = re.compile(rf"demo \d{{16}} (enter|change|leave) ({'|'.join(LABELS)}) \d{{1,3}}%")


@pytest.mark.parametrize(
    "name", [CLIENTS[0], *(pytest.param(name, marks=pytest.mark.evidence) for name in CLIENTS[1:])]
)
def test_a_client_follows_the_faces_of_the_demo(
    pipeline: Pipeline, name: str, tmp_path: Path
) -> None:
    with client(name, pipeline.config.classifier.bind, tmp_path) as running:
        wait_until(lambda: len(running.lines) >= 3, "three events of the demo")
        assert all(LINE.fullmatch(line) for line in running.lines), running.lines
        assert not running.complaints
