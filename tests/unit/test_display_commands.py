"""Commands: who may give them, their effects, and what the page is told."""

import stat
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from starlette.datastructures import Headers

from emostream.services.cli.main import main
from emostream.services.display.commands import REPEAT_INTERVAL_S, Command, CommandHandler
from emostream.services.display.web.access import Access, Credentials, Refusal
from emostream.shared.control import COMMANDS, OnOff, StreamSwitch, parse_command
from emostream.shared.errors import ConfigError, MessageError
from emostream.shared.messages import Control
from emostream.shared.token_files import SETTINGS, Role, bearer, create_token, read_token
from tests.builders import COMMON, Clock, header_of
from tests.web_access import access

HERE = "127.0.0.1:8080"
JSON = "application/json"
SETTING = SETTINGS[Role.OPERATOR]


class Rig:
    """CommandHandler at a clock that the test turns."""

    def __init__(self, on: bool = False) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, bool]] = []
        self.blur = StreamSwitch(on, lambda *what: self.told.append(what))
        self.commands = CommandHandler(self.blur, lambda: 1_700_000_000 * 10**9, self.clock)

    def said(self) -> list[tuple[str, str, Any]]:
        """Return (stream, command, on) of what goes to the bus."""
        headers = [header_of(message, Control) for message in self.commands.take_messages()]
        return [(one.stream, one.command, one.arguments["on"]) for one in headers]

    def give(self, command: Any, on: bool, stream: str = "cam1") -> None:
        self.commands.submit(Command(stream, command, OnOff(on)))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def control(command: str, run: str = "other", **arguments: Any) -> Control:
    return Control(**{**COMMON, "run": run}, command=command, arguments=arguments)


def test_a_command_goes_to_the_bus_once_under_its_stream(rig: Rig) -> None:
    rig.give("record", True, "door")
    (message,) = rig.commands.take_messages()
    assert message.topic == "control/door/"
    assert parse_command(header_of(message, Control)) == ("record", True)
    assert rig.said() == []


def test_commands_are_counted_in_order(rig: Rig) -> None:
    for on in (True, False):
        rig.give("record", on)
    headers = [header_of(message, Control) for message in rig.commands.take_messages()]
    assert [(one.seq, one.arguments["on"]) for one in headers] == [(0, True), (1, False)]


def test_the_display_obeys_its_own_blur_at_once(rig: Rig) -> None:
    rig.give("blur", True)
    rig.commands.take_messages()
    assert rig.blur.is_on("cam1")
    assert not rig.blur.is_on("cam2")
    rig.give("record", True, "cam2")
    rig.commands.take_messages()
    assert rig.told == [("cam1", True)]


def test_what_comes_back_from_the_bus_is_older_than_what_was_said_since(rig: Rig) -> None:
    rig.give("blur", False)
    (message,) = rig.commands.take_messages()
    rig.give("blur", True)
    rig.commands.take_messages()
    rig.commands.apply(header_of(message, Control))
    assert rig.blur.is_on("cam1")


def test_another_s_command_is_obeyed(rig: Rig) -> None:
    rig.commands.apply(control("blur", on=True))
    assert rig.blur.is_on("cam1")
    rig.commands.apply(control("record", on=True))
    rig.commands.apply(control("blur", on=False))
    assert not rig.blur.is_on("cam1")


def test_that_a_stream_is_blurred_is_said_again_and_again_for_who_comes_later(rig: Rig) -> None:
    rig.give("blur", True)
    rig.give("record", True)
    rig.said()
    rig.clock.now += REPEAT_INTERVAL_S
    assert rig.said() == [("cam1", "blur", True)]
    assert rig.said() == []
    rig.give("blur", False)
    rig.clock.now += REPEAT_INTERVAL_S
    assert rig.said() == [("cam1", "blur", False)]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (control("fly", on=True), "unknown command 'fly'"),
        (control("blur"), "blur"),
        (control("record", on="yes"), "record"),
        (control("record", on=1), "record"),
    ],
)
def test_what_is_no_command_is_told_so_that_it_can_be_counted(
    rig: Rig, header: Control, said: str
) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        rig.commands.apply(header)
    assert caught.value.reason == "command"
    assert rig.said() == []


