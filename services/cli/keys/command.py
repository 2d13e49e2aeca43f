"""`emostream keys`: init, show, allow, list, revoke, rotate and token."""

import argparse
import logging
import socket
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from emostream.services.cli.given_config import given_config
from emostream.services.cli.keys.peers import TOPICS, allowed, revoked
from emostream.services.cli.options import add_config_options, positive
from emostream.shared.addresses import TCP
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.fields import STREAM_PATTERN
from emostream.shared.key_files import INIT, OWN_FILE, KeyFolder, Own, Peer, is_key
from emostream.shared.secret_file import write_secret
from emostream.shared.security import new_key
from emostream.shared.token_files import SETTINGS, Role, read_token, set_token_file, token_path
from emostream.shared.user_path import path_exists

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Actions = _SubParsersAction[argparse.ArgumentParser]

HOUR_S: Final = 3600
GRACE_HOURS: Final = 24.0
LONGEST_NAME: Final = 64
log = logging.getLogger("emostream")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    init = _action(actions, "init", "create this host's key pair")
    init.add_argument("--name", type=_name, help="of this host (default: its host name)")
    init.set_defaults(run=run_init)
    show = _action(actions, "show", "print this host's name and public key")
    show.set_defaults(run=run_show)
    _add_allow(actions)
    listed = _action(
        actions, "list", "list the peers that may connect, with hosts, topics and keys"
    )
    listed.set_defaults(run=run_list)
    revoke = _action(actions, "revoke", "revoke a peer's access")
    revoke.add_argument("name", help="the peer, as `emostream keys list` shows it")
    revoke.set_defaults(run=run_revoke)
    rotate = _action(actions, "rotate", "create a new key pair, used after a grace period")
    _add_grace(rotate, "hours until the new key is used")
    rotate.set_defaults(run=run_rotate)
    token = _action(actions, "token", "print the token of a role; creates it if needed")
    token.add_argument("role", choices=[role.value for role in Role])
    token.add_argument("--new", action="store_true", help="replace it; the old token stops working")
    token.set_defaults(run=run_token)
    for action in actions.choices.values():
        add_config_options(action, example="security.folder=keys")


def _action(actions: "Actions", name: str, purpose: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=purpose, description=purpose)


def _add_allow(actions: "Actions") -> None:
    allow = _action(actions, "allow", "allow a peer to connect, and expect its key at its host")
    allow.add_argument("name", type=_name, help="a name for the peer on this host")
    allow.add_argument("key", type=_key, help="its public key, which `emostream keys show` prints")
    allow.add_argument(
        "--host",
        type=_host,
        help="its address or name, as connect.* has it; needed if this host connects to it",
    )
    allow.add_argument(
        "--topics",
        type=_topics,
        help=f"limit the peer to these topics, of {','.join(TOPICS)}; all removes the limit "
        "(default: as before, for a new peer all)",
    )
    _add_grace(allow, "hours for which the peer's previous key stays valid")
    allow.set_defaults(run=run_allow)


