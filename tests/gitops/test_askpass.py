"""What git and ssh ask is understood word for word, and answered only where the credentials belong."""

import pytest

from backends.gitops.address import parse_address
from backends.gitops.askpass import Answers, Question, parse_question
from backends.secret import Secret

OURS = ("https", "git.example.org", 443)
UNKNOWN_HOST = (
    "The authenticity of host '[127.0.0.1]:2222 ([127.0.0.1]:2222)' can't be established.\n"
    "ED25519 key fingerprint is SHA256:a1b2+c3/d4.\nThis key is not known by any other names.\n"
    "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
)


@pytest.mark.parametrize(
    ("prompt", "kind", "origin"),
    [
        ("Username for 'https://git.example.org': ", "username", OURS),
        ("Password for 'https://ada%40x@git.example.org': ", "password", OURS),
        ("Password for 'https://ada@git.example.org/acme/w.git': ", "password", OURS),
        ("Username for 'http://127.0.0.1:9480': ", "username", ("http", "127.0.0.1", 9480)),
        ("Password for 'https://[::1]:8443': ", "password", ("https", "::1", 8443)),
        ("Password for 'https://git.example.org@evil.example': ", "password", ("https", "evil.example", 443)),
        ("git@git.example.org's password: ", "password", ("ssh", "git.example.org", 0)),
        ("(git@git.example.org) Password: ", "password", ("ssh", "git.example.org", 0)),
        ("Enter passphrase for key '/home/ada/.ssh/id_ed25519': ", "passphrase", None),
        ("Enter passphrase for /home/ada/.ssh/id_ed25519: ", "passphrase", None),
        (UNKNOWN_HOST, "host key", ("ssh", "127.0.0.1", 2222)),
        (
            "The authenticity of host 'git.example.org (192.0.2.1)' can't be established.\nRSA key fingerprint is SHA256:x.\n",
            "host key",
            ("ssh", "git.example.org", 0),
        ),
        ("Confirm user presence for key ED25519-SK", "other", None),
        ("", "other", None),
    ],
)
def test_a_prompt_is_understood(prompt: str, kind: str, origin: tuple[str, str, int] | None) -> None:
    question = parse_question(prompt)

    assert (kind, origin) == (question.kind, question.origin)


def test_a_host_keys_fingerprint_is_read() -> None:
    question = parse_question(UNKNOWN_HOST)

    assert ("SHA256:a1b2+c3/d4", "ED25519") == (question.fingerprint, question.key_type)


def test_a_hostile_prompt_is_shown_cleaned() -> None:
    assert "�[2J" in parse_question("Password for \x1b[2J 'x': ").text


def answers(url: str) -> Answers:
    address, credentials = parse_address(url)
    return Answers(address, credentials, None)


@pytest.mark.parametrize(
    "question",
    [
        Question("password", ("https", "evil.example", 443)),
        Question("password", ("http", "git.example.org", 80)),
        Question("password", ("https", "git.example.org", 8443)),
        Question("password", ("ssh", "git.example.org", 0)),
        Question("passphrase"),
        Question("other"),
    ],
)
def test_a_password_is_given_to_its_origin_alone(question: Question) -> None:
    given = answers("https://ada:pw@git.example.org/w.git")

    assert None is given.answer(question)
    assert [question] == given.unanswered
    assert Secret("pw") == given.answer(Question("password", OURS))
    assert Secret("ada") == given.answer(Question("username", OURS))


def test_an_ssh_password_is_given_although_the_prompt_names_no_port() -> None:
    assert Secret("pw") == answers("ssh://git:pw@git.example.org:2222/w.git").answer(Question("password", ("ssh", "git.example.org", 0)))


def test_a_person_is_asked_for_this_origin_and_for_keys_but_for_no_other_host() -> None:
    address, _ = parse_address("https://git.example.org/w.git")
    asked: list[Question] = []

    def ask(question: Question) -> Secret:
        asked.append(question)
        return Secret("x")

    given = Answers(address, ask, None)
    questions = [Question("password", OURS), Question("passphrase"), Question("password", ("https", "evil.example", 443))]

    assert [Secret("x"), Secret("x"), None] == [given.answer(question) for question in questions]
    assert questions[:2] == asked


def test_a_host_key_is_accepted_by_its_fingerprint_so_that_it_is_the_one_that_was_shown() -> None:
    address, _ = parse_address("ssh://git@127.0.0.1:2222/w.git")
    shown: list[tuple[str, str]] = []

    def ask(host: str, fingerprint: str) -> bool:
        shown.append((host, fingerprint))
        return True

    assert Secret("SHA256:a1b2+c3/d4") == Answers(address, None, ask).answer(parse_question(UNKNOWN_HOST))
    assert Secret("yes") == Answers(address, None, ask).answer(parse_question(UNKNOWN_HOST.replace("/[fingerprint]", "")))
    assert None is Answers(address, None, lambda host, fingerprint: False).answer(parse_question(UNKNOWN_HOST))
    assert None is Answers(address, None, None).answer(parse_question(UNKNOWN_HOST))
    assert [("[127.0.0.1]:2222", "SHA256:a1b2+c3/d4")] * 2 == shown