def test_the_commands_over_http_are_those_on_the_bus() -> None:
    taken = get_type_hints(Command)["command"]
    assert set(get_args(taken)) == set(COMMANDS)


def test_a_switch_is_as_configured_until_turned() -> None:
    told: list[tuple[str, bool]] = []
    switch = StreamSwitch(True, lambda *what: told.append(what))
    assert switch.is_on("cam1")
    switch.register("cam1")
    switch.set("cam1", False)
    switch.register("cam1")
    assert not switch.is_on("cam1")
    assert switch.streams == {"cam1": False}
    assert told == [("cam1", True), ("cam1", False)]


def refusal_of(who: Access, given: dict[str, str]) -> Refusal | None:
    headers = Headers(given)
    return who.command_refusal(headers, Credentials(bearer(headers.get("authorization", ""))))


def refused(who: Access, **headers: str) -> int | None:
    given = {"host": HERE, "content-type": JSON} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    refusal = refusal_of(who, given)
    return refusal.status if refusal else None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"origin": f"http://{HERE}"}, None),
        ({"content_type": "application/json; charset=utf-8"}, None),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://l]calhost"}, 403),
        ({"content_type": "text/plain"}, 403),
        ({"content_type": "application/x-www-form-urlencoded"}, 403),
        ({"content_type": ""}, 403),
    ],
)
def test_on_this_machine_only_pages_from_elsewhere_are_refused(
    headers: dict[str, str], status: int | None
) -> None:
    assert refused(access(), **headers) == status


def test_beyond_this_machine_commands_need_a_token_and_the_answer_says_what_to_set() -> None:
    exposed = access(exposed=True)
    assert not exposed.needs_token
    refusal = refusal_of(exposed, {"content-type": JSON, "authorization": "Bearer "})
    assert refusal is not None
    assert refusal.status == 403
    assert "display.token_file" in refusal.error


@pytest.mark.parametrize("exposed", [True, False])
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer sesame", None),
        ("bearer  sesame", None),
        ("Bearer sesam", 401),
        ("Bearer sesame2", 401),
        ("Bearer \xe9", 401),
        ("Basic sesame", 401),
        ("sesame", 401),
        ("", 401),
    ],
)
def test_a_token_that_is_set_is_needed_everywhere(
    exposed: bool, authorization: str, status: int | None
) -> None:
    guarded = access("sesame", exposed=exposed)
    assert guarded.needs_token
    assert refused(guarded, authorization=authorization) == status
    assert refused(guarded, authorization=authorization, origin="http://elsewhere.example") == 403


def test_a_token_is_what_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("  sésame \n", "utf-8")
    token = read_token(file, SETTING)
    assert token == "sésame"
    assert refused(access(token), authorization="Bearer s\xc3\xa9same") is None


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff", "UTF-8")]
)
def test_a_token_file_that_cannot_be_used_is_named(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_token(file, SETTING)
    assert main(["display", "--set", f"display.token_file={file}"]) == 2
    assert "display.token_file" in capsys.readouterr().err


def test_a_token_is_made_once_for_its_owner_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    with caplog.at_level("INFO"):
        create_token(file)
    token = read_token(file, SETTING)
    assert len(token) > 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert str(file) in caplog.text
    assert token not in caplog.text
    create_token(file)
    assert read_token(file, SETTING) == token
    assert list(tmp_path.iterdir()) == [file]


def test_a_token_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"token_file: .*none/token cannot be written: No such"):
        create_token(tmp_path / "none" / "token")


def test_the_check_of_the_configuration_makes_no_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = [f"display.token_file={file}", "display.create_token=true"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert main(["display", *words, "--check-config"]) == 0
    assert not file.exists()


def test_a_token_to_be_made_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["display", "--set", "display.create_token=true", "--check-config"]) == 2
    assert "display.create_token" in capsys.readouterr().err
