"""From what the user typed, the environment and the argocd CLI's configuration to one `Endpoint`.

A flag comes before the environment, the environment before the configuration. A token goes only to the server it belongs to: that of a
context to the context's origin, `ARGOCD_AUTH_TOKEN` not to another server than `ARGOCD_SERVER` where that is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from backends.argocd import cliconfig
from backends.argocd.auth import FixedToken, Login, TokenFile, TokenFrom, TokenSource, read_private
from backends.argocd.cliconfig import CliConfig, Context
from backends.argocd.endpoint import Endpoint, Timeouts, origin_of, parse_header, parse_url
from backends.argocd.proxy import proxy_for
from backends.errors import Invalid, Refused, Unauthorized
from backends.secret import Secret, Unshown
from backends.text import clean


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Connection options as the command line has them; an empty one was not given."""

    url: str = ""
    auth_token_file: str = ""
    argocd_context: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure: bool = False
    plaintext: bool = False
    headers: Sequence[Secret | str] = ()
    readonly: bool = False


def resolve(
    options: Options,
    *,
    environ: Mapping[str, str] | None = None,
    ask_password: Callable[[str], Secret] | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
) -> Endpoint:
    """The endpoint that the options name.

    Args:
        ask_password: asks for the password of a user where there is a terminal; None: there is none.

    Raises `Invalid` for what cannot be an address, a header or a certificate, `Refused` for a file that others may read and for a context
    of another server, `NotFound` for an unknown context, `Unauthorized` when a token was named and is not there.
    """
    environ = Unshown(os.environ if environ is None else environ)
    url, context = _address(options, environ)
    token = _named_token(options, environ, url, ask_password)
    if token is None and context is None:
        context = cliconfig.read(cliconfig.config_path(environ)).of_server(url)
    if token is None and context is not None and context.token:
        token = _of_context(context, cliconfig.config_path(environ))
    return Endpoint(
        url=url,
        token=token,
        ca=_file(options.ca_file, "CA") or (context.ca if context else ""),
        client_certificate=_client_certificate(options) or (context.client_certificate if context else None),
        insecure=options.insecure or (context is not None and context.insecure),
        headers=tuple(parse_header(each) for each in options.headers),
        proxy=proxy_for(url, environ),
        readonly=options.readonly,
        timeouts=timeouts,
    )


def contexts(environ: Mapping[str, str] | None = None) -> CliConfig:
    """The contexts of the argocd CLI's configuration. Raises `Refused`, `Invalid`."""
    return cliconfig.read(cliconfig.config_path(os.environ if environ is None else environ))


def _address(options: Options, environ: Mapping[str, str]) -> tuple[str, Context | None]:
    """The base URL, and the context that was asked for or whose URL it is."""
    typed = options.url or ("" if options.argocd_context else environ.get("ARGOCD_SERVER", ""))
    if options.argocd_context:
        context = contexts(environ).named(options.argocd_context)
        if not typed:
            return context.url, context
        url = parse_url(typed, plaintext=options.plaintext)
        if origin_of(url) != origin_of(context.url):
            raise Refused(
                f"the argocd context {clean(context.name, limit=80)} belongs to {context.url}: its token is not sent to {url}",
                hint=f"--argocd {context.url}, or another context",
            )
        return url, context
    if typed:
        return parse_url(typed, plaintext=options.plaintext), None
    config = contexts(environ)
    if not config.current:
        raise Invalid("no Argo CD was named", hint="--argocd URL, or argocd login and its context is taken")
    context = config.named(config.current)
    return context.url, context


def _named_token(
    options: Options, environ: Mapping[str, str], url: str, ask_password: Callable[[str], Secret] | None
) -> TokenSource | None:
    """The token that a flag or the environment names for this server."""
    if options.auth_token_file:
        return TokenFile(Path(options.auth_token_file).expanduser())
    if options.username:
        return Login(options.username, _password(options, ask_password))
    if options.argocd_context:
        return None
    if environ.get("TIPHYS_ARGOCD_TOKEN"):
        return FixedToken(Secret(environ["TIPHYS_ARGOCD_TOKEN"]), "TIPHYS_ARGOCD_TOKEN")
    if environ.get("ARGOCD_AUTH_TOKEN") and _meant_for(environ.get("ARGOCD_SERVER", ""), url):
        return FixedToken(Secret(environ["ARGOCD_AUTH_TOKEN"]), "ARGOCD_AUTH_TOKEN")
    return None


def _meant_for(server: str, url: str) -> bool:
    """Whether `ARGOCD_SERVER` (host and port, seldom a scheme) is unset or the server of `url`."""
    if not server:
        return True
    try:
        return origin_of(parse_url(server, plaintext=url.startswith("http:"))) == origin_of(url)
    except Invalid:
        return False


def _password(options: Options, ask: Callable[[str], Secret] | None) -> Secret:
    if options.password_file:
        text = read_private(Path(options.password_file).expanduser(), "password").rstrip("\r\n")
        if not text:
            raise Unauthorized("the password file is empty", target=clean(options.password_file))
        return Secret(text)
    if ask is None:
        raise Unauthorized(
            f"the password of {clean(options.username, limit=80)} is needed", hint="--password-file FILE, or --auth-token-file FILE"
        )
    return ask(options.username)


def _of_context(context: Context, path: Path) -> TokenFrom:
    """The token of a context, read again when the server refuses it (`argocd relogin` may have written a new one)."""
    name = context.name

    def again() -> str:
        return next((each.token.reveal() for each in cliconfig.read(path).contexts if each.name == name), "")

    return TokenFrom(f"the argocd context {clean(name, limit=80)}", again)


def _client_certificate(options: Options) -> Secret | None:
    if not options.client_certificate and not options.client_key:
        return None
    if not options.client_certificate:
        raise Invalid("a client key without its certificate", hint="--client-certificate FILE")
    certificate = _file(options.client_certificate, "client certificate")
    key = read_private(Path(options.client_key).expanduser(), "client key") if options.client_key else ""
    return Secret(f"{certificate}\n{key}")


def _file(path: str, what: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text("ascii")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a PEM file"
        raise Invalid(f"the {what} file {clean(path, limit=200)} cannot be read: {reason}") from None
