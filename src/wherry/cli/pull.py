"""``pull`` and ``push``."""

import os

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option
from wherry.cli.progress import show_progress
from wherry.cli.reference import familiar, reference_error, split_reference


def pull_image(app: App, image: str, *, platform: str = "", quiet: bool = False, output: int = 1) -> None:
    """Pull one reference, its progress on the descriptor ``output``."""
    from wherry.client.credentials import registry_auth  # start-up cost: json and subprocess

    wrong = reference_error(image)
    if wrong:
        raise CommandFailed(wrong)
    repository, tag = split_reference(familiar(image))
    messages = app.images.pull(repository, tag, platform=platform, registry_auth=registry_auth(repository))
    show_progress(messages, quiet=quiet, output=output)


def _canonical(image: str) -> str:
    """The full name that Docker prints last: ``docker.io/library/busybox:latest``."""
    repository, tag = split_reference(familiar(image))
    first, slash, _ = repository.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        repository = f"docker.io/{repository}" if slash else f"docker.io/library/{repository}"
    return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"


def _run(call: Invocation) -> int:
    app, flags, image = call.app, call.flags, call.args[0]
    platform = flags.text("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    if not flags.flag("all-tags"):
        wrong = reference_error(image)
        if wrong:
            raise CommandFailed(wrong)
        _, tag = split_reference(image)
        if not tag and not flags.flag("quiet"):
            app.out("Using default tag: latest")
        pull_image(app, image, platform=platform, quiet=flags.flag("quiet"))
        app.out(_canonical(image))
        return 0
    from wherry.client.credentials import registry_auth

    repository, tag = split_reference(image)
    if tag:
        raise CommandFailed("tag can't be used with --all-tags/-a")
    messages = app.images.pull(repository, "", platform=platform, registry_auth=registry_auth(repository))
    show_progress(messages, quiet=flags.flag("quiet"))
    app.out(_canonical(image).rpartition(":")[0])
    return 0


def _push(call: Invocation) -> int:
    from wherry.client.credentials import encode_auth, find_credentials, registry_of

    image, flags = call.args[0], call.flags
    wrong = reference_error(image)
    if wrong:
        raise CommandFailed(wrong)
    repository, tag = split_reference(image)
    if "@" in image:
        raise CommandFailed("cannot push a digest reference")
    if flags.flag("all-tags"):
        if tag:
            raise CommandFailed("tag can't be used with --all-tags/-a")
    elif not tag:
        tag = "latest"
        if not flags.flag("quiet"):
            call.app.out("Using default tag: latest")
    platform = _oci_platform(flags.text("platform"))
    auth = encode_auth(find_credentials(registry_of(repository)))
    messages = call.app.images.push(repository, tag, platform=platform, registry_auth=auth)
    show_progress(messages, quiet=flags.flag("quiet"))
    if flags.flag("quiet"):
        call.app.out(_canonical(image))
    return 0


def _oci_platform(text: str) -> str:
    """``os[/arch[/variant]]`` as the JSON that the API takes."""
    if not text:
        return ""
    import json

    from wherry.cli.platform_value import check_platform

    check_platform(text)
    fields = zip(("os", "architecture", "variant"), text.split("/"), strict=False)
    return json.dumps(dict(fields))


PULL = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    _run,
    options=(
        Option("all-tags", "a", "bool", "Download all tagged images in the repository"),
        Option("disable-content-trust", "", "bool", "Skip image verification (default true)", default=True),
        Option("platform", "", "string", "Set platform if server is multi-platform capable"),
        Option("quiet", "q", "bool", "Suppress verbose output"),
    ),
    least=1,
    most=1,
    aliases=("image pull", "pull"),
)
PUSH = Command(
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    _push,
    options=(
        Option("all-tags", "a", "bool", "Push all tags of an image to the repository"),
        Option("disable-content-trust", "", "bool", "Skip image signing (default true)", default=True),
        Option("platform", "", "string",
               "Push a platform-specific manifest as a single-platform image to the registry.\n"
               "Image index won't be pushed, meaning that other manifests, including attestations won't be "
               "preserved.\n"
               "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
        Option("quiet", "q", "bool", "Suppress verbose output"),
    ),
    least=1,
    most=1,
    aliases=("image push", "push"),
)  # fmt: skip
