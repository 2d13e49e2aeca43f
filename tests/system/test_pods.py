"""The pods of docker/k8s/demo, started as a cluster would start them, until all are ready."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.conftest import require_tool
from tests.manifests import render, with_keys
from tests.pods import pods
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(400)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """The pods of the demo; skips where namespaces cannot be made."""
    for tool in ("ip", "unshare", "setpriv"):
        require_tool(tool)
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    # pytest's own folders are closed to the pods' user.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        resources = render(with_keys(folder) / "demo")
        running = Cluster(pods(resources, folder / "pods"), resources, folder)
        try:
            stack.enter_context(running)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            pytest.skip(f"this system has no namespaces: {str(reason).strip()}")
        yield running


def test_all_pods_are_ready_and_a_standby_answers_for_a_killed_one(cluster: Cluster) -> None:
    def all_ready() -> bool:
        ended = [name for name, process in cluster.processes.items() if process.poll() is not None]
        assert not ended, "".join(cluster.log(name).read_text() for name in ended)
        return all(cluster.status(name, "readiness") == 200 for name in cluster.pods)

    def rows() -> int:
        """Return how many answers with faces are recorded; none before there is a database."""
        path = cluster.pods["recorder-0"].root / "recordings" / "emostream" / "emostream.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM observations").fetchone()
        return int(count)

    try:
        wait_until(all_ready, "pods that are all ready", 120)
        before = rows()
        assert before > 0
        wait_until(lambda: rows() > before, "more rows", 60)
        cluster.kill("classifier-0")
        standby = cluster.log("standby")
        said = "the active classifier is silent; this standby answers"
        wait_until(lambda: said in standby.read_text(), "the standby", 60)
        before = rows()
        wait_until(lambda: rows() > before + 50, "rows that the standby answered", 60)
        cluster.start("classifier-0")
        wait_until(lambda: cluster.status("classifier-0", "readiness") == 200, "its return", 60)
    finally:
        for name in cluster.pods:  # which pytest shows of a test that fails
            print(name, cluster.log(name).read_text(), sep="\n")
    logs = [cluster.log(name).read_text() for name in cluster.pods]
    assert not any("Traceback" in log for log in logs)
    assert not any("read-only" in log.lower() for log in logs)
