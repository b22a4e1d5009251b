"""Who is asking and what they may: accounts, tokens, and policies in Argo CD's words.

Tokens are JWTs signed with a secret of this sandbox; they prove nothing anywhere else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

from backends.sandbox.globs import matches
from backends.sandbox.objects import Manifest

SESSION = 24 * 3600
RENEW = 300
"""Seconds before its end from which a login token is renewed with an answer."""
RESOURCES = (
    "clusters",
    "projects",
    "applications",
    "applicationsets",
    "repositories",
    "write-repositories",
    "certificates",
    "accounts",
    "gpgkeys",
    "logs",
    "exec",
    "extensions",
)
ACTIONS = ("get", "create", "update", "delete", "sync", "rollback", "override", "action", "invoke")

POLICY = (
    ("admin", "*", "*", "*"),
    ("ci", "*", "*", "*"),
    ("viewer", "applications", "get", "*/*"),
    ("viewer", "logs", "get", "*/*"),
    # what the restricted account of the recordings may: one environment, and no logs
    ("restricted", "applications", "get", "*--dev/*"),
    ("restricted", "applications", "get", "dev/*"),
    ("restricted", "projects", "get", "*--dev"),
    ("restricted", "projects", "get", "dev"),
)


class Claims(NamedTuple):
    """Who a token says its bearer is."""

    subject: str
    issued: int
    expires: int | None
    login: bool


class Unauthenticated(Exception):
    """Why a token was refused, in Argo CD's words."""


class Denied(Exception):
    """What was not permitted, in Argo CD's words."""


class Access:
    """The accounts of one sandbox.

    Args:
        secret: signs tokens; whoever knows it can make them.
        password: the administrator's.
    """

    def __init__(self, secret: str = "", password: str = "") -> None:
        self.secret = secret or secrets.token_hex(32)
        self.password = password or secrets.token_urlsafe(12)
        self.accounts: dict[str, list[Manifest]] = {name: [] for name in ("admin", "ci", "viewer", "restricted")}
        self._revoked: set[str] = set()

    def issue(self, account: str, *, login: bool = False, lifetime: int | None = None, token_id: str = "") -> str:
        """A token of an account; `lifetime` in seconds, None for one that does not end."""
        now = int(datetime.now(UTC).timestamp())
        claims: Manifest = {
            "iss": "argocd",
            "sub": f"{account}:{'login' if login else 'apiKey'}",
            "nbf": now,
            "iat": now,
            "jti": token_id or secrets.token_hex(8),
        }
        if lifetime is not None:
            claims["exp"] = now + lifetime
        if not login:
            entry = {"id": claims["jti"], "issuedAt": now}
            self.accounts[account].append(entry | ({"expiresAt": claims["exp"]} if lifetime is not None else {}))
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = f"{head}.{_encode(json.dumps(claims).encode())}"
        return f"{body}.{self._sign(body)}"

    def check(self, token: str) -> Claims:
        """Raises `Unauthenticated`."""
        if token.count(".") != 2:
            raise Unauthenticated("no session information")
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._sign(body)):
            raise Unauthenticated("invalid session: token signature is invalid: signature is invalid")
        try:
            claims = json.loads(_decode(body.partition(".")[2]))
        except (binascii.Error, ValueError) as error:
            raise Unauthenticated("invalid session: token is malformed") from error
        account, _, capability = str(claims.get("sub", "")).partition(":")
        if claims.get("exp") is not None and int(claims["exp"]) < datetime.now(UTC).timestamp():
            raise Unauthenticated("invalid session: token has invalid claims: token is expired")
        if account not in self.accounts or claims.get("jti") in self._revoked:
            raise Unauthenticated(f"invalid session: account {account} does not have token with id {claims.get('jti')}")
        return Claims(account, int(claims["iat"]), claims.get("exp"), capability == "login")

    def renewal(self, claims: Claims) -> str:
        """A fresh token for a login session that ends soon; "" otherwise."""
        if not claims.login or claims.expires is None or claims.expires - datetime.now(UTC).timestamp() > RENEW:
            return ""
        return self.issue(claims.subject, login=True, lifetime=SESSION)

    def log_in(self, username: str, password: str) -> str:
        """Raises `Unauthenticated`."""
        if username != "admin" or not hmac.compare_digest(password.encode(), self.password.encode()):
            raise Unauthenticated("Invalid username or password")
        return self.issue("admin", login=True, lifetime=SESSION)

    def revoke(self, token_id: str) -> None:
        self._revoked.add(token_id)
        for tokens in self.accounts.values():
            tokens[:] = [one for one in tokens if one["id"] != token_id]

    def may(self, claims: Claims, resource: str, action: str, target: str) -> bool:
        return any(
            subject == claims.subject and matches(kind, resource) and matches(verb, action) and matches(pattern, target)
            for subject, kind, verb, pattern in POLICY
        )

    def enforce(self, claims: Claims, resource: str, action: str, target: str) -> None:
        """Raises `Denied` with everything in the text."""
        if not self.may(claims, resource, action, target):
            issued = datetime.fromtimestamp(claims.issued, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise Denied(f"permission denied: {resource}, {action}, {target}, sub: {claims.subject}, iat: {issued}")

    def _sign(self, body: str) -> str:
        return _encode(hmac.new(self.secret.encode(), body.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
