"""The example workspace as intents: what somebody would have done to get it, ids given."""

from backends.domain.app import App, AppImage, Chart, SourceRepo
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import DeploymentId
from backends.domain.record import Image
from backends.gitops.intents import AnyIntent, CreateApp, CreateCluster, CreateEnvironment, Deploy, Init, Target
from backends.gitops.tree import Tree

SOURCE = "8d02e11c4f0a3b5d6e7f8091a2b3c4d5e6f70819"
DIGEST = "sha256:" + "1f" * 32
GIT = "https://git.example.org/acme"
REGISTRY = "registry.example.org/acme"


def git_app(name: str) -> CreateApp:
    return CreateApp(
        app=App(
            name=name,
            source=SourceRepo(repo=f"{GIT}/{name}.git"),
            chart=Chart(path="charts/service", version="1.0.0"),
            images={"main": AppImage(repository=f"{REGISTRY}/{name}")},
        )
    )


def add_on(name: str = "exporter", repo: str = "https://charts.example.org") -> CreateApp:
    return CreateApp(app=App(name=name, kind="addon", chart=Chart(repo=repo, name=name)))


def new(id: str, environment: str, cluster: str = "in-cluster") -> Target:
    return Target(id=DeploymentId(id), environment=environment, cluster=cluster, new=True)


def old(id: str, environment: str, cluster: str = "in-cluster") -> Target:
    return Target(id=DeploymentId(id), environment=environment, cluster=cluster)


INIT = Init(slug="acme", id="01JD8Z6W4T0Q8C2V6N3M5X7Y9A", repo_url=f"{GIT}/workspace.git", argocd_url="https://argocd.example.org")
STORY: tuple[AnyIntent, ...] = (
    INIT,
    CreateCluster(name="eu-1", server="https://eu-1.example.org:6443", provider="aws", region="eu-west-1"),
    CreateEnvironment(name="dev", new=True),
    CreateEnvironment(
        name="prod", kind=EnvironmentKind.PRODUCTION, order=30, clusters=("in-cluster", "eu-1"), promote_from=("dev",), new=True
    ),
    git_app("shop-api"),
    git_app("web"),
    add_on(),
    Deploy(app="shop-api", targets=(new("shop-api-dev-k3x7qa", "dev"),), images={"main": Image(tag="8d02e11")}, source=SOURCE),
    Deploy(
        app="web",
        targets=(new("web-dev-zz45ab", "dev"), new("web-prod-e5u6aa", "prod", "eu-1"), new("web-prod-q7t2cc", "prod")),
        images={"main": Image(tag="1f3c9ab")},
        source=SOURCE,
    ),
    Deploy(
        app="shop-api",
        targets=(new("shop-api-prod-p2m5vd", "prod"),),
        images={"main": Image(tag="0c11d4e", digest=DIGEST)},
        source=SOURCE,
    ),
    Deploy(app="exporter", targets=(new("exporter-prod-n4w6ty", "prod"),), chart_version="0.1.0"),
)


def built(upto: int | None = None) -> Tree:
    """The workspace after the story, in memory."""
    tree = Tree.of({})
    for intent in STORY[:upto]:
        tree = intent.apply(tree)
    return settled(tree)


def settled(tree: Tree) -> Tree:
    """The same files as a commit would hold them: nothing pending."""
    return Tree.of({path: tree.read(path) or b"" for path in tree.paths()})


def changed(before: Tree, after: Tree) -> dict[str, str | None]:
    """Path → new text (None: removed) of what differs between two trees."""
    paths = {*before.paths(), *after.paths()}
    return {
        path: None if (data := after.read(path)) is None else data.decode()
        for path in sorted(paths)
        if before.read(path) != after.read(path)
    }
