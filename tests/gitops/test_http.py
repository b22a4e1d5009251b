"""A remote over HTTP: read, written, refused, redirected, broken and silent; the password goes to its origin and nowhere else."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.domain.ids import mint_change_id
from backends.engine import Cancel
from backends.errors import BackendError, Cancelled
from backends.gitops.address import Credentials
from backends.gitops.askpass import Question
from backends.gitops.repo import Repo
from backends.gitops.trouble import GitError, GitForbidden, GitUnauthorized, Trouble
from backends.gitops.writer import write
from backends.secret import Secret
from tests.gitops import http_remote
from tests.gitops.http_remote import GitServer
from tests.gitops.remotes import Append, bare, git, subjects

BASIC_RIG = "Basic cmlnOnMzY3JldA=="


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    bare(tmp_path / "root" / "w.git", {"a": "1\n"})
    with http_remote.serving(tmp_path / "root") as server:
        yield server


@pytest.fixture
def remote(tmp_path: Path, server: GitServer) -> Path:
    return tmp_path / "root" / "w.git"


def opened(server: GitServer, tmp_path: Path, *, user: str = "", **options: object) -> Repo:
    url = f"{server.url}/w.git".replace("//", f"//{user}@" if user else "//", 1)
    return Repo.open(url, cache_dir=tmp_path / "cache", **options)  # type: ignore[arg-type]


def trouble(repo: Repo) -> GitError:
    with pytest.raises(GitError) as failure:
        repo.fetch()
    return failure.value


def test_a_public_remote_is_fetched_and_pushed_to(server: GitServer, remote: Path, tmp_path: Path) -> None:
    repo = opened(server, tmp_path)

    written = write(repo, Append("a", "mine"), change=mint_change_id())

    assert (git(remote, "rev-parse", "main"), ()) == (written.commit, repo.notices)


def test_a_password_in_the_url_is_used_and_warned_about(server: GitServer, remote: Path, tmp_path: Path) -> None:
    server.user = "rig:s3cret"
    repo = opened(server, tmp_path, user="rig:s3cret")

    write(repo, Append("a", "mine"), change=mint_change_id())

    assert ["append(a): mine", "first"] == subjects(remote)
    assert (f"{server.url}/w.git", ["password over http"]) == (repo.url, [notice.kind for notice in repo.notices])


def test_credentials_given_apart_are_used_and_no_helper_is_told(server: GitServer, tmp_path: Path, own_home: Path) -> None:
    server.user = "rig:s3cret"
    with (own_home / ".gitconfig").open("a") as config:
        store = f"store --file={own_home}/stored"
        config.write(f'[credential]\n\thelper = {store}\n[credential "{server.url}"]\n\thelper = {store}\n')
    repo = opened(server, tmp_path, credentials=Credentials(Secret("s3cret"), "rig"))

    assert repo.fetch() is not None
    assert not (own_home / "stored").exists()


def test_the_users_own_credential_helper_is_respected(server: GitServer, tmp_path: Path, own_home: Path) -> None:
    server.user = "rig:s3cret"
    (own_home / "stored").write_text(f"http://rig:s3cret@127.0.0.1%3a{server.server_address[1]}\n")
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f"[credential]\n\thelper = store --file={own_home}/stored\n")

    assert opened(server, tmp_path).fetch() is not None
    assert opened(server, tmp_path, user="rig").fetch() is not None


def test_a_person_is_asked_when_a_function_is_given(server: GitServer, tmp_path: Path) -> None:
    server.user = "rig:s3cret"
    asked: list[Question] = []

    def ask(question: Question) -> Secret:
        asked.append(question)
        return Secret({"username": "rig", "password": "s3cret"}[question.kind])

    assert opened(server, tmp_path, credentials=ask).fetch() is not None
    assert [
        ("username", ("http", "127.0.0.1", server.server_address[1])),
        ("password", ("http", "127.0.0.1", server.server_address[1])),
    ] == [(question.kind, question.origin) for question in asked]


def test_nobody_is_asked_for_what_the_url_says_and_what_is_given_apart_goes_before(server: GitServer, tmp_path: Path) -> None:
    server.user = "rig:s3cret"

    assert opened(server, tmp_path, user="rig:s3cret", credentials=lambda question: pytest.fail("asked")).fetch() is not None
    assert opened(server, tmp_path, user="rig:old", credentials=Credentials(Secret("s3cret"), "rig")).fetch() is not None


@pytest.mark.parametrize(
    ("user", "kind"), [("", Trouble.NO_CREDENTIALS), ("rig", Trouble.NO_CREDENTIALS), ("rig:wrong", Trouble.UNAUTHORIZED)]
)
def test_without_the_right_password_it_is_said_which_was_missing(server: GitServer, tmp_path: Path, user: str, kind: Trouble) -> None:
    server.user = "rig:s3cret"

    error = trouble(opened(server, tmp_path, user=user))

    assert (GitUnauthorized, kind, 3) == (type(error), error.kind, error.exit_code)


def test_a_redirect_to_another_host_carries_no_password(server: GitServer, tmp_path: Path) -> None:
    server.user = "rig:s3cret"
    bare(tmp_path / "other" / "w.git", {"evil": "1\n"})
    with http_remote.serving(tmp_path / "other") as other:
        other.user = "rig:s3cret"
        server.redirect = lambda method, path: other.url
        error = trouble(opened(server, tmp_path, user="rig:s3cret"))
        redirected = [authorization for _, _, authorization in other.seen]

    assert (Trouble.NO_CREDENTIALS, {None}) == (error.kind, set(redirected))


def test_a_redirect_after_the_password_was_given_carries_none_either(server: GitServer, tmp_path: Path) -> None:
    server.user = "rig:s3cret"
    with http_remote.serving(tmp_path / "root") as other:
        other.user = "rig:s3cret"
        repo = opened(server, tmp_path, user="rig:s3cret")
        repo.fetch()

        server.redirect = lambda method, path: other.url if method == "POST" and "receive-pack" in path else ""
        with pytest.raises(BackendError):
            write(repo, Append("a", "mine"), change=mint_change_id(), deadline=1.0)

        assert {None} >= {authorization for _, _, authorization in other.seen}
    assert BASIC_RIG in {authorization for _, _, authorization in server.seen}


def test_a_rewritten_url_gets_no_password(server: GitServer, tmp_path: Path, own_home: Path) -> None:
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f'[url "{server.url}/"]\n\tinsteadOf = https://git.example.org/\n')
    server.user = "rig:s3cret"
    repo = Repo.open("https://rig:s3cret@git.example.org/w.git", cache_dir=tmp_path / "cache")

    assert Trouble.NO_CREDENTIALS is trouble(repo).kind
    assert {None} == {authorization for _, _, authorization in server.seen}


def test_a_url_rewritten_to_a_program_is_not_run(tmp_path: Path, own_home: Path) -> None:
    with (own_home / ".gitconfig").open("a") as config:
        config.write(f'[url "ext::touch {tmp_path}/ran "]\n\tinsteadOf = https://git.example.org/\n[protocol "ext"]\n\tallow = always\n')
    repo = Repo.open("https://git.example.org/w.git", cache_dir=tmp_path / "cache")

    assert Trouble.UNSAFE_URL is trouble(repo).kind
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, Trouble.FORBIDDEN),
        (404, Trouble.NOT_A_REPOSITORY),
        (429, Trouble.RATE_LIMITED),
        (500, Trouble.SERVER_ERROR),
        (502, Trouble.SERVER_ERROR),
        (503, Trouble.SERVER_ERROR),
        (200, Trouble.NOT_GIT),
    ],
)
def test_what_a_server_answers_instead_has_a_name(server: GitServer, tmp_path: Path, status: int, kind: Trouble) -> None:
    server.status, server.body = lambda method, path: status, b"<html>log in</html>"

    error = trouble(opened(server, tmp_path))

    assert (kind, f"{server.url}/w.git") == (error.kind, error.target)


def test_a_web_page_of_several_lines_is_no_repository(server: GitServer, tmp_path: Path) -> None:
    server.status, server.body = lambda method, path: 200, b"<html>\n<body>log in</body>\n</html>\n"

    assert Trouble.NOT_GIT is trouble(opened(server, tmp_path)).kind


def test_an_empty_repository_over_http_is_no_error(server: GitServer, tmp_path: Path) -> None:
    bare(tmp_path / "root" / "empty.git")
    repo = Repo.open(f"{server.url}/empty.git", cache_dir=tmp_path / "cache")

    assert None is repo.fetch()
    assert () == (repo.fetched.branches if repo.fetched else None)


def test_a_push_without_the_right_to_is_forbidden(server: GitServer, remote: Path, tmp_path: Path) -> None:
    server.status = lambda method, path: 403 if "receive-pack" in path else 0

    with pytest.raises(GitForbidden):
        write(opened(server, tmp_path), Append("a", "mine"), change=mint_change_id())
    assert ["first"] == subjects(remote)


def test_a_server_error_during_the_push_is_tried_again(server: GitServer, remote: Path, tmp_path: Path) -> None:
    failures = [503, 502]
    server.status = lambda method, path: failures.pop() if failures and method == "POST" and "receive-pack" in path else 0

    written = write(opened(server, tmp_path), Append("a", "mine"), change=mint_change_id())

    assert (3, "1\nmine") == (written.attempts, git(remote, "show", "main:a"))


def test_a_push_whose_answer_is_lost_is_found_and_not_done_twice(server: GitServer, remote: Path, tmp_path: Path) -> None:
    server.cut_pushes = True
    written = write(opened(server, tmp_path), Append("a", "mine"), change=mint_change_id())

    assert (2, git(remote, "rev-parse", "main"), "1\nmine") == (written.attempts, written.commit, git(remote, "show", "main:a"))


@pytest.mark.parametrize("length", [20, 300])
def test_an_answer_that_breaks_off_is_said(server: GitServer, tmp_path: Path, length: int) -> None:
    server.cut_after = length

    assert Trouble.CUT_OFF is trouble(opened(server, tmp_path)).kind


@pytest.mark.parametrize("how", ["silent", "drip"])
def test_silence_and_drips_end(server: GitServer, tmp_path: Path, how: str) -> None:
    server.silent, server.drip = how == "silent", 0.3 if how == "drip" else 0.0

    assert Trouble.TIMED_OUT is trouble(opened(server, tmp_path, stall=1.0)).kind
    server.silent = False


def test_a_silent_server_can_be_cancelled(server: GitServer, tmp_path: Path) -> None:
    server.silent = True
    cancel = Cancel()

    def stop() -> None:
        while not server.seen:
            threading.Event().wait(0.01)
        cancel.request()

    threading.Thread(target=stop).start()
    with pytest.raises(Cancelled):
        opened(server, tmp_path).fetch(cancel=cancel)
    server.silent = False


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1:1/w.git", Trouble.CONNECTION_REFUSED),
        ("https://nonexistent.invalid/w.git", Trouble.NO_SUCH_HOST),
        ("ssh://git@127.0.0.1:1/w.git", Trouble.CONNECTION_REFUSED),
        ("git@nonexistent.invalid:w.git", Trouble.NO_SUCH_HOST),
        ("/nonexistent/w.git", Trouble.NOT_A_REPOSITORY),
    ],
)
def test_hosts_that_cannot_be_reached_are_told_apart(tmp_path: Path, url: str, kind: Trouble) -> None:
    assert kind is trouble(Repo.open(url, cache_dir=tmp_path / "cache")).kind


def test_tls_that_is_none_is_said(server: GitServer, tmp_path: Path) -> None:
    repo = Repo.open(server.url.replace("http", "https") + "/w.git", cache_dir=tmp_path / "cache")

    assert Trouble.TLS is trouble(repo).kind


def test_a_proxy_that_refuses_is_said(server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    monkeypatch.setenv("HTTPS_PROXY", server.url)

    assert Trouble.PROXY is trouble(Repo.open("https://git.example.org/w.git", cache_dir=tmp_path / "cache")).kind
