"""Which endpoints have a host whose name has to be looked up."""

import pytest

from emostream.shared.addresses import has_name


@pytest.mark.parametrize(
    ("endpoint", "named"),
    [
        ("tcp://gpu-box:5553", True),
        ("tcp://gpu.example.org:5553", True),
        ("tcp://localhost:5553", True),
        ("tcp://10.0.0.2:5553", False),
        ("tcp://[fd00::2]:5553", False),
        ("ipc:///run/emostream/emotion", False),
    ],
)
def test_an_address_needs_no_lookup(endpoint: str, named: bool) -> None:
    assert has_name(endpoint) == named
