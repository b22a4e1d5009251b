"""What Argo CD and what stands before it answer when they refuse, as one precise `BackendError` each.

Argo CD's gRPC code decides, not the HTTP status (codes 3 and 9 both arrive as 400), then the text where one code means several things
(contract/argocd-api.md §0.5). A text shown is one cleaned line without the secrets that were sent. Not for connections that fail:
`broken`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import msgspec

from backends.errors import (
    BackendError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProtocolError,
    Refused,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from backends.secret import Secret, masked
from backends.text import clean

_CODE_OF_STATUS = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 6, 429: 8, 499: 1, 500: 2, 501: 12, 503: 14, 504: 4}
_LOGIN = re.compile(r"log[ -]?in|sign[ -]?in|sso|oauth|openid|saml|authori[sz]e|authenticat", re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{0,400})", re.IGNORECASE)
_WRAPPING = re.compile(r"failed exit status \d{1,5}: |desc = ")


class ServerFailed(BackendError):
    """Argo CD tried and could not: its own sentence (HTTP 500), mostly that of git or helm on its side."""


class NoSuchCall(ProtocolError):
    """The server does not know this call: an older Argo CD, or no Argo CD at this path."""


class TooManyRequests(Unavailable):
    """HTTP 429. `retry_after` is in seconds, None when the server does not say."""

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class Asked(msgspec.Struct, frozen=True):
    """What a sentence has to know of the question. Operation and target of the error are set by who asked (`connection`).

    Args:
        who: who we said we are ("the token of the file …"), for 401; "" for nobody.
        secrets: what was sent and must not come back in a sentence.
    """

    who: str = ""
    secrets: Sequence[Secret] = ()


class _Refusal(msgspec.Struct):
    """An error body: unary (`error`, `code`, `message`), or that of a stream (`error` is an object)."""

    error: Any = None
    code: int = 0
    message: str = ""


def from_answer(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> BackendError:
    """The error of an answer that is no success. Never raises."""
    if "json" in headers.get("content-type", ""):
        try:
            refusal = msgspec.json.decode(body, type=_Refusal)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _plain(status, headers, body, asked)
        if isinstance(refusal.error, dict):
            return from_stream(refusal.error, asked)
        text = refusal.message or (refusal.error if isinstance(refusal.error, str) else "")
        if status == 429:
            return _too_many(headers, _said(text, asked))
        return _of_code(refusal.code or _CODE_OF_STATUS.get(status, 2), text, asked)
    if _is_html(headers, body):
        return _page(status, headers, body, asked)
    return _plain(status, headers, body, asked)


def from_stream(error: object, asked: Asked) -> BackendError:
    """The error of a stream's last message: `{"grpc_code", "http_code", "message"}`, a bare text, or nothing (a projection eats it)."""
    if not isinstance(error, dict):
        return _of_code(14, str(error or "the server ended the stream without a reason"), asked)
    code, status, message = error.get("grpc_code"), error.get("http_code"), error.get("message")
    if not isinstance(code, int) or not code:
        code = _CODE_OF_STATUS.get(status, 2) if isinstance(status, int) else 2
    return _of_code(code, message if isinstance(message, str) else "", asked)


def not_json(headers: Mapping[str, str], body: bytes, asked: Asked) -> BackendError:
    """The error of a success that is no JSON: a page of a proxy, of a login, of Argo CD's own web interface."""
    if _is_html(headers, body):
        return _page(200, headers, body, asked)
    kind = clean(headers.get("content-type", "no content type"), limit=60)
    return ProtocolError(f"the answer is not JSON but {kind}: {_said(_text_of(body), asked)!r}", hint=_ADDRESS)


def redirected(status: int, here: str, target: str) -> BackendError:
    """The error of a redirect from `here` that is not followed; the target's query is not shown, it may hold a session."""
    place = clean(target.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0], limit=200) or "nowhere"
    from_, to = urlsplit(here), urlsplit(target)
    to_tls = (from_.scheme, to.scheme, from_.hostname) == ("http", "https", to.hostname)
    if _LOGIN.search(target):
        return Unauthorized(f"a login page is before Argo CD: redirected to {place}", hint=_LOGIN_PAGE)
    return ProtocolError(f"redirected (HTTP {status}) to {place}, which is not followed with a token", hint=_TLS if to_tls else _ADDRESS)


_TLS = "https:// in the address, without --plaintext"
_ADDRESS = "is the address right, its path prefix included? --argocd URL"
_LOGIN_PAGE = "reach Argo CD past the single sign-on proxy, or pass what it wants with --header 'NAME: VALUE'"


def _of_code(code: int, text: str, asked: Asked) -> BackendError:
    said = _said(text, asked)
    if code == 16:
        return _unauthorized(said, asked)
    for pattern, make in _BY_TEXT.get(code, ()):
        if pattern in text:
            return make(said)
    return _BY_CODE.get(code, _failed)(said)


Maker = Callable[[str], BackendError]


def _failed(said: str) -> BackendError:
    return ServerFailed(f"Argo CD failed: {said}")


def _unauthorized(said: str, asked: Asked) -> BackendError:
    if not asked.who:
        return Unauthorized(f"not logged in ({said})", hint="--auth-token-file FILE, or argocd login")
    wrong = "five wrong logins lock a user for five minutes" if asked.who.startswith("the password") else ""
    return Unauthorized(f"{asked.who} is not accepted ({said})", hint=wrong or "argocd account generate-token, or argocd login")


