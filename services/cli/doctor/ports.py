"""Whether the addresses that the stages bind are free, and who has them where they are not."""

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
from emostream.shared.addresses import ADVICE, TCP, is_loopback, local_host
from emostream.shared.config import Config
from emostream.shared.config.schema import SecurityMode

ANSWER_WITHIN_S: Final = 1.0


@dataclass(frozen=True)
class Port:
    """An address that a setting names; `failure` is the errno with which it cannot be bound.

    `owner` is the program that has it, as far as this user may know.
    """

    setting: str
    host: str
    number: int
    failure: int = 0
    owner: str = ""


def findings(config: Config, stages: Sequence[str]) -> list[Finding]:
    """Check the ports of these stages."""
    running = [stage for stage in stages if answers(getattr(config, stage).metrics)]
    ports = [probe(*address) for address in addresses(config, stages)]
    return check(ports, running, config.display.page, config.security.mode)


def addresses(config: Config, stages: Sequence[str]) -> list[tuple[str, str, int]]:
    """Return setting, host and port of all that these stages bind; none that is chosen anew."""
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
    """Try to bind the address for a moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        if os.name == "posix":
            # As the stages do it: what an ended one left behind is no obstacle.
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


def answers(metrics: str) -> bool:
    """Say whether a stage of emostream answers on the address of its metrics."""
    host, _, number = metrics.rpartition(":")
    connection = http.client.HTTPConnection(local_host(host), int(number), timeout=ANSWER_WITHIN_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/livez")
            return "live" in json.loads(connection.getresponse().read(1000))
        except (OSError, http.client.HTTPException, ValueError, TypeError):
            return False


def owner_of(number: int) -> str:
    """Return the program that listens on the port, "" where this user may not know."""
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
    """Return what a person calls the process: `emostream capture (pid 12)`, `nginx (pid 7)`."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        name = process.name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return f"pid {pid}"
    if arguments := arguments_of(words):
        name = f"emostream {arguments[0]}"
    return f"{name} (pid {pid})"


def check(
    ports: Sequence[Port], running: Sequence[str], page: str, mode: SecurityMode
) -> list[Finding]:
    """Judge the addresses; `running` are the stages that answer on theirs, `page` is the page's."""
    found = [*_exposed(ports, mode), *_named_twice(ports)]
    if running:
        found.append(
            problem(
                "ports",
                f"a pipeline already runs here: {', '.join(running)} answer",
                f"look at it on http://{page}, or end it with Ctrl-C where it was started; a second"
                " one needs ports and a recordings folder of its own",
            )
        )
    # Their ports are taken by themselves.
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
            f"end that program, or set {port.setting} to another port",
        )
    if port.failure == errno.EADDRNOTAVAIL:
        return problem(
            check,
            f"{port.host} is no address of this machine",
            f"set {port.setting} to one, or name the stages that run here: emostream doctor STAGE",
        )
    if port.failure == errno.EACCES:
        return problem(
            check, "this user may not bind it", f"set {port.setting} to a port above 1023"
        )
    return problem(
        check, f"cannot be bound ({os.strerror(port.failure)})", f"set {port.setting} to another"
    )


def _exposed(ports: Sequence[Port], mode: SecurityMode) -> list[Finding]:
    """Judge the addresses of HTTP; those of the bus are encrypted beyond loopback."""
    return [
        problem(
            f"port {port.number}",
            f"{port.setting} can be reached from other hosts and nothing is encrypted",
            ADVICE,
        )
        for port in ports
        if mode != "disabled" and not (port.setting.endswith(".bind") or is_loopback(port.host))
    ]


def _named_twice(ports: Sequence[Port]) -> list[Finding]:
    settings: defaultdict[int, list[str]] = defaultdict(list)
    for port in ports:
        settings[port.number].append(port.setting)
    return [
        problem(f"port {number}", f"{' and '.join(names)} name it", "give each its own port")
        for number, names in settings.items()
        if len(names) > 1
    ]
