"""From flags, environment and the argocd CLI's configuration to one endpoint, and no token to another server."""

import base64
from pathlib import Path

import pytest

from backends.argocd.cliconfig import config_path, read
from backends.argocd.options import Options, contexts, resolve
from backends.errors import Invalid, NotFound, Refused, Unauthorized
from backends.secret import Secret

CONFIG = """\
current-context: argo.example.org
contexts:
- {name: argo.example.org, server: argo.example.org, user: argo.example.org}
- {name: tools/argo, server: tools.example.org:8443, user: tools/argo}
- {name: plain, server: 127.0.0.1:8080, user: plain}
- {name: kubernetes, server: kubernetes, user: kubernetes}
- {name: forwarded, server: port-forward, user: forwarded}
- {name: homeless, server: nowhere.example.org, user: x}
servers:
- {server: argo.example.org, grpc-web: true}
- {server: tools.example.org:8443, grpc-web-root-path: /argo/, insecure: true, certificate-authority-data: CA_DATA}
- {server: 127.0.0.1:8080, plain-text: true}
- {server: kubernetes, core: true}
- {server: port-forward}
users:
- {name: argo.example.org, auth-token: token-of-argo, refresh-token: r}
- {name: tools/argo, auth-token: token-of-tools}
- {name: plain, auth-token: token-of-plain}
prompts-enabled: false
"""
PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose argocd CLI knows some servers."""
    path = tmp_path / "config"
    path.write_text(CONFIG.replace("CA_DATA", base64.b64encode(PEM.encode()).decode()))
    path.chmod(0o600)
    return {"ARGOCD_CONFIG_DIR": str(tmp_path)}


def token_of(options: Options, environ: dict[str, str]) -> str:
    source = resolve(options, environ=environ).token
    return source.read().reveal() if source else ""


def test_the_current_context_is_the_default(environ: dict[str, str]) -> None:
    endpoint = resolve(Options(), environ=environ)
    assert "https://argo.example.org" == endpoint.url
    assert "token-of-argo" == token_of(Options(), environ)


def test_a_context_brings_its_address_its_token_and_its_trust(environ: dict[str, str]) -> None:
    options = Options(argocd_context="tools/argo")
    endpoint = resolve(options, environ=environ)

    assert "https://tools.example.org:8443/argo" == endpoint.url
    assert (True, PEM) == (endpoint.insecure, endpoint.ca)
    assert "token-of-tools" == token_of(options, environ)
    assert "the argocd context tools/argo" == endpoint.token.name if endpoint.token else False


def test_a_plain_text_context_is_http(environ: dict[str, str]) -> None:
    assert "http://127.0.0.1:8080" == resolve(Options(argocd_context="plain"), environ=environ).url


def test_contexts_are_listed_with_what_is_wrong_with_them(environ: dict[str, str]) -> None:
    config = contexts(environ)
    assert "argo.example.org" == config.current
    assert [
        ("argo.example.org", ""),
        ("tools/argo", ""),
        ("plain", ""),
        ("kubernetes", "it is for core mode: Kubernetes, no address of an Argo CD"),
        ("forwarded", "it is for a port-forward, which has no address of its own"),
        ("homeless", "its server is not in the file"),
    ] == [(context.name, context.trouble) for context in config.contexts]


@pytest.mark.parametrize("name", ["kubernetes", "forwarded", "homeless"])
def test_a_context_without_an_address_is_refused(environ: dict[str, str], name: str) -> None:
    with pytest.raises(Refused, match=f"the argocd context {name} cannot be used"):
        resolve(Options(argocd_context=name), environ=environ)


def test_an_unknown_context_suggests_the_nearest(environ: dict[str, str]) -> None:
    with pytest.raises(NotFound) as caught:
        resolve(Options(argocd_context="plan"), environ=environ)
    assert "plain" == caught.value.suggestion
    with pytest.raises(NotFound, match="no context") as caught:
        resolve(Options(argocd_context="zzzzzzzz"), environ=environ)
    assert "argo.example.org, tools/argo" in caught.value.hint


def test_a_typed_address_takes_the_token_of_the_context_with_the_same_origin_alone(environ: dict[str, str]) -> None:
    assert "token-of-argo" == token_of(Options(url="https://argo.example.org"), environ)
    assert "token-of-tools" == token_of(Options(url="https://tools.example.org:8443/argo"), environ)
    assert "" == token_of(Options(url="http://argo.example.org"), environ)
    assert "" == token_of(Options(url="https://argo.example.org:8443"), environ)
    assert "" == token_of(Options(url="https://argo.example.org.evil.example"), environ)


def test_a_contexts_token_is_not_sent_to_another_server(environ: dict[str, str]) -> None:
    with pytest.raises(Refused, match=r"belongs to https://argo.example.org: its token is not sent to https://evil.example"):
        resolve(Options(url="https://evil.example", argocd_context="argo.example.org"), environ=environ)


def test_a_flag_comes_before_the_environment_and_that_before_the_configuration(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("token-of-file")
    file.chmod(0o600)
    both = {**environ, "TIPHYS_ARGOCD_TOKEN": "token-of-tiphys", "ARGOCD_AUTH_TOKEN": "token-of-argocd"}
    url = "https://argo.example.org"

    assert "token-of-file" == token_of(Options(url=url, auth_token_file=str(file)), both)
    assert "token-of-tiphys" == token_of(Options(url=url), both)
    assert "token-of-argocd" == token_of(Options(url=url), {**environ, "ARGOCD_AUTH_TOKEN": "token-of-argocd"})
    assert "token-of-tools" == token_of(Options(argocd_context="tools/argo"), both)


def test_the_argocd_variables_belong_together(environ: dict[str, str]) -> None:
    named = {**environ, "ARGOCD_SERVER": "other.example.org", "ARGOCD_AUTH_TOKEN": "token-of-other"}

    assert "https://other.example.org" == resolve(Options(), environ=named).url
    assert "token-of-other" == token_of(Options(), named)
    assert "" == token_of(Options(url="https://third.example.org"), named)
    assert "token-of-argo" == token_of(Options(url="https://argo.example.org"), named)
    assert "token-of-argo" == token_of(Options(url="https://argo.example.org"), {**named, "ARGOCD_SERVER": "a b"})


def test_without_anything_named_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no Argo CD was named") as caught:
        resolve(Options(), environ={"ARGOCD_CONFIG_DIR": str(tmp_path)})
    assert "--argocd URL" in caught.value.hint
    assert None is resolve(Options(url="https://x"), environ={"ARGOCD_CONFIG_DIR": str(tmp_path)}).token


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
def test_a_configuration_that_others_may_read_is_refused(environ: dict[str, str], mode: int) -> None:
    (Path(environ["ARGOCD_CONFIG_DIR"]) / "config").chmod(mode)
    with pytest.raises(Refused, match="others may read it") as caught:
        resolve(Options(), environ=environ)
    assert caught.value.hint.startswith("chmod 600")


@pytest.mark.parametrize("text", ["a: [", "- just\n- a list", "\t", "!!python/object/apply:os.system ['true']"])
def test_a_configuration_that_is_none_is_named_and_never_quoted(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, f"{text}\n# token-canary\n")
    with pytest.raises(Invalid, match="the argocd CLI's configuration is not") as caught:
        read(path)
    assert "canary" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("text", ["", "contexts: 5", "contexts: [[], 3, {name: 4}]", "a: &a [*a, *a]"])
def test_a_strange_configuration_has_no_contexts(tmp_path: Path, text: str) -> None:
    assert () == read(written(tmp_path, text)).contexts


def written(folder: Path, text: str) -> Path:
    path = folder / "config"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_certificates_that_cannot_be_read_make_a_context_unusable(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("contexts: [{name: a, server: s, user: u}]\nservers: [{server: s, certificate-authority-data: '%%%'}]\n")
    path.chmod(0o600)
    assert ["its address or its certificates cannot be read"] == [context.trouble for context in read(path).contexts]


def test_the_configuration_is_looked_for_where_the_cli_keeps_it(tmp_path: Path) -> None:
    assert Path("/x/config") == config_path({"ARGOCD_CONFIG_DIR": "/x"}, tmp_path)
    assert tmp_path / ".config/argocd/config" == config_path({}, tmp_path)
    assert Path("/xdg/argocd/config") == config_path({"XDG_CONFIG_HOME": "/xdg"}, tmp_path)
    (tmp_path / ".argocd").mkdir()
    assert tmp_path / ".argocd/config" == config_path({"XDG_CONFIG_HOME": "/xdg"}, tmp_path)


def test_a_password_comes_from_a_file_or_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("pass word\n")
    file.chmod(0o600)
    from backends.argocd.auth import Login

    from_file = resolve(Options(url="https://x", username="admin", password_file=str(file)), environ={}).token
    asked = resolve(Options(url="https://x", username="admin"), environ={}, ask_password=lambda user: Secret(f"typed by {user}")).token
    assert isinstance(from_file, Login)
    assert isinstance(asked, Login)
    assert ("pass word", "typed by admin") == (from_file.password.reveal(), asked.password.reveal())
    with pytest.raises(Unauthorized, match="the password of admin is needed"):
        resolve(Options(url="https://x", username="admin"), environ={})


def test_files_of_certificates_are_read_and_named_when_they_are_not_there(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_text("certificate")
    key.write_text("key")
    key.chmod(0o600)
    base = {"url": "https://x", "ca_file": str(certificate), "client_certificate": str(certificate), "client_key": str(key)}
    endpoint = resolve(Options(**base), environ={})
    assert ("certificate", "certificate\nkey") == (endpoint.ca, endpoint.client_certificate.reveal() if endpoint.client_certificate else "")

    key.chmod(0o644)
    with pytest.raises(Refused, match="others may read it"):
        resolve(Options(**base), environ={})
    with pytest.raises(Invalid, match=r"the CA file .*none cannot be read: No such file"):
        resolve(Options(url="https://x", ca_file=str(tmp_path / "none")), environ={})
    with pytest.raises(Invalid, match="a client key without its certificate"):
        resolve(Options(url="https://x", client_key=str(key)), environ={})