def _denied(said: str) -> BackendError:
    if said != "permission denied":
        return Forbidden(said, hint="ask who administers Argo CD for this right")
    return Forbidden(
        "permission denied: it does not exist, or you may not see it",
        maybe_missing=True,
        hint="Argo CD says the same of both; with its project named it says which",
    )


def _of(error: type[BackendError], prefix: str = "", hint: str = "") -> Maker:
    return lambda said: error(f"{prefix}{said}", hint=hint)


_BY_CODE: dict[int, Maker] = {
    1: _of(Unavailable, "Argo CD gave the call up: "),
    3: _of(Invalid),
    4: _of(TimedOut, "Argo CD did not finish in time: "),
    5: _of(NotFound),
    6: _of(Conflict),
    7: _denied,
    8: lambda said: TooManyRequests(f"Argo CD has too much to do: {said}"),
    9: _of(Refused),
    10: _of(Conflict),
    11: _of(Invalid),
    12: _of(NoSuchCall, "this Argo CD cannot do that: ", "a newer Argo CD can"),
    14: _of(Unavailable, "Argo CD cannot answer now: "),
}

_TOO_LARGE = "the answer is larger than the server's own limit: raise ARGOCD_GRPC_MAX_SIZE_MB there, or name a project or a selector"
_BY_TEXT: dict[int, tuple[tuple[str, Maker], ...]] = {
    2: (
        ("error parsing the selector", _of(Invalid)),
        ("not our ref", _of(NotFound, "no such revision in the repository: ")),
        ("built-in script does not exist", _of(NotFound, "no such action: ")),
    ),
    3: (
        ("No operation is in progress", _of(Refused)),
        ("not found as part of application", _of(NotFound)),
        ("existing application spec is different", _of(Conflict)),
        ("existing project spec is different", _of(Conflict)),
        (
            "unable to resolve 'HEAD'",
            _of(Invalid, hint="the repository's HEAD names a branch that is not there yet: point it at the branch in use"),
        ),
        ("repository not accessible", _of(Invalid, hint="Argo CD cannot read the repository: give it the credentials, or the right URL")),
    ),
    7: (("blocked by sync window", _of(Refused, hint="it syncs when the window allows; tiphys why shows until when")),),
    8: (("larger than max", lambda said: Unavailable(said, hint=_TOO_LARGE, retryable=False)),),
    9: (("another operation is already in progress", _of(Conflict, hint="wait for it, or tiphys terminate")),),
}


def _too_many(headers: Mapping[str, str], said: str) -> BackendError:
    if "larger than max" in said:
        return Unavailable(said, hint=_TOO_LARGE, retryable=False)
    value = headers.get("retry-after", "").strip()
    after = float(value) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) else None
    hint = f"again in {after:g} s" if after is not None else "again in a minute"
    return TooManyRequests(f"too many requests (HTTP 429){f': {said}' if said else ''}", retry_after=after, hint=hint)


def _is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("content-type", "") or body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def _page(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> BackendError:
    text = _text_of(body)
    found = _TITLE.search(text)
    title = _said(unescape(found[1]), asked, limit=100) if found else ""
    page = f"a web page answered (HTTP {status}{f', “{title}”' if title else ''})"
    if status == 401 or _LOGIN.search(title) or re.search(r"type=[\"']?password", text, re.IGNORECASE):
        return Unauthorized(f"a login page is before Argo CD: {page}", hint=_LOGIN_PAGE)
    if status == 429:
        return _too_many(headers, "")
    if status == 403:
        return Forbidden(f"{page}: something before Argo CD refuses", hint="ask who runs the proxy or firewall before it")
    if status in (408, 504):
        return TimedOut(f"{page}: a proxy got no answer from Argo CD in time")
    if status >= 500:
        return Unavailable(f"{page}: a proxy cannot reach Argo CD")
    if title.lower().startswith("argo cd"):
        return ProtocolError(f"{page}: Argo CD's own web interface, not its API", hint=_ADDRESS)
    return ProtocolError(f"{page} where Argo CD was expected", hint=_ADDRESS)


def _plain(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> BackendError:
    said = _said(_text_of(body), asked) or f"HTTP {status}"
    if "HTTP request" in said and "HTTPS" in said:
        return ProtocolError("the server speaks TLS and was asked without", hint=_TLS)
    match status:
        case 429:
            return _too_many(headers, "")
        case 404 | 405:
            return NoSuchCall(f"no such call at this address (HTTP {status})", hint=_ADDRESS)
        case 407:
            return Unauthorized(f"the proxy wants a login ({said})", hint="user and password in HTTPS_PROXY's URL")
        case 415:
            return ProtocolError(
                f"the content type was refused ({said})", hint="a proxy changes headers, or the server's allowed content types lack JSON"
            )
        case 502 | 503:
            return Unavailable(f"Argo CD cannot answer now (HTTP {status}: {said})")
    if status not in _CODE_OF_STATUS:
        kind: type[BackendError] = Unavailable if status >= 500 else ProtocolError
        return kind(f"HTTP {status}: {said}")
    return _of_code(_CODE_OF_STATUS[status], said, asked)


def _said(text: str, asked: Asked, *, limit: int = 600) -> str:
    """The line of a text that a person needs: the last one, without the command that failed and the wrapping around it."""
    text = masked(text, asked.secrets)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[-1][: 64 * 1024]
    wrapped = max((found.end() for found in _WRAPPING.finditer(line)), default=0)
    return clean(line[wrapped:].strip() or line, limit=limit)


def _text_of(body: bytes) -> str:
    return body.decode("utf-8", "replace")
