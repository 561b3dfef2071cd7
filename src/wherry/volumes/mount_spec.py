"""The grammar of ``-v`` (HostConfig.Binds): ``[source:]destination[:options]``, with Docker's error texts."""

import os
import posixpath
import re
from dataclasses import dataclass

from wherry.errors import InvalidParameter

PROPAGATION = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_ACCESS = ("ro", "rw")
_LABEL = ("z", "Z")
_COPY = ("nocopy", "copy")
# Bind-only words that Docker's daemon does not know but its users type in compose files and in --mount.
_CONSISTENCY = ("consistent", "cached", "delegated")
VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")


@dataclass(frozen=True, slots=True)
class MountSpec:
    """One parsed spec. ``source`` is an absolute host path (bind), a volume name, or empty (anonymous volume)."""

    source: str
    destination: str
    mode: str
    read_only: bool
    propagation: str
    no_copy: bool

    @property
    def is_bind(self) -> bool:
        """A host path rather than a volume."""
        return self.source.startswith("/")


def parse(spec: str) -> MountSpec:
    """Read one spec; InvalidParameter as dockerd words it."""
    parts = spec.split(":", 3)
    source, destination, mode = "", "", ""
    if not parts[0] or len(parts) > 3:
        raise _invalid(spec)
    if len(parts) == 1:
        destination = parts[0]
    elif len(parts) == 2:
        if valid_mode(parts[1]):  # "/data:ro" is a destination with a mode, which needs a source
            raise _invalid(spec)
        source, destination = parts
    else:
        source, destination, mode = parts
    if not valid_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    try:
        destination = check_destination(destination)
    except InvalidParameter as exc:
        kind = "bind" if source.startswith("/") else "volume"
        raise InvalidParameter(
            f'{_invalid(spec).message}: invalid mount config for type "{kind}": {exc.message}'
        ) from exc
    words = mode.split(",")
    if source.startswith("/") and any(word in _COPY for word in words):
        raise InvalidParameter(
            f'{_invalid(spec).message}: invalid mount config for type "bind": field VolumeOptions must not be '
            "specified"
        )
    return MountSpec(
        source=posixpath.normpath(source) if source.startswith("/") else source,
        destination=destination,
        mode=mode,
        read_only="ro" in words,
        propagation=next((word for word in words if word in PROPAGATION), ""),
        no_copy="nocopy" in words,
    )


def valid_mode(mode: str) -> bool:
    """At most one word of each kind; empty is valid."""
    if not mode:
        return True
    words = mode.split(",")
    kinds = (_ACCESS, _LABEL, PROPAGATION, _COPY, _CONSISTENCY)
    return all(any(word in kind for kind in kinds) for word in words) and all(
        sum(word in kind for word in words) <= 1 for kind in kinds
    )


def check_destination(destination: str) -> str:
    """The cleaned mount path; it must be absolute and not the root."""
    if not destination:
        raise InvalidParameter("field Target must not be empty")
    if not destination.startswith("/"):
        raise InvalidParameter(f"invalid mount path: '{destination}' mount path must be absolute")
    if "\0" in destination:
        raise InvalidParameter("invalid mount path: NUL byte")
    cleaned = clean(destination)
    if cleaned == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'")
    return cleaned


def clean(path: str) -> str:
    """Lexically normal absolute path; ``..`` stops at the root (as a look-up inside a root does)."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def check_volume_name(name: str) -> str:
    """A name that is safe as one path component; Docker's text otherwise."""
    if not VOLUME_NAME.match(name) or name in (os.curdir, os.pardir):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    return name


def _invalid(spec: str) -> InvalidParameter:
    return InvalidParameter(f"invalid volume specification: '{spec}'")
