"""Whatever comes from outside, one of the answers that the documentation names comes out.

The same targets are fuzzed for longer, guided by their coverage, with `python -m benchmarks.fuzz`.
"""

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.targets import SETTING, TARGETS
from emostream.shared.config import Config
from emostream.shared.errors import MessageError
from emostream.shared.messages import KINDS
from emostream.shared.wire import decode

quick = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**62, 2**63 - 1]),
    st.floats(),
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return one of the seeds with some of its bytes changed, left out, or added."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@quick
@given(data=st.data())
def test_bytes_of_any_kind_have_an_answer(name: str, data: st.DataObject) -> None:
    target = TARGETS[name]
    target.call(data.draw(st.binary(max_size=200) | changed(list(target.seeds()))))


@st.composite
def headers(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Return the name of a topic, and a header with its keys, some of which have other values."""
    name = draw(st.sampled_from(sorted(KINDS)))
    fields: dict[str, Any] = {
        "v": 1, "stream": "cam1", "run": "r", "seq": 0, "t": 0, "pts": 0, "marks": {},
        "width": 2, "height": 1, "encoding": "bgr8", "faces": [], "crop": [2, 2], "part": 0,
        "parts": 1, "model": "m", "degraded": False, "kind": "enter", "track": 1, "label": "a",
        "previous": "", "confidence": 0.5, "since": 0, "consumer": "c", "command": "blur",
        "arguments": {},
    }  # fmt: skip
    known = KINDS[name].__struct_fields__
    for key in draw(st.lists(st.sampled_from(known), max_size=3, unique=True)):
        fields[key] = draw(anything)
    return name, {key: value for key, value in fields.items() if key in known or key == "v"}


@quick
@given(header=headers(), payload=st.none() | st.binary(max_size=9) | st.just(bytes(6)))
def test_any_header_is_a_message_or_one_that_is_refused(
    header: tuple[str, dict[str, Any]], payload: bytes | None
) -> None:
    name, fields = header
    topic = f"{name}/0/cam1/" if name == "faces" else f"{name}/cam1/"
    parts = [topic.encode(), msgpack.packb(fields), *([] if payload is None else [payload])]
    try:
        message = decode(parts)
    except MessageError:
        return
    assert message.topic == topic


def key_paths(section: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """Return the dotted path of every key."""
    paths = []
    for field in msgspec.structs.fields(section):
        path = f"{prefix}{field.name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            paths += key_paths(field.type, f"{path}.")
        else:
            paths.append(path)
    return paths


@quick
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(key_paths(Config)),
            st.integers() | st.floats() | st.text(max_size=12) | st.booleans(),
        ),
        max_size=3,
    )
)
@example(pairs=[("live.max_streams", 10**400)])
def test_any_value_of_any_key_is_a_configuration_or_one_line(pairs: list[tuple[str, Any]]) -> None:
    values = (f"{path}={value}" for path, value in pairs)
    words = [value.replace("\0", "").encode("utf-8", "replace") for value in values]
    TARGETS["configuration"].call(SETTING.join([b"", *words]))
