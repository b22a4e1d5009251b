"""Which Git URLs are opened, what is taken out of them, and which are refused before git is started."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Invalid, Refused
from backends.gitops.address import parse_address, parse_branch, refuse_credentials
from backends.secret import Secret, SecretUrl
from backends.text import is_one_line


@pytest.mark.parametrize(
    ("typed", "url", "origin"),
    [
        ("https://git.example.org/acme/workspace.git", "https://git.example.org/acme/workspace.git", ("https", "git.example.org", 443)),
        ("HTTPS://Git.Example.org:443/acme/w/", "https://git.example.org/acme/w", ("https", "git.example.org", 443)),
        ("http://127.0.0.1:9480/w.git", "http://127.0.0.1:9480/w.git", ("http", "127.0.0.1", 9480)),
        ("https://[::1]:8443/w.git", "https://[::1]:8443/w.git", ("https", "::1", 8443)),
        ("https://ada@git.example.org/w.git", "https://git.example.org/w.git", ("https", "git.example.org", 443)),
        ("https://ada:pw@git.example.org/w.git", "https://git.example.org/w.git", ("https", "git.example.org", 443)),
        ("ssh://git@git.example.org:2222/acme/w.git", "ssh://git@git.example.org:2222/acme/w.git", ("ssh", "git.example.org", 2222)),
        ("ssh://git:pw@git.example.org/acme/w.git", "ssh://git@git.example.org/acme/w.git", ("ssh", "git.example.org", 22)),
        ("git@github.com:acme/w.git", "git@github.com:acme/w.git", ("ssh", "github.com", 22)),
        ("alias:w.git", "alias:w.git", ("ssh", "alias", 22)),
        ("/srv/git/w.git", "/srv/git/w.git", ("file", "", 0)),
        ("file:///srv/git/w%20x.git", "/srv/git/w x.git", ("file", "", 0)),
    ],
)
def test_an_address_is_what_was_typed_without_its_secrets(typed: str, url: str, origin: tuple[str, str, int]) -> None:
    address, _ = parse_address(typed)

    assert (url, origin) == (address.url, address.origin)


@pytest.mark.parametrize(
    ("typed", "user", "password"),
    [
        ("https://ada:p%40ss%3Aw@git.example.org/w.git", "ada", "p@ss:w"),
        ("https://ghp_abcdef@github.com/acme/w.git", "git", "ghp_abcdef"),
        ("https://ghp_abcdef:x-oauth-basic@github.com/acme/w.git", "git", "ghp_abcdef"),
        ("https://:only@git.example.org/w.git", "git", "only"),
        ("ssh://git:pw@git.example.org/acme/w.git", "git", "pw"),
    ],
)
def test_a_password_or_token_in_a_url_becomes_a_secret(typed: str, user: str, password: str) -> None:
    address, credentials = parse_address(typed)

    assert credentials is not None
    assert (user, Secret(password)) == (credentials.username, credentials.password)
    assert password not in repr(address) + repr(credentials) + address.cache_name


def test_a_user_name_alone_is_no_secret_and_stays_with_the_address() -> None:
    address, credentials = parse_address("https://ada@git.example.org/w.git")

    assert ("ada", None) == (address.user, credentials)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " https://git.example.org/w.git",
        "https://git.example.org/w.git\n",
        "https://git.example.org/w.git\x1b[2J",
        "https://git.example.org/a%0ahost=evil",
        "https://a%0ab:pw@git.example.org/w.git",
        "https://ada:p%0aw@git.example.org/w.git",
        "https://git.example.org",
        "https://git.example.org/",
        "https://git.example.org/w.git?x=1",
        "https://git.example.org:99999/w.git",
        "https://-x/w.git",
        "https:///w.git",
        "ext::sh -c touch% /tmp/pwned",
        "ext::git.example.org",
        "fd::17/foo",
        "::sh",
        "-uupload",
        "--upload-pack=touch /tmp/pwned",
        "ssh://-oProxyCommand=touch/w.git",
        "ssh://-o@git.example.org/w.git",
        "ssh://git.example.org/-x",
        "-oProxyCommand=x:w.git",
        "git@-oProxyCommand=x:w.git",
        "git@host:-w.git",
        "git://git.example.org/w.git",
        "ftp://git.example.org/w.git",
        "file://other.example.org/w.git",
        "/srv/git/-x",
    ],
)
def test_what_is_not_plainly_a_repository_is_refused_without_starting_git(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(Refused):
        parse_address(typed)


def test_a_refusal_never_repeats_the_password() -> None:
    with pytest.raises(Refused) as refusal:
        parse_address("ftp://ada:s3cret@git.example.org/w.git")

    assert "s3cret" not in str(refusal.value) + refusal.value.hint


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    "https://",
                    "ssh://",
                    "git@",
                    "h.example",
                    ":",
                    "/",
                    "//",
                    "..",
                    "%0a",
                    "-",
                    "[",
                    "]",
                    "@",
                    "x",
                    "\n",
                    "\x1b",
                    "::",
                    "é",
                    "~",
                ]
            )
        ).map("".join),
    )
)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address, _ = parse_address(text)
    except Refused:
        return

    assert address.scheme in ("https", "http", "ssh", "file")
    assert not address.url.startswith("-")
    assert is_one_line(address.url)
    assert "/" not in address.cache_name


def test_cache_names_are_readable_and_differ_by_url() -> None:
    names = [
        parse_address(url)[0].cache_name
        for url in ("https://git.example.org/acme/w.git", "https://git.example.org/acme/w", "git@git.example.org:acme/w")
    ]

    assert 3 == len(set(names))
    assert all(name.startswith("git.example.org-acme-w-") for name in names)


@pytest.mark.parametrize("name", ["main", "release/1.2", "feature-x", "Grün"])
def test_a_branch_name_is_taken_as_it_is(name: str) -> None:
    assert name == parse_branch(name)


@pytest.mark.parametrize(
    "name", ["", "-x", "a..b", "a b", "a~1", "x.lock", ".hidden", "a//b", "a/", "@", "a@{1}", "a:b", "a\nb", "a\x1b", "a*"]
)
def test_a_branch_name_that_git_or_a_shell_would_misread_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        parse_branch(name)


@pytest.mark.parametrize(
    "text", ["https://u:cret/with@slash@host/x", "https://u:s@cret@host/x?y", "ftp://u:cret@host/x", "https://u:cret@[::1/x"]
)
def test_a_refused_url_shows_its_password_neither_in_words_nor_in_variables(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_address(SecretUrl(text))

    last = caught.traceback[-1]
    assert "parse_address" == last.name
    assert "cret" not in f"{caught.value} {caught.value!r} {last.frame.f_locals!r}"


@pytest.mark.parametrize(
    "url", ["https://u:p@host/x", "https://token@host/x", "ssh://git:p@host/x", "https://u:with/slash@host/x", "http://@u@host"]
)
def test_an_address_with_a_password_is_not_for_git(url: str) -> None:
    with pytest.raises(Invalid):
        refuse_credentials(url, "repository URL")


@pytest.mark.parametrize("url", ["https://host/@scope/x.git", "ssh://git@host/x.git", "git@host:x.git", "/srv/x.git", ""])
def test_an_address_without_one_is(url: str) -> None:
    refuse_credentials(url, "repository URL")
