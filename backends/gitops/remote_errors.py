"""What git's English complaints mean: one kind, one sentence and one hint for each failure a person should be able to tell apart.

The texts are git's own under `LC_ALL=C` (2.30 and later), curl's, OpenSSH's, and what GitHub, GitLab, Gitea and Bitbucket answer through
them. `explain` decides; nothing here runs git.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from backends.gitops.trouble import (
    GitError,
    GitFailed,
    GitForbidden,
    GitNotFound,
    GitProtocolError,
    GitRefused,
    GitTimedOut,
    GitUnauthorized,
    GitUnavailable,
    PushRejected,
    Trouble,
)
from backends.text import clean, clean_lines

# The first row that matches decides, so what names a cause stands above what only accompanies it.
_SIGNS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    # the verdict on the pushed branch
    (Trouble.RULE_VIOLATION, ("GH013", "repository rule violations")),
    (Trouble.PROTECTED_BRANCH, ("GH006", "protected branch hook declined")),
    (
        Trouble.NOT_ALLOWED,
        ("GitLab: You are not allowed", "You are not allowed to (?:push|force)", "Not allowed to push to protected branch"),
    ),
    (Trouble.SHALLOW, ("shallow update not allowed", "source repository is shallow", "from shallow", "shallow roots are not allowed")),
    (Trouble.CHECKED_OUT, ("branch is currently checked out",)),
    (
        Trouble.CANNOT_LOCK_REF,
        (r"\[remote rejected\].*\((?:cannot lock ref|reference already exists|incorrect old value|remote ref (?:is at|has changed))",),
    ),
    (Trouble.FAILED_TO_UPDATE_REF, (r"\[remote rejected\].*\(failed to (?:update|lock|write)",)),
    (Trouble.REMOTE_STORAGE, ("unpacker error", "remote unpack failed", "unable to create temporary object directory")),
    (Trouble.HOOK_DECLINED, ("hook declined",)),
    (Trouble.FETCH_FIRST, (r"\[rejected\].*\((?:fetch first|stale info)\)",)),
    (
        Trouble.NON_FAST_FORWARD,
        (r"\[rejected\].*\((?:non-fast-forward|needs force)\)", "denying non-fast-forward", r"rejected\].*non-fast-forward"),
    ),
    # who the other side is, and who we are to it; hosts that hide a repository speak of permission, too
    (Trouble.HOST_KEY_CHANGED, ("REMOTE HOST IDENTIFICATION HAS CHANGED", "host key for .* has changed")),
    (Trouble.HOST_KEY_UNKNOWN, ("Host key verification failed", "No .* host key is known", "authenticity of host")),
    (Trouble.PROXY, ("proxy CONNECT", "from proxy", "CONNECT tunnel failed", "resolve proxy", "SOCKS[45]?.*(?:refused|fail|complete)")),
    (
        Trouble.UNAUTHORIZED,
        (
            "Authentication failed for",
            "returned error: 401",
            "HTTP Basic: Access denied",
            "Invalid username or (?:password|token)",
            r"Permission denied \([a-z,-]+\)",
            "Too many authentication failures",
            "Permission denied, please try again",
        ),
    ),
    (Trouble.NO_CREDENTIALS, ("could not read (?:Username|Password)", "unable to read askpass response", "terminal prompts disabled")),
    (Trouble.DUBIOUS_OWNERSHIP, ("dubious ownership",)),
    (Trouble.UNSAFE_URL, ("transport '.*' not allowed", "strange (?:hostname|pathname)", "not supported or disabled in libcurl")),
    (
        Trouble.NOT_A_REPOSITORY,
        (
            "repository .* not found",
            "Repository not found",
            "returned error: 404",
            "does not appear to be a git repository",
            "not a git repository",
            "project you were looking for could not be found",
        ),
    ),
    (
        Trouble.FORBIDDEN,
        (
            "returned error: 403",
            "Permission to .* denied",
            "Write access to repository not granted",
            "marked as read.only",
            "access denied or repository not exported",
            "service not enabled",
            "You don't have permission",
            "not authorized to",
        ),
    ),
    (Trouble.BRANCH_MISSING, ("couldn't find remote ref", "remote ref does not exist")),
    (Trouble.OBJECT_FORMAT, ("mismatched algorithms", "object format")),
    (Trouble.REDIRECTED, ("unable to update url base from redirection", "Maximum .*redirects", "redirects? .*followed")),
    # how the connection went
    (Trouble.NO_SUCH_HOST, ("Could not resolve host", "Name or service not known", "name resolution", "nodename nor servname")),
    (
        Trouble.TLS,
        (
            "certificate (?:problem|verif|is)",
            "gnutls_handshake",
            "SSL routines",
            "SSL connect error",
            "unable to get local issuer",
            "TLS connect error",
            "wrong version number",
        ),
    ),
    (Trouble.TIMED_OUT, ("Operation too slow", "timed out", "Timeout was reached", "Timeout, server", "not responding")),
    (Trouble.CONNECTION_REFUSED, ("Connection refused", "Failed to connect to", "(?:Couldn't|Could not) connect to server")),
    (Trouble.UNREACHABLE, ("No route to host", "Network is unreachable", "Network is down", "Host is down")),
    (Trouble.RATE_LIMITED, ("returned error: 429", "HTTP 429", "too many requests")),
    (Trouble.SERVER_ERROR, (r"returned error: 5\d\d", r"HTTP 5\d\d", "Internal Server Error", "Bad Gateway", "Service Unavailable")),
    (
        Trouble.NOT_GIT,
        ("bad line length character", "valid: is this a git repo", "valid: could not determine hash", "invalid (?:server|content-type)"),
    ),
    # our own side
    (Trouble.CACHE_LOCKED, (r"Unable to create '[^']*\.lock': File exists",)),
    (Trouble.DISK_FULL, ("No space left on device", "Disk quota exceeded")),
    (
        Trouble.CACHE_NOT_WRITABLE,
        ("Read-only file system", "insufficient permission for adding", "(?:unable|could not|cannot|failed) .*Permission denied"),
    ),
    (
        Trouble.CACHE_BROKEN,
        (
            "bad object",
            "(?:file|object) .* is empty",
            "is corrupt",
            "unable to read tree",
            "missing (?:blob|tree|commit)",
            "packfile .* cannot",
        ),
    ),
    (
        Trouble.CUT_OFF,
        (
            "early EOF",
            "unexpected disconnect",
            "hung up",
            "Connection reset",
            "RPC failed",
            "transfer closed",
            "(?:Recv|Send) failure",
            "Empty reply",
            "Connection (?:was )?closed",
            "kex_exchange_identification",
            "HTTP/2 stream",
            "Broken pipe",
            "index-pack (?:failed|output)",
            "did not send all necessary",
            "unpack-objects (?:failed|died)",
            "flush packet",
            "bytes of body are still expected",
            "Could not read from remote",
        ),
    ),
    (Trouble.REJECTED, (r"\[(?:remote )?rejected\]",)),
)

_RULES = "deliver by a branch and a pull request, or let somebody who may push do it"
_AGAIN = "try again in a moment"
_NETWORK = "check the name, the network and VPN"
# The error class, the sentence and the hint of each kind. "{}" stands for the line that gave it away, "{says}" for the remote's own words.
_WORDS: dict[Trouble, tuple[type[GitError], str, str]] = {
    Trouble.RULE_VIOLATION: (PushRejected, "the push breaks a rule of the repository: {says}", _RULES),
    Trouble.PROTECTED_BRANCH: (PushRejected, "the branch is protected: {says}", _RULES),
    Trouble.NOT_ALLOWED: (PushRejected, "you may not push to this branch: {says}", _RULES),
    Trouble.SHALLOW: (GitFailed, "the remote is a shallow repository", "it needs its whole history: `git fetch --unshallow` there"),
    Trouble.CHECKED_OUT: (PushRejected, "the remote is not bare and has this branch checked out", "use a bare repository as the remote"),
    Trouble.CANNOT_LOCK_REF: (PushRejected, "somebody else was pushing at the same moment", _AGAIN),
    Trouble.FAILED_TO_UPDATE_REF: (PushRejected, "the remote could not move the branch", _AGAIN),
    Trouble.REMOTE_STORAGE: (
        GitUnavailable,
        "the remote could not store the commit: {says}",
        "its disk or permissions: tell whoever runs it",
    ),
    Trouble.HOOK_DECLINED: (PushRejected, "the push was rejected by a hook of the remote: {says}", _RULES),
    Trouble.FETCH_FIRST: (PushRejected, "the remote has commits that we had not seen", _AGAIN),
    Trouble.NON_FAST_FORWARD: (PushRejected, "the remote's branch does not hold the commit we built on", _AGAIN),
    Trouble.REJECTED: (PushRejected, "the remote rejected the push: {}", _RULES),
    Trouble.HOST_KEY_CHANGED: (
        GitRefused,
        "the host's SSH key is not the one that is known: somebody may be in between",
        "ask the host's administrators for its fingerprint before `ssh-keygen -R HOST`",
    ),
    Trouble.HOST_KEY_UNKNOWN: (GitRefused, "the host's SSH key is not known here", "`ssh HOST` shows its fingerprint and asks"),
    Trouble.PROXY: (GitUnavailable, "the proxy did not let us through: {}", "HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured"),
    Trouble.UNAUTHORIZED: (
        GitUnauthorized,
        "the remote did not accept who we are",
        "check the token, the key or the credential helper (`git ls-remote URL` in a shell uses the same)",
    ),
    Trouble.NO_CREDENTIALS: (
        GitUnauthorized,
        "the remote asks who we are and nobody answered",
        "--git-token-file FILE, or a credential helper of git's for this host",
    ),
    Trouble.FORBIDDEN: (GitForbidden, "the remote knows us but does not allow this: {says}", "ask for write access to the repository"),
    Trouble.DUBIOUS_OWNERSHIP: (
        GitRefused,
        "the repository's folder belongs to somebody else: {}",
        "`git config --global --add safe.directory PATH`, after a look at whose it is",
    ),
    Trouble.UNSAFE_URL: (GitRefused, "this kind of Git URL is not allowed: {}", ""),
    Trouble.NOT_A_REPOSITORY: (
        GitNotFound,
        "there is no such repository, or we may not see it",
        "check the URL; hosts answer the same for a private one without access",
    ),
    Trouble.BRANCH_MISSING: (GitNotFound, "the remote has no such branch", ""),
    Trouble.OBJECT_FORMAT: (GitFailed, "the remote uses SHA-256 object ids, which are not supported", ""),
    Trouble.REDIRECTED: (
        GitProtocolError,
        "the remote redirects to something that is not this repository: {}",
        "a login page? open the URL in a browser",
    ),
    Trouble.NOT_GIT: (GitProtocolError, "the answer is not Git's, perhaps a proxy's or a login page: {}", "open the URL in a browser"),
    Trouble.NO_SUCH_HOST: (GitUnavailable, "the host name cannot be resolved", _NETWORK),
    Trouble.TLS: (
        GitUnavailable,
        "the TLS connection could not be made or trusted: {}",
        "a private CA goes into http.<url>.sslCAInfo of your Git configuration",
    ),
    Trouble.TIMED_OUT: (GitTimedOut, "the remote did not answer in time", _AGAIN),
    Trouble.CONNECTION_REFUSED: (GitUnavailable, "nothing listens there: {}", "check host and port, and the proxy if there is one"),
    Trouble.UNREACHABLE: (GitUnavailable, "the host cannot be reached", _NETWORK),
    Trouble.RATE_LIMITED: (GitUnavailable, "the remote asks us to slow down", _AGAIN),
    Trouble.SERVER_ERROR: (GitUnavailable, "the remote's server failed: {}", _AGAIN),
    Trouble.CUT_OFF: (GitUnavailable, "the connection broke off: {}", _AGAIN),
    Trouble.CACHE_LOCKED: (GitFailed, "another git process works in the same clone: {}", _AGAIN),
    Trouble.DISK_FULL: (GitFailed, "the disk is full: {}", "make room where the cache folder is"),
    Trouble.CACHE_NOT_WRITABLE: (
        GitFailed,
        "the clone in the cache folder cannot be written: {}",
        "check the owner and mode of the folder",
    ),
    Trouble.CACHE_BROKEN: (GitFailed, "the clone in the cache folder is damaged: {}", "it may be deleted: nothing is kept there alone"),
}
_COMPILED = tuple((kind, re.compile("|".join(patterns), re.IGNORECASE)) for kind, patterns in _SIGNS)
_OURS = frozenset((Trouble.CACHE_LOCKED, Trouble.DISK_FULL, Trouble.CACHE_NOT_WRITABLE, Trouble.CACHE_BROKEN))
"""Kinds that only a line of our own git can tell of; the same words behind "remote:" are about the other side's disk."""
_PHASES = "Enumerating|Counting|Compressing|Writing|Receiving|Resolving|Delta|Unpacking|Total"
_NOISE = re.compile(rf"hint: |To |Done$|Everything up-to-date|(?:remote: )?(?:{_PHASES})\b")
_PREFIX = re.compile(r"(?:(?:fatal|error|warning|remote|unable to access '[^']*'): )+", re.IGNORECASE)


