"""The keys of a host: the command, the files, and who counts as whom."""

import json
import os
import time
from pathlib import Path

import pytest

from emostream.services.cli.keys.peers import allowed, revoked
from emostream.services.cli.main import main
from emostream.shared.config import Security
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.key_files import PEERS_FILE, KeyFolder, Own, OwnKey, Peer, PeerKey, is_key
from emostream.shared.security import admitted_peer, check_bind, new_key

HOUR = 3600.0


class Keys:
    """`emostream keys` with its own folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.file = folder.parent / f"{folder.name}.toml"
        self.file.write_text(f'[security]\nfolder = "{folder}"\n')

    def __call__(self, *words: str, code: int = ExitCode.OK) -> str:
        """Run the command; return what it prints, or its one line of error."""
        self._capsys.readouterr()
        try:
            assert main(["keys", words[0], "--config", str(self.file), *words[1:]]) == code
        except SystemExit as end:
            assert end.code == code
        out, err = self._capsys.readouterr()
        return err if code else out


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    return Keys(tmp_path / "keys", capsys)


def a_key() -> str:
    return new_key().public


def test_init_makes_files_that_the_owner_alone_may_read(keys: Keys) -> None:
    name, key = keys("init", "--name", "camera-1").split()
    assert (name, len(key)) == ("camera-1", 40)
    assert keys("show").split()[-1] == key
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.folder.iterdir()} == {0o600}
    keys("allow", "gpu", a_key(), "--host", "10.0.0.2")
    assert {path.stat().st_mode & 0o777 for path in keys.folder.iterdir()} == {0o600}


def test_keys_are_never_overwritten(keys: Keys) -> None:
    before = keys("init")
    assert "holds keys already" in keys("init", code=2)
    assert keys("show") == before


@pytest.mark.parametrize(("path", "mode"), [(".", 0o750), ("own.json", 0o640)])
def test_wider_permissions_are_refused(path: str, mode: int, keys: Keys) -> None:
    keys("init")
    (keys.folder / path).chmod(mode)
    said = keys("show", code=2)
    assert "is readable by other users; run chmod" in said
    assert said.count("\n") == 1


def test_without_keys_the_command_to_run_is_said(keys: Keys) -> None:
    assert "run emostream keys init" in keys("show", code=2)


@pytest.mark.parametrize("content", ["", "{}", '{"name": "a", "keys": []}', "[1]"])
def test_a_broken_file_is_one_line_and_shows_no_secret(content: str, keys: Keys) -> None:
    keys("init")
    (keys.folder / "own.json").write_text(content)
    said = keys("show", code=2)
    assert "is not a key file" in said
    assert said.count("\n") == 1


def test_a_peer_is_allowed_listed_and_revoked(keys: Keys) -> None:
    keys("init")
    key = a_key()
    keys("allow", "partner", key, "--host", "10.0.0.9", "--topics", "emotion,event")
    assert keys("list").strip() == f"partner host=10.0.0.9 topics=emotion,event {key}"
    keys("revoke", "partner")
    assert keys("list") == ""
    assert "no peer is named partner; let in: nobody" in keys("revoke", "partner", code=2)


@pytest.mark.parametrize(
    "words",
    [
        ("allow", "partner", "short"),
        ("allow", "Big Name", "a" * 40),
        ("allow", "partner", "a" * 40, "--topics", "frames"),
        ("allow", "partner", "a" * 40, "--topics", ""),
        ("rotate", "--grace", "0"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], keys: Keys) -> None:
    keys("init")
    keys(*words, code=2)
    assert keys("list") == ""


def test_a_further_key_keeps_the_limit_and_ends_the_earlier_one() -> None:
    old, new = a_key(), a_key()
    peers = allowed((), "partner", old, "10.0.0.9", ("emotion",), 0.0)
    (peer,) = allowed(peers, "partner", new, None, None, 100.0)
    assert peer == Peer("partner", "10.0.0.9", ("emotion",), (PeerKey(new), PeerKey(old, 100.0)))
    (later,) = allowed((peer,), "partner", new, None, (), 200.0)
    assert later.topics == ()
    assert later.keys[1].until == 100.0


def test_a_key_or_host_of_another_peer_is_refused() -> None:
    key = a_key()
    peers = allowed((), "one", key, "10.0.0.9", None, 0.0)
    with pytest.raises(ConfigError, match="one has that key"):
        allowed(peers, "two", key, None, None, 0.0)
    with pytest.raises(ConfigError, match="one is at"):
        allowed(peers, "two", a_key(), "10.0.0.9", None, 0.0)
    assert revoked(peers, "one") == ()


def test_a_rotated_key_is_used_after_the_grace_period(keys: Keys) -> None:
    old = keys("init").split()[-1]
    new = keys("rotate", "--grace", "2").split()[-1]
    assert new != old
    now = time.time()
    for later, current, valid in ((0.0, old, {old, new}), (3 * HOUR, new, {new})):
        at = now + later
        folder = KeyFolder(str(keys.folder), lambda at=at: at)  # type: ignore[misc]
        assert folder.current().public == current
        assert set(folder.pinned("tcp://127.0.0.1:5551")) == valid
        assert {key for key in (old, new) if folder.peer_of(key)} == valid


def test_a_peers_earlier_key_counts_until_its_end(tmp_path: Path) -> None:
    now = 1000.0
    folder = KeyFolder(str(tmp_path / "keys"), lambda: now)
    folder.write_own(Own("here", (new_key(),)))
    old, new = a_key(), a_key()
    folder.write_peers((Peer("gpu", "10.0.0.2", (), (PeerKey(new), PeerKey(old, 1001.0))),))
    assert folder.pinned("tcp://10.0.0.2:5553") == (new, old)
    now = 1001.0
    assert folder.pinned("tcp://10.0.0.2:5553") == (new,)
    assert folder.peer_of(old) is None
    assert folder.peer_of(new)
    assert folder.pinned("tcp://10.0.0.3:5553") == ()


@pytest.mark.parametrize(
    ("subscription", "may"),
    [
        ("emotion/", True),
        ("emotion/cam1/", True),
        ("once/a/emotion/cam1/", True),
        ("emotion", False),
        ("", False),
        ("frame/", False),
        ("once/a/frame/", False),
        ("once/a/", False),
        ("once/", False),
    ],
)
def test_a_limit_covers_all_that_a_subscription_matches(subscription: str, may: bool) -> None:
    assert Peer("partner", "", ("emotion",)).may_subscribe(subscription) == may
    assert Peer("partner", "").may_subscribe(subscription)


def test_a_key_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = iter([(b"-" * 40, b"a" * 40), (b"b" * 40, b"c" * 40)])
    monkeypatch.setattr("zmq.curve_keypair", lambda: next(pairs))
    assert new_key() == OwnKey("b" * 40, "c" * 40)


def test_a_secret_is_not_shown() -> None:
    pair = new_key()
    assert pair.secret not in repr(Own("here", (pair, OwnKey(pair.public, pair.secret))))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"name": "büro", "host": "10.0.0.2"}]'.encode("latin-1"), "not UTF-8 text"),
        (b'[{"note": ' + b"[" * 100_000, "nested too deeply"),
        (b'[{"name": "gpu", "host": "", "keys": [{"public": "%b"}]}]' % (b"#" * 40), "of gpu is"),
        (b'[{"name": "gpu", "host": "", "keys": [{"publ', "truncated"),
        (b"", "truncated"),
    ],
)
def test_a_file_that_is_damaged_while_stages_run_lets_nobody_in_and_is_one_line(
    content: bytes, said: str, keys: Keys
) -> None:
    """The thread that lets peers in must outlive it, and let them in once it is repaired."""
    keys("init")
    peer = a_key()
    keys("allow", "gpu", peer)
    file = keys.folder / PEERS_FILE
    good, folder = file.read_bytes(), KeyFolder(str(keys.folder))
    assert admitted_peer(folder, peer)
    file.write_bytes(content)
    assert admitted_peer(folder, peer) is None
    assert said in keys("list", code=2)
    file.write_bytes(good)
    assert admitted_peer(folder, peer)


def test_a_pipe_in_the_place_of_keys_does_not_hold_up_for_ever(keys: Keys) -> None:
    keys("init")
    os.mkfifo(keys.folder / PEERS_FILE, 0o600)
    assert "it never ends" in keys("list", code=2)


def test_a_mistyped_key_is_refused(keys: Keys) -> None:
    """ZeroMQ takes none whose characters stand for more than its bits."""
    keys("init")
    assert all(is_key(a_key()) for _ in range(100))
    for key in ("#" * 40, a_key()[:39], "%nSc1" + a_key()[5:]):
        assert not is_key(key)
        assert "not a public key" in keys("allow", "gpu", key, code=2)


def test_a_public_key_that_is_of_another_secret_is_named_at_the_start(keys: Keys) -> None:
    """Every handshake would fail, and nobody could say why."""
    keys("init")
    file = keys.folder / "own.json"
    own = json.loads(file.read_text())
    own["keys"][0]["public"] = a_key()
    file.write_text(json.dumps(own))
    with pytest.raises(ConfigError, match=r"own\.json: .* does not match its secret key"):
        check_bind(Security(folder=str(keys.folder)), "tcp://10.0.0.1:5551", "bind", "capture")


@pytest.mark.parametrize("host", ["10.0.0.2", "tcp://10.0.0.2:5553"])
def test_a_host_may_be_pasted_as_the_endpoint_that_the_configuration_has(
    keys: Keys, host: str
) -> None:
    keys("init")
    key = a_key()
    keys("allow", "gpu", key, "--host", host)
    assert KeyFolder(str(keys.folder)).pinned("tcp://10.0.0.2:5553") == (key,)


@pytest.mark.parametrize("host", ["10.0.0.2:5553", "http://10.0.0.2", "tcp://10.0.0.2", ""])
def test_a_host_that_no_endpoint_can_have_is_refused(keys: Keys, host: str) -> None:
    assert "write only the host" in keys("allow", "gpu", a_key(), "--host", host, code=2)


def test_allow_says_what_is_let_in_now(keys: Keys) -> None:
    keys("init")
    key = a_key()
    said = keys("allow", "gpu", key, "--host", "10.0.0.2", "--topics", "faces")
    assert said == f"gpu host=10.0.0.2 topics=faces {key}\n" == keys("list")


def test_what_helps_nobody_yet_is_said(keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "list", "--config", str(keys.file)])
    assert f"the keys in {keys.folder} let nobody in" in capsys.readouterr().err
    main(["keys", "allow", "gpu", a_key(), "--config", str(keys.file)])
    assert "run emostream keys init" in capsys.readouterr().err
    own = keys("init").split()[-1]
    main(["keys", "allow", "self", own, "--config", str(keys.file)])
    assert "this host's own key" in capsys.readouterr().err


def test_during_a_rotation_show_and_rotate_name_the_other_key(
    keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    used = keys("init").split()[-1]
    unused = keys("rotate").split()[-1]
    main(["keys", "show", "--config", str(keys.file)])
    out, err = capsys.readouterr()
    assert out.split()[-1] == unused
    assert used in err
    main(["keys", "rotate", "--config", str(keys.file)])
    out, err = capsys.readouterr()
    assert "discarded unused" in err
    assert unused in err
    assert used not in err
