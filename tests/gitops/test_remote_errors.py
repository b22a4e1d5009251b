"""What git, curl, ssh and the hosts say when something fails, word for word, and what we make of it."""

import pytest

from backends.errors import Conflict, Forbidden, NotFound, ProtocolError, Refused, TimedOut, Unauthorized, Unavailable
from backends.gitops.remote_errors import explain
from backends.gitops.trouble import MOVED, PASSING, GitFailed, Trouble

URL = "https://git.example.org/acme/w.git"
PUSH = f"To {URL}\n!\t1f3c:refs/heads/main\t"
SSH_TAIL = (
    "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"
)
ACCESS = f"fatal: unable to access '{URL}/': "

TEXTS: list[tuple[str, Trouble, type[Exception]]] = [
    # pushes
    (f"{PUSH}[rejected] (fetch first)\nDone\nerror: failed to push some refs to '{URL}'\n", Trouble.FETCH_FIRST, Conflict),
    (f"{PUSH}[rejected] (non-fast-forward)\nDone\nerror: failed to push some refs", Trouble.NON_FAST_FORWARD, Conflict),
    (f"{PUSH}[remote rejected] (non-fast-forward)\nDone\n", Trouble.NON_FAST_FORWARD, Conflict),
    (
        f"remote: error: cannot lock ref 'refs/heads/main': is at 1 but expected 2\n{PUSH}[remote rejected] (cannot lock ref 'refs/heads/main': is at 1)",
        Trouble.CANNOT_LOCK_REF,
        Conflict,
    ),
    (f"{PUSH}[remote rejected] (reference already exists)", Trouble.CANNOT_LOCK_REF, Conflict),
    (f"{PUSH}[remote rejected] (incorrect old value provided)", Trouble.CANNOT_LOCK_REF, Conflict),
    (
        "remote: error: cannot lock ref 'refs/heads/main': Unable to create '/srv/w.git/./refs/heads/main.lock': File exists.\n"
        f"{PUSH}[remote rejected] (failed to update ref)",
        Trouble.FAILED_TO_UPDATE_REF,
        Conflict,
    ),
    (f"remote: no pushes on Fridays\n{PUSH}[remote rejected] (pre-receive hook declined)", Trouble.HOOK_DECLINED, Conflict),
    (f"remote: bad message\n{PUSH}[remote rejected] (hook declined)", Trouble.HOOK_DECLINED, Conflict),
    (
        "remote: error: GH006: Protected branch update failed for refs/heads/main.\nremote: error: Changes must be made through a pull request.\n"
        f"{PUSH}[remote rejected] (protected branch hook declined)",
        Trouble.PROTECTED_BRANCH,
        Conflict,
    ),
    (
        "remote: error: GH013: Repository rule violations found for refs/heads/main.\nremote: - Changes must be made through a pull request.\n"
        f"{PUSH}[remote rejected] (push declined due to repository rule violations)",
        Trouble.RULE_VIOLATION,
        Conflict,
    ),
    (
        "remote: GitLab: You are not allowed to push code to protected branches on this project.\n"
        f"{PUSH}[remote rejected] (pre-receive hook declined)",
        Trouble.NOT_ALLOWED,
        Conflict,
    ),
    (
        f"remote: Gitea: Not allowed to push to protected branch main\n{PUSH}[remote rejected] (pre-receive hook declined)",
        Trouble.NOT_ALLOWED,
        Conflict,
    ),
    (f"{PUSH}[remote rejected] (branch is currently checked out)", Trouble.CHECKED_OUT, Conflict),
    (f"{PUSH}[remote rejected] (shallow update not allowed)", Trouble.SHALLOW, GitFailed),
    ("warning: rejected refs/tiphys/main because shallow roots are not allowed to be updated", Trouble.SHALLOW, GitFailed),
    (
        f"remote: fatal: write error: No space left on device\nerror: remote unpack failed: unpack-objects abnormal exit\n{PUSH}[remote rejected] (unpacker error)",
        Trouble.REMOTE_STORAGE,
        Unavailable,
    ),
    (f"{PUSH}[remote rejected] (deny updating a hidden ref)", Trouble.REJECTED, Conflict),
    # who we are
    (f"remote: Invalid username or password.\nfatal: Authentication failed for '{URL}/'", Trouble.UNAUTHORIZED, Unauthorized),
    (f"remote: HTTP Basic: Access denied\nfatal: Authentication failed for '{URL}/'", Trouble.UNAUTHORIZED, Unauthorized),
    (f"git@git.example.org: Permission denied (publickey,password).\r\n{SSH_TAIL}", Trouble.UNAUTHORIZED, Unauthorized),
    ("fatal: could not read Username for 'https://git.example.org': terminal prompts disabled", Trouble.NO_CREDENTIALS, Unauthorized),
    (
        "error: unable to read askpass response from '/c/askpass-1-x/askpass'\nfatal: could not read Password",
        Trouble.NO_CREDENTIALS,
        Unauthorized,
    ),
    (f"{ACCESS}The requested URL returned error: 403", Trouble.FORBIDDEN, Forbidden),
    (f"remote: Permission to acme/w.git denied to ada.\n{ACCESS}The requested URL returned error: 403", Trouble.FORBIDDEN, Forbidden),
    (f"ERROR: Permission to acme/w.git denied to deploy key\n{SSH_TAIL}", Trouble.FORBIDDEN, Forbidden),
    (f"ERROR: The key you are authenticating with has been marked as read only.\n{SSH_TAIL}", Trouble.FORBIDDEN, Forbidden),
    ("remote: Write access to repository not granted.", Trouble.FORBIDDEN, Forbidden),
    (f"Host key verification failed.\r\n{SSH_TAIL}", Trouble.HOST_KEY_UNKNOWN, Refused),
    (
        "@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n"
        f"Host key verification failed.\r\n{SSH_TAIL}",
        Trouble.HOST_KEY_CHANGED,
        Refused,
    ),
    # what is there
    (f"fatal: repository '{URL}/' not found", Trouble.NOT_A_REPOSITORY, NotFound),
    (f"remote: Repository not found.\nfatal: repository '{URL}/' not found", Trouble.NOT_A_REPOSITORY, NotFound),
    (f"ERROR: Repository not found.\n{SSH_TAIL}", Trouble.NOT_A_REPOSITORY, NotFound),
    (
        f"remote: The project you were looking for could not be found or you don't have permission to view it.\n{SSH_TAIL}",
        Trouble.NOT_A_REPOSITORY,
        NotFound,
    ),
    (f"fatal: '/srv/x' does not appear to be a git repository\n{SSH_TAIL}", Trouble.NOT_A_REPOSITORY, NotFound),
    ("fatal: couldn't find remote ref refs/heads/main", Trouble.BRANCH_MISSING, NotFound),
    (f"fatal: detected dubious ownership in repository at '/srv/w.git'\n{SSH_TAIL}", Trouble.DUBIOUS_OWNERSHIP, Refused),
    ("fatal: transport 'ext' not allowed", Trouble.UNSAFE_URL, Refused),
    ("fatal: mismatched algorithms: client sha1; server sha256", Trouble.OBJECT_FORMAT, GitFailed),
    (f"{ACCESS}Maximum (20) redirects followed", Trouble.REDIRECTED, ProtocolError),
    ("fatal: unable to update url base from redirection:\n  asked for: a\n   redirect: b", Trouble.REDIRECTED, ProtocolError),
    (f"fatal: {URL}/info/refs not valid: could not determine hash algorithm; is this a git repository?", Trouble.NOT_GIT, ProtocolError),
    ("fatal: protocol error: bad line length character: <htm", Trouble.NOT_GIT, ProtocolError),
    # the way there
    (f"{ACCESS}Could not resolve host: git.example.org", Trouble.NO_SUCH_HOST, Unavailable),
    (f"ssh: Could not resolve hostname git.example.org: Name or service not known\r\n{SSH_TAIL}", Trouble.NO_SUCH_HOST, Unavailable),
    (
        f"{ACCESS}Failed to connect to git.example.org port 443 after 1 ms: Couldn't connect to server",
        Trouble.CONNECTION_REFUSED,
        Unavailable,
    ),
    (f"ssh: connect to host git.example.org port 22: Connection refused\r\n{SSH_TAIL}", Trouble.CONNECTION_REFUSED, Unavailable),
    (f"ssh: connect to host git.example.org port 22: Connection timed out\r\n{SSH_TAIL}", Trouble.TIMED_OUT, TimedOut),
    (f"ssh: connect to host git.example.org port 22: No route to host\r\n{SSH_TAIL}", Trouble.UNREACHABLE, Unavailable),
    (f"{ACCESS}Failed to connect to h port 443 after 130 ms: Connection timed out", Trouble.TIMED_OUT, TimedOut),
    (f"{ACCESS}Operation too slow. Less than 100 bytes/sec transferred the last 60 seconds", Trouble.TIMED_OUT, TimedOut),
    (f"Timeout, server git.example.org not responding.\r\n{SSH_TAIL}", Trouble.TIMED_OUT, TimedOut),
    (f"{ACCESS}SSL certificate problem: unable to get local issuer certificate", Trouble.TLS, Unavailable),
    (f"{ACCESS}server certificate verification failed. CAfile: none CRLfile: none", Trouble.TLS, Unavailable),
    (f"{ACCESS}gnutls_handshake() failed: The TLS connection was non-properly terminated.", Trouble.TLS, Unavailable),
    (f"{ACCESS}CONNECT tunnel failed, response 407", Trouble.PROXY, Unavailable),
    (f"{ACCESS}Received HTTP code 407 from proxy after CONNECT", Trouble.PROXY, Unavailable),
    (f"{ACCESS}The requested URL returned error: 429", Trouble.RATE_LIMITED, Unavailable),
    (f"{ACCESS}The requested URL returned error: 503", Trouble.SERVER_ERROR, Unavailable),
    (
        "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nsend-pack: unexpected disconnect while reading sideband packet\n"
        "fatal: the remote end hung up unexpectedly\nEverything up-to-date\n",
        Trouble.SERVER_ERROR,
        Unavailable,
    ),
    (
        "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF\nfatal: index-pack failed",
        Trouble.CUT_OFF,
        Unavailable,
    ),
    (
        "error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: the remote end hung up unexpectedly",
        Trouble.CUT_OFF,
        Unavailable,
    ),
    (f"kex_exchange_identification: Connection closed by remote host\r\n{SSH_TAIL}", Trouble.CUT_OFF, Unavailable),
    # our own side
    (
        "error: cannot lock ref 'refs/tiphys/main': Unable to create '/c/w.git/refs/tiphys/main.lock': File exists.\n",
        Trouble.CACHE_LOCKED,
        GitFailed,
    ),
    (
        "error: unable to write file /c/w.git/objects/1f/3c: No space left on device\nfatal: unpack-objects failed",
        Trouble.DISK_FULL,
        GitFailed,
    ),
    ("error: file write error: Disk quota exceeded\nfatal: index-pack failed", Trouble.DISK_FULL, GitFailed),
    ("error: insufficient permission for adding an object to repository database ./objects", Trouble.CACHE_NOT_WRITABLE, GitFailed),
    ("fatal: Unable to create '/c/w.git/x': Read-only file system", Trouble.CACHE_NOT_WRITABLE, GitFailed),
    (
        "error: object file ./objects/1f/3c is empty\nfatal: loose object 1f3c (stored in ./objects/1f/3c) is corrupt",
        Trouble.CACHE_BROKEN,
        GitFailed,
    ),
    ("fatal: bad object refs/tiphys/main", Trouble.CACHE_BROKEN, GitFailed),
    # nothing we know
    ("fatal: something new", Trouble.OTHER, GitFailed),
    ("", Trouble.OTHER, GitFailed),
]


