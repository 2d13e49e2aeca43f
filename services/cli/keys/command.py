"""`emostream keys`: init, show, allow, list, revoke and rotate."""

import argparse
import socket
import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from emostream.services.cli.given_config import given_config
from emostream.services.cli.keys.peers import TOPICS, allowed, revoked
from emostream.services.cli.options import add_config_options, positive
from emostream.shared.errors import ConfigError, ExitCode
from emostream.shared.fields import STREAM_PATTERN
from emostream.shared.key_files import KEY_PATTERN, OWN_FILE, KeyFolder, Own
from emostream.shared.security import new_key
from emostream.shared.user_path import path_exists

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Actions = _SubParsersAction[argparse.ArgumentParser]

HOUR_S: Final = 3600
GRACE_HOURS: Final = 24.0
LONGEST_NAME: Final = 64


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    init = actions.add_parser("init", help="make this host's key pair")
    init.add_argument("--name", type=_name, help="of this host (default: its host name)")
    init.set_defaults(run=run_init)
    show = actions.add_parser("show", help="print this host's name and public key")
    show.set_defaults(run=run_show)
    _add_allow(actions)
    listed = actions.add_parser("list", help="who is let in, with hosts, topics and keys")
    listed.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="let a peer in no longer")
    revoke.add_argument("name")
    revoke.set_defaults(run=run_revoke)
    rotate = actions.add_parser("rotate", help="make a new key pair, used after a grace period")
    _add_grace(rotate, "until the new key is used")
    rotate.set_defaults(run=run_rotate)
    for action in actions.choices.values():
        add_config_options(action, example="security.folder=keys")


def _add_allow(actions: "Actions") -> None:
    allow = actions.add_parser("allow", help="let a peer in, and expect its key at its host")
    allow.add_argument("name", type=_name, help="what the peer is called here")
    allow.add_argument("key", type=_key, help="its public key, which `emostream keys show` prints")
    allow.add_argument(
        "--host", help="its address, as connect.* has it; needed where this host connects to it"
    )
    allow.add_argument(
        "--topics",
        type=_topics,
        help=f"the only ones that it may have, of {','.join(TOPICS)}; all lifts a limit "
        "(default: as before, for a new peer all)",
    )
    _add_grace(allow, "for which an earlier key of the peer stays good")
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
    """Write a key pair where there is none."""
    folder = _folder(options)
    if path_exists(folder.path / OWN_FILE):
        raise ConfigError(f"{folder.path} holds keys already; emostream keys rotate makes new ones")
    folder.write_own(Own(options.name or _host_name(), (new_key(),)))
    return run_show(options)


def run_show(options: argparse.Namespace) -> int:
    """Print the name and the key, the key last; of a rotation, the one that comes."""
    own = _folder(options).own()
    print(own.name, own.keys[-1].public)
    return ExitCode.OK


def run_allow(options: argparse.Namespace) -> int:
    """Add the peer, or a further key of it."""
    folder = _folder(options)
    until = time.time() + options.grace * HOUR_S
    folder.write_peers(
        allowed(folder.peers(), options.name, options.key, options.host, options.topics, until)
    )
    return ExitCode.OK


def run_list(options: argparse.Namespace) -> int:
    """Print a line for each key of each peer, the key last."""
    now = time.time()
    for peer in _folder(options).peers():
        topics = ",".join(peer.topics) or "all"
        for key in peer.keys:
            if key.is_valid(now):
                until = f" until {datetime.fromtimestamp(key.until):%F %T}" if key.until else ""
                print(f"{peer.name} host={peer.host or '-'} topics={topics}{until} {key.public}")
    return ExitCode.OK


def run_revoke(options: argparse.Namespace) -> int:
    """Take the peer and all its keys out."""
    folder = _folder(options)
    folder.write_peers(revoked(folder.peers(), options.name))
    return ExitCode.OK


def run_rotate(options: argparse.Namespace) -> int:
    """Make a new key pair, print it as `show` does, and say when it is used."""
    folder = _folder(options)
    now = time.time()
    own = folder.own()
    new = new_key(now + options.grace * HOUR_S)
    folder.write_own(Own(own.name, (own.current(now), new)))
    print(
        f"used from {datetime.fromtimestamp(new.since):%F %T} on; until then run on each peer: "
        f"emostream keys allow {own.name} KEY, with the key below"
    )
    return run_show(options)


def _folder(options: argparse.Namespace) -> KeyFolder:
    return KeyFolder(given_config(options).load().security.folder)


def _host_name() -> str:
    """Return this machine's name in the letters that a name may have."""
    name = socket.gethostname().lower().partition(".")[0]
    kept = "".join(each if STREAM_PATTERN.fullmatch(each) else "-" for each in name)
    return kept[:LONGEST_NAME] or "host"


def _name(text: str) -> str:
    if not STREAM_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text}: write lowercase letters, digits, - and _")
    return text


def _key(text: str) -> str:
    if not KEY_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError("no public key; it has the 40 characters of `keys show`")
    return text


def _topics(text: str) -> tuple[str, ...]:
    topics = () if text == "all" else tuple(text.split(","))
    if unknown := [topic for topic in topics if topic not in TOPICS]:
        known = ",".join(TOPICS)
        raise argparse.ArgumentTypeError(f"no topic {unknown[0]!r}; write some of {known}, or all")
    return topics