def explain(operation: str, target: str, text: str | bytes) -> GitError:
    """The error that git's output (stderr, and stdout of `push --porcelain`) stands for.

    Args:
        operation: "fetch", "push", …; `target` the URL without credentials, or the folder. Both go into the error.
        text: what git wrote. Hostile, since the remote's lines are in it.
    """
    lines = [line for line in clean_lines(text, limit=2_000) if line.strip() and not _NOISE.match(line)]
    says = tuple(said for line in lines if line.startswith("remote:") and (said := line.removeprefix("remote:").strip()))
    ours = [line for line in lines if not line.startswith("remote:")]
    for kind, pattern in _COMPILED:
        line = next((line for line in (ours if kind in _OURS else lines) if pattern.search(line)), None)
        if line is not None:
            return _error(kind, line, says, operation, target)
    last = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "git failed without a word")
    return GitFailed(_short(last), kind=Trouble.OTHER, says=says, operation=operation, target=target)


def timed_out(operation: str, target: str, seconds: float, *, stalled: bool) -> GitTimedOut:
    """The error for a git that we ended ourselves after `seconds`."""
    sentence = f"nothing came for {seconds:.3g} s" if stalled else f"not done within {seconds:.3g} s"
    return GitTimedOut(sentence, kind=Trouble.TIMED_OUT, operation=operation, target=target, hint=_AGAIN)


def not_writable(operation: str, path: Path, error: OSError) -> GitFailed:
    """The error for a file or folder of ours that could not be made."""
    kind = Trouble.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Trouble.CACHE_NOT_WRITABLE
    _, sentence, hint = _WORDS[kind]
    reason = clean(f"{path}: {error.strerror or error}", limit=300)
    return GitFailed(sentence.replace("{}", reason), kind=kind, operation=operation, hint=hint)


def _error(kind: Trouble, line: str, says: tuple[str, ...], operation: str, target: str) -> GitError:
    error, sentence, hint = _WORDS[kind]
    quoted = clean(" / ".join(says), limit=300) if says and "{says}" in sentence else _short(line)
    message = sentence.replace("{says}", quoted).replace("{}", quoted)
    return error(message, kind=kind, says=says, operation=operation, target=target, hint=hint)


def _short(line: str) -> str:
    return clean(_PREFIX.sub("", line.strip(), count=1), limit=300)