@pytest.mark.parametrize(("text", "kind", "error"), TEXTS, ids=[f"{number}-{kind}" for number, (_, kind, _) in enumerate(TEXTS)])
def test_each_failure_has_its_own_kind_class_and_sentence(text: str, kind: Trouble, error: type[Exception]) -> None:
    explained = explain("push", URL, text)

    assert kind is explained.kind
    assert isinstance(explained, error)
    assert ("push", URL) == (explained.operation, explained.target)
    assert explained.message
    assert "\n" not in str(explained)


def test_every_kind_that_git_can_tell_of_is_in_the_table() -> None:
    ours = {
        Trouble.EMPTY_REMOTE,
        Trouble.GIT_MISSING,
        Trouble.GIT_TOO_OLD,
        Trouble.NO_IDENTITY,
        Trouble.SIGNING_FAILED,
    }

    assert set(Trouble) - ours == {kind for _, kind, _ in TEXTS}
    assert MOVED | PASSING <= set(Trouble) - ours


def test_a_hooks_words_are_quoted_whole_and_apart() -> None:
    error = explain(
        "push", URL, f"remote: \nremote: no pushes   \nremote: on Fridays\x1b[0m\n{PUSH}[remote rejected] (pre-receive hook declined)"
    )

    assert ("no pushes", "on Fridays�[0m") == error.says
    assert "the push was rejected by a hook of the remote: no pushes / on Fridays�[0m" == error.message


def test_a_flood_of_words_is_cut() -> None:
    error = explain("push", URL, "remote: " + "x" * 1_000_000 + f"\n{PUSH}[remote rejected] (pre-receive hook declined)")

    assert len(str(error)) < 600


def test_a_remote_cannot_pass_its_words_off_as_ours() -> None:
    error = explain("fetch", URL, "remote: No space left on device\nfatal: early EOF\n")

    assert Trouble.CUT_OFF is error.kind
