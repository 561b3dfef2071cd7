"""An image's documents in the form of the client's API version (moby ``router/image``)."""

from typing import Any, Final

from wherry.api.request import ApiVersion

_LEGACY_CONFIG: Final = frozenset(
    {
        "Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce",
        "Image",
    }
)  # fmt: skip
"""Fields of a container's config that an image has not; shown up to 1.49."""


def inspection(document: dict[str, Any], version: ApiVersion) -> dict[str, Any]:
    """``GET /images/{name}/json``."""
    shown = dict(document)
    if version >= (1, 44):
        del shown["VirtualSize"]
    if version >= (1, 45):
        del shown["Container"], shown["ContainerConfig"]
    if version < (1, 48):
        shown.pop("Descriptor")
        shown.pop("Manifests", None)
    if version >= (1, 50):
        shown["Config"] = {
            name: value for name, value in shown["Config"].items() if name not in _LEGACY_CONFIG and value
        }
    return shown


def summary(document: dict[str, Any], version: ApiVersion) -> dict[str, Any]:
    """One entry of ``GET /images/json``."""
    shown = dict(document)
    if version < (1, 43) and not (shown["RepoTags"] or shown["RepoDigests"]):
        shown["RepoTags"], shown["RepoDigests"] = ["<none>:<none>"], ["<none>@<none>"]
    if version >= (1, 44):
        del shown["VirtualSize"]
    if version < (1, 47):
        shown.pop("Manifests", None)
    if version < (1, 51):
        shown["Containers"] = -1
    return shown