def _add_grace(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument(
        "--grace",
        type=positive(float),
        default=GRACE_HOURS,
        metavar="HOURS",
        help=f"{meaning} (default: %(default)g)",
    )


def run_init(options: argparse.Namespace) -> int:
    """Write a key pair if there is none."""
    folder = _folder(options)
    if path_exists(folder.path / OWN_FILE):
        raise ConfigError(f"{folder.path} holds keys already; emostream keys rotate makes new ones")
    folder.write_own(Own(options.name or _host_name(), (new_key(),)))
    return run_show(options)


def run_show(options: argparse.Namespace) -> int:
    """Print the name and the key (last); during a rotation, the new key."""
    own = _folder(options).own()
    now, shown = own.current(time.time()), own.keys[-1]
    if shown != now:
        log.warning(
            "the key below is used from %s on; until then this host uses another key. "
            "A new peer must allow that one first: %s",
            _local_time(shown.since),
            now.public,
        )
    print(own.name, shown.public)
    return ExitCode.OK


def run_allow(options: argparse.Namespace) -> int:
    """Add the peer or another key for it, and print its lines like `list`."""
    folder = _folder(options)
    now = time.time()
    peers = allowed(
        folder.peers(),
        options.name,
        options.key,
        options.host,
        options.topics,
        now + options.grace * HOUR_S,
    )
    folder.write_peers(peers)
    for peer in peers:
        if peer.name == options.name:
            _print_peer(peer, now)
    if not path_exists(folder.path / OWN_FILE):
        log.warning("%s contains no keys of this host yet; run %s", folder.path, INIT)
    elif any(options.key == key.public for key in folder.own().keys):
        log.warning(
            "this is this host's own key. It only helps if this host connects to itself through "
            "--host; for a peer, use the key that emostream keys show prints there"
        )
    return ExitCode.OK


def run_list(options: argparse.Namespace) -> int:
    """Print a line for each key of each peer, with the key last."""
    folder = _folder(options)
    now = time.time()
    peers = folder.peers()
    for peer in peers:
        _print_peer(peer, now)
    if not peers:
        log.warning("the keys in %s let nobody in", folder.path)
    return ExitCode.OK


def run_revoke(options: argparse.Namespace) -> int:
    """Remove the peer and all its keys."""
    folder = _folder(options)
    folder.write_peers(revoked(folder.peers(), options.name))
    return ExitCode.OK


def run_rotate(options: argparse.Namespace) -> int:
    """Create a new key pair, print it like `show`, and say when it is used."""
    folder = _folder(options)
    now = time.time()
    own = folder.own()
    new = new_key(now + options.grace * HOUR_S)
    current, *unused = own.usable(now)
    for key in unused:
        log.warning("the new key of an earlier rotation is discarded unused: %s", key.public)
    folder.write_own(Own(own.name, (current, new)))
    print(
        f"used from {_local_time(new.since)} on; until then run on each peer: "
        f"emostream keys allow {own.name} KEY, with the key below"
    )
    print(own.name, new.public)
    return ExitCode.OK


def run_token(options: argparse.Namespace) -> int:
    """Print the role's token; create it if there is none, or with --new."""
    config, role = given_config(options).load(), Role(options.role)
    path, setting = token_path(config, role), SETTINGS[role]
    if not set_token_file(config, role):
        KeyFolder(config.security.folder).make()
    if options.new or not path_exists(path):
        write_secret(path, setting)
    print(read_token(path, setting))
    return ExitCode.OK


def _print_peer(peer: Peer, now: float) -> None:
    topics = ",".join(peer.topics) or "all"
    for key in peer.keys:
        if key.is_valid(now):
            until = f" until {_local_time(key.until)}" if key.until else ""
            print(f"{peer.name} host={peer.host or '-'} topics={topics}{until} {key.public}")


def _local_time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%F %T}"


def _folder(options: argparse.Namespace) -> KeyFolder:
    return KeyFolder(given_config(options).load().security.folder)


def _host_name() -> str:
    """Return this machine's name with only the characters allowed in a name."""
    name = socket.gethostname().lower().partition(".")[0]
    kept = "".join(each if STREAM_PATTERN.fullmatch(each) else "-" for each in name)
    return kept[:LONGEST_NAME] or "host"


def _name(text: str) -> str:
    if not STREAM_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text}: write lowercase letters, digits, - and _")
    return text


def _host(text: str) -> str:
    """Return the host of an endpoint, or a host unchanged."""
    match = TCP.fullmatch(text)
    host = match["host"] if match else text
    is_ipv6 = host.startswith("[") and host.endswith("]")
    if not host or "/" in host or (":" in host and not is_ipv6):
        raise argparse.ArgumentTypeError(
            f"{text}: write only the host, without a port, as in connect.*: 10.0.0.2"
        )
    return host


def _key(text: str) -> str:
    if not is_key(text):
        raise argparse.ArgumentTypeError(
            "not a public key; it has 40 characters, as printed by `keys show`"
        )
    return text


def _topics(text: str) -> tuple[str, ...]:
    topics = () if text == "all" else tuple(text.split(","))
    if unknown := [topic for topic in topics if topic not in TOPICS]:
        known = ",".join(TOPICS)
        raise argparse.ArgumentTypeError(
            f"unknown topic {unknown[0]!r}; choose from {known}, or all"
        )
    return topics
