"""Checks that the addresses that the stages bind are free, or finds who uses them."""

import contextlib
import errno
import http.client
import json
import os
import socket
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from emostream.services.cli.doctor.finding import Finding, good, problem
from emostream.services.cli.processes.child_process import arguments_of
from emostream.shared.addresses import TCP
from emostream.shared.config import Config
from emostream.shared.health_connection import health_connection
from emostream.shared.http_urls import is_https, page_url

ANSWER_WITHIN_S: Final = 1.0


@dataclass(frozen=True)
class Port:
    """An address from a setting; `failure` is the errno of binding it.

    `owner` is the program that uses it, as far as this user can see.
    """

    setting: str
    host: str
    number: int
    failure: int = 0
    owner: str = ""


def findings(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Check the ports of these stages."""
    running = [
        stage
        for stage in stages
        if answers(address := getattr(config, stage).metrics, is_https=is_https(config, address))
    ]
    ports = [probe(*address) for address in addresses(config, stages)]
    return check(ports, running, page_url(config.display))


def addresses(config: Config, stages: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return setting, host and port of all addresses that these stages bind, except port 0."""
    settings = {
        f"{stage}.{key}": getattr(getattr(config, stage), key)
        for stage in stages
        for key in ("bind", "metrics", *(["page"] if stage == "display" else []))
    }
    found = []
    for setting, address in settings.items():
        if match := TCP.fullmatch(address if "://" in address else f"tcp://{address}"):
            number = 0 if match["port"] == "*" else int(match["port"])
            if number:
                found.append((setting, match["host"].strip("[]"), number))
    return found


def probe(setting: str, host: str, number: int) -> Port:
    """Try to bind the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        if os.name == "posix":
            # Like the stages, ignore connections that an ended process left behind.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("" if host == "*" else host, number))
        except socket.gaierror:
            return Port(setting, host, number, errno.EADDRNOTAVAIL)
        except (OSError, OverflowError) as error:
            failure = (error.errno if isinstance(error, OSError) else None) or errno.EINVAL
            owner = owner_of(number) if failure == errno.EADDRINUSE else ""
            return Port(setting, host, number, failure, owner)
    return Port(setting, host, number)


def answers(metrics: str, *, is_https: bool = False) -> bool:
    """Return whether an emostream stage answers on its metrics address."""
    host, _, number = metrics.rpartition(":")
    connection = health_connection(host, int(number), ANSWER_WITHIN_S, is_https=is_https)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/livez")
            return "live" in json.loads(connection.getresponse().read(1000))
        except (OSError, http.client.HTTPException, ValueError, TypeError):
            return False


def owner_of(number: int) -> str:
    """Return the program that listens on the port, "" if this user cannot see it."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.pid:
            continue
        if connection.laddr and connection.laddr.port == number:
            return program(connection.pid)
    return ""


def program(pid: int) -> str:
    """Return a readable name of the process: `emostream capture (pid 12)`, `nginx (pid 7)`."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        name = process.name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return f"pid {pid}"
    if arguments := arguments_of(words):
        name = f"emostream {arguments[0]}"
    return f"{name} (pid {pid})"


def check(ports: Sequence[Port], running: Sequence[str], page: str) -> list[Finding]:
    """Check the addresses; `running` are the stages that answer, `page` is the page's URL."""
    found = _named_twice(ports)
    if running:
        seen = f"open {page}, or " if "display" in running else ""
        found.append(
            problem(
                "ports",
                f"a pipeline is already running here: {', '.join(running)}",
                f"{seen}stop it with Ctrl-C where it was started; a second pipeline needs its "
                "own ports and recordings folder",
            )
        )
    # Their ports are taken by the stages themselves.
    others = [port for port in ports if port.setting.partition(".")[0] not in running]
    found += [_unusable(port) for port in others if port.failure]
    if ports and not found:
        numbers = sorted({port.number for port in ports})
        found.append(good("ports", f"free: {', '.join(map(str, numbers))}"))
    return found


def _unusable(port: Port) -> Finding:
    check = f"port {port.number}"
    if port.failure == errno.EADDRINUSE:
        return problem(
            check,
            f"taken by {port.owner or 'a program of another user'}",
            f"stop that program, or set {port.setting} to another port",
        )
    if port.failure == errno.EADDRNOTAVAIL:
        return problem(
            check,
            f"{port.host} is not an address of this machine",
            f"set {port.setting} to one, or name the stages that run here: emostream doctor STAGE",
        )
    if port.failure == errno.EACCES:
        return problem(
            check, "this user is not allowed to bind it", f"set {port.setting} to a port above 1023"
        )
    return problem(
        check, f"cannot be bound ({os.strerror(port.failure)})", f"set {port.setting} to another"
    )


def _named_twice(ports: Sequence[Port]) -> list[Finding]:
    settings: defaultdict[int, list[str]] = defaultdict(list)
    for port in ports:
        settings[port.number].append(port.setting)
    return [
        problem(f"port {number}", f"{' and '.join(names)} name it", "give each one its own port")
        for number, names in settings.items()
        if len(names) > 1
    ]
