"""The page behind Debian's nginx with the shipped configuration."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from emostream.services.cli.processes.pipeline import free_ports
from emostream.shared.config import Config
from emostream.shared.tls import unverified_context
from tests.builders import event
from tests.bus.site import Site, emotion, serving
from tests.certificates import certificate
from tests.conftest import require_tool
from tests.web_access import access

WAIT = 30.0
SHIPPED = Path(__file__).parents[2] / "docker" / "nginx" / "emostream.conf"
NAME = "faces.example.org"
OPERATOR, VIEWER = "operator-s", "viewer-s"
AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/emostream.conf;
}}
"""


class Proxy(NamedTuple):
    """An nginx before a display."""

    site: Site
    http: int
    https: int
    log: Path

    @property
    def host(self) -> str:
        """What a browser sends as Host."""
        return f"{NAME}:{self.https}"

    def client(self) -> httpx2.Client:
        """Return a browser that knows the proxy's address by its name."""
        return httpx2.Client(
            base_url=f"https://127.0.0.1:{self.https}",
            headers={"host": self.host, "accept": "text/html,*/*"},
            verify=unverified_context(),
            trust_env=False,
            timeout=WAIT,
        )

    def watch(self, origin: str, **headers: str) -> ClientConnection:
        return connect(
            f"wss://{self.host}/live",
            sock=socket.create_connection(("127.0.0.1", self.https)),
            ssl=unverified_context(),
            origin=Origin(origin),
            additional_headers=headers,
        )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    nginx, folder = require_tool("nginx"), tmp_path_factory.mktemp("nginx")
    pair, (http, https) = certificate(folder), free_ports(2)
    tokens = access(OPERATOR, VIEWER, guarded=True)
    with serving(tokens, config=Config(allowed_hosts=(NAME,))) as site:
        site.state.add_results(emotion("fear"))
        log = folder / "access.log"
        text = SHIPPED.read_text("utf-8")
        for shipped, here in (
            (r"listen 80;", f"listen 127.0.0.1:{http};"),
            (r"listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
            (r"/etc/emostream/fullchain\.pem", str(pair.cert)),
            (r"/etc/emostream/privkey\.pem", str(pair.key)),
            (r"/var/log/nginx/emostream\.log", str(log)),
            (r"http://127\.0\.0\.1:8080", site.server.url),
        ):
            text, count = re.subn(shipped, here, text)
            assert count, shipped
        (folder / "emostream.conf").write_text(text)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        process = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf"])
        try:
            _wait_for(https, process)
            yield Proxy(site, http, https, log)
        finally:
            process.terminate()
            process.wait(WAIT)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT
    while True:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_person_signs_in_through_the_proxy(proxy: Proxy) -> None:
    here = f"https://{proxy.host}"
    with proxy.client() as browser:
        assert browser.get("/").headers["location"].removeprefix(here) == "/signin"
        assert browser.get("/api/state", headers={"accept": "*/*"}).status_code == 401
        foreign = {"origin": "https://elsewhere.example"}
        assert browser.post("/signin", data={"token": VIEWER}, headers=foreign).status_code == 403
        answer = browser.post("/signin", data={"token": VIEWER}, headers={"origin": here})
        assert answer.headers["location"].removeprefix(here) == "/"
        assert answer.headers["set-cookie"].startswith("__Host-emostream-")
        assert "; Secure" in answer.headers["set-cookie"]
        assert browser.get("/settings.json").json()["role"] == "viewer"
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        with proxy.watch(here, cookie=cookie) as viewer:
            assert "cam1" in json.loads(viewer.recv(timeout=WAIT))["streams"]
        with pytest.raises(InvalidStatus) as refused:
            proxy.watch("https://elsewhere.example", cookie=cookie)
        assert refused.value.response.status_code == 403


def test_events_come_as_they_happen(proxy: Proxy) -> None:
    headers = {"authorization": f"Bearer {VIEWER}"}
    with proxy.client() as client, client.stream("GET", "/events", headers=headers) as answer:
        proxy.site.state.add_event(event(0, label="fear"))
        assert next(line for line in answer.iter_lines() if "fear" in line)


def test_a_command_goes_through(proxy: Proxy) -> None:
    content = '{"stream": "cam1", "command": "record", "arguments": {"on": true}}'
    headers = {"content-type": "application/json", "origin": f"https://{proxy.host}"}
    with proxy.client() as client:
        for token, status in ((OPERATOR, 202), (VIEWER, 403)):
            headers["authorization"] = f"Bearer {token}"
            answer = client.post("/api/control", content=content, headers=headers)
            assert answer.status_code == status


def test_other_names_are_refused_and_http_leads_to_https(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get("/signin", headers={"host": "elsewhere.example"}).status_code == 403
    answer = httpx2.get(
        f"http://127.0.0.1:{proxy.http}/?token={VIEWER}", headers={"host": NAME}, trust_env=False
    )
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/")


def test_the_proxy_logs_no_token_and_limits_who_tries_many(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get("/", params={"token": VIEWER}).status_code == 303
        codes = {client.get("/signin").status_code for _ in range(30)}
    assert codes == {200, 429}
    written = proxy.log.read_text("utf-8")
    assert '"GET /"' in written
    assert VIEWER not in written
