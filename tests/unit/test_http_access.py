"""Which HTTP addresses need a token or a certificate, and what is said where one is missing."""

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from emostream.services.cli.main import main
from emostream.shared.config import load
from emostream.shared.errors import ConfigError
from emostream.shared.http_access import HttpAccess, log_if_plain, metrics_access, page_access
from emostream.shared.token_files import SETTINGS, Role, TokenFile, read_token
from tests.certificates import Pair, certificate, expired_certificate, with_password

PAGE = 'display.page="0.0.0.0:8080"'
METRICS = 'detector.metrics="192.0.2.7:9102"'


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The setting of an empty folder of keys."""
    (tmp_path / "keys").mkdir(0o700)
    return f'security.folder="{tmp_path / "keys"}"'


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificate(tmp_path_factory.mktemp("tls"))


def config(*settings: str) -> Any:
    return load(None, list(settings))


def secret(path: Path, text: str = "sesame") -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def tls(pair: Pair) -> tuple[str, str]:
    return f'display.tls_cert="{pair.cert}"', f'display.tls_key="{pair.key}"'


def test_on_loopback_nothing_is_needed() -> None:
    assert page_access(config()) == HttpAccess({})
    assert metrics_access(config(), "detector") == HttpAccess({})


def test_tokens_in_the_folder_of_the_keys_count_where_others_reach_the_address(
    keys: str, tmp_path: Path
) -> None:
    for role in Role:
        secret(tmp_path / "keys" / f"{role}.token", role)
    for local in (page_access(config(keys)), metrics_access(config(keys), "detector")):
        assert (local.tokens, local.is_guarded) == ({}, False)
    page = page_access(config(keys, PAGE))
    assert {role: token() for role, token in page.tokens.items()} == {
        Role.OPERATOR: "operator", Role.VIEWER: "viewer",
    }  # fmt: skip
    metrics = metrics_access(config(keys, METRICS), "detector")
    assert metrics.tokens[Role.METRICS]() == "metrics"
    assert page.is_guarded
    assert metrics.is_guarded
    assert not metrics_access(config(keys, METRICS), "classifier").is_guarded


def test_a_token_that_is_missing_is_one_line_with_the_command(
    keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, setting, role in (("display", PAGE, "operator"), ("detector", METRICS, "metrics")):
        assert main([stage, "--check-config", "--set", keys, "--set", setting]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "can be reached from other hosts" in said
        assert f"run emostream keys token {role}" in said


def test_the_command_makes_a_token_that_lets_the_stage_start(
    keys: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "token", "viewer", "--set", keys]) == 0
    token = capsys.readouterr().out.strip()
    file = tmp_path / "keys" / "viewer.token"
    assert read_token(file, "x") == token
    assert len(token) > 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert main(["display", "--check-config", "--set", keys, "--set", PAGE]) == 0
    assert main(["keys", "token", "viewer", "--set", keys]) == 0
    assert token in capsys.readouterr().out
    assert main(["keys", "token", "viewer", "--new", "--set", keys]) == 0
    assert read_token(file, "x") == capsys.readouterr().out.strip() != token


def test_what_an_editor_adds_to_a_token_does_not_matter_and_more_than_one_is_refused(
    tmp_path: Path,
) -> None:
    file = secret(tmp_path / "token")
    for written in (b"sesame", b"sesame\r\n", b"\xef\xbb\xbfsesame\n", b"\n sesame \n"):
        file.write_bytes(written)
        assert read_token(file, "x") == "sesame"
    for written in (b"sesame\nother\n", b"ses\0ame"):
        file.write_bytes(written)
        with pytest.raises(ConfigError, match=r"x: .*token contains more than one line"):
            read_token(file, "x")


def test_a_token_goes_where_the_configuration_wants_it(
    keys: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine"
    named = f'security.metrics_token_file="{file}"'
    assert main(["keys", "token", "metrics", "--set", keys, "--set", named]) == 0
    assert read_token(file, "x") == capsys.readouterr().out.strip()
    # What is named counts on loopback too.
    assert metrics_access(config(named), "detector").is_guarded


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_may_read_is_refused(
    keys: str, mode: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret(tmp_path / "keys" / "operator.token").chmod(mode)
    assert main(["display", "--check-config", "--set", keys, "--set", PAGE]) == 2
    assert "operator.token is readable by other users; run chmod 600" in capsys.readouterr().err


def test_where_security_is_disabled_only_named_tokens_count(keys: str, tmp_path: Path) -> None:
    secret(tmp_path / "keys" / "operator.token")
    disabled = ('security.mode="disabled"', keys, PAGE, METRICS)
    assert not metrics_access(config(*disabled), "detector").is_guarded
    open_page = page_access(config(*disabled))
    assert (open_page.tokens, open_page.is_guarded, open_page.is_exposed) == ({}, False, True)
    viewer = secret(tmp_path / "viewer")
    assert page_access(config(*disabled, f'display.viewer_token_file="{viewer}"')).is_guarded


def test_a_named_operator_guards_commands_alone_and_a_named_viewer_all(tmp_path: Path) -> None:
    file = secret(tmp_path / "token")
    assert not page_access(config(f'display.token_file="{file}"')).is_guarded
    # As a page on loopback behind a reverse proxy has it.
    assert page_access(config(f'display.viewer_token_file="{file}"')).is_guarded


def test_a_changed_token_counts_at_once_and_one_that_is_unusable_shuts_all_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = secret(tmp_path / "token")
    token = TokenFile(file, "display.token_file")
    secret(tmp_path / "next", "open now").replace(file)
    assert token.token() == "open now"
    for spoil in (lambda: file.chmod(0o644), lambda: file.write_text(""), file.unlink):
        secret(tmp_path / "next", "good").replace(file)
        assert token.token() == "good"
        caplog.clear()
        spoil()
        assert [token.token(), token.token()] == ["", ""]
        (line,) = caplog.messages
        assert "display.token_file" in line
        assert "good" not in line


def test_where_encryption_is_required_http_takes_a_certificate(
    keys: str, tmp_path: Path, pair: Pair
) -> None:
    for role in Role:
        secret(tmp_path / "keys" / f"{role}.token")
    required = (keys, 'security.mode="required"', PAGE, METRICS)
    with pytest.raises(
        ConfigError, match=r"display\.page .*display\.tls_cert and display\.tls_key"
    ):
        page_access(config(*required))
    with pytest.raises(ConfigError, match=r"detector\.metrics .*display\.tls_cert"):
        metrics_access(config(*required), "detector")
    assert page_access(config(*required, *tls(pair))).certificate
    assert metrics_access(config(*required, *tls(pair)), "detector").certificate
    # Metrics on loopback stay plain.
    assert metrics_access(config(*required, *tls(pair)), "classifier").certificate is None


def test_a_token_in_the_clear_is_warned_of(
    keys: str, tmp_path: Path, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    secret(tmp_path / "keys" / "operator.token")
    log_if_plain(page_access(config(keys, PAGE, *tls(pair))), "display.page")
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        log_if_plain(page_access(config(keys, PAGE)), "display.page 0.0.0.0:8080")
    assert "display.page 0.0.0.0:8080 is not encrypted, including its token" in caplog.text


def test_a_certificate_that_cannot_be_used_is_named(pair: Pair, tmp_path: Path) -> None:
    other, old = certificate(tmp_path), expired_certificate(tmp_path)
    junk, shared = secret(tmp_path / "junk"), secret(tmp_path / "shared", pair.key.read_text())
    shared.chmod(0o644)
    broken = ssl.PEM_HEADER + "\nAAAA\n" + ssl.PEM_FOOTER + "\n"
    chain = secret(tmp_path / "chain", pair.cert.read_text() + broken)
    for cert, key, said in (
        (pair.cert, tmp_path / "none", "tls_key: .*none cannot be read: No such file"),
        (tmp_path / "none", pair.key, "tls_cert: .*none cannot be read: No such file"),
        (junk, pair.key, "tls_cert: .*junk contains no certificate"),
        (chain, pair.key, "tls_cert: .*chain contains a damaged certificate"),
        (pair.cert, junk, "tls_key: .*junk contains no private key"),
        (pair.cert, other.key, f"tls_key: {other.key} does not belong to the certificate"),
        (pair.cert, shared, "tls_key: .*shared is readable by other users; run chmod 600"),
        (pair.cert, with_password(pair.key), "tls_key: .*encrypted with a password"),
        (old.cert, old.key, "tls_cert: .*expired.crt: certificate has expired"),
    ):
        with pytest.raises(ConfigError, match=said):
            page_access(config(*tls(Pair(cert, key))))


def test_a_certificate_without_its_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["display", "--check-config", "--set", 'display.tls_cert="a.crt"']) == 2
    assert "display.tls_key" in capsys.readouterr().err


@pytest.mark.parametrize("role", list(Role))
def test_a_token_file_that_is_missing_is_refused_with_the_command_that_makes_it(
    tmp_path: Path, role: Role
) -> None:
    with pytest.raises(
        ConfigError, match=f"No such file.*; emostream keys token {role} creates it"
    ):
        read_token(tmp_path / "none", SETTINGS[role])
