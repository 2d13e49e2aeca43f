"""The groups of tests that have to run one after the other."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="needs pytest-xdist")
def test_pytest_xdist_knows_the_groups(request: pytest.FixtureRequest) -> None:
    """It says so in the names of the tests; with a pytest that it does not know, it fails to."""
    assert request.node.nodeid.endswith("@test_groups")
