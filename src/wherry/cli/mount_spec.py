"""``--volume`` and ``--mount`` values; messages of docker/cli ``opts/mount.go`` and compose's ``volumespec``."""

import os

from wherry.cli.csv_fields import split_fields
from wherry.cli.values import parse_bool, parse_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KIND_OPTIONS = {"bind": "BindOptions", "volume": "VolumeOptions", "tmpfs": "TmpfsOptions", "image": "ImageOptions"}


def check_mount(text: str) -> str:
    parse_mount(text)
    return text


def parse_mount(text: str) -> "dict[str, Any]":
    """``type=bind,source=/a,target=/b,readonly`` as the API's Mount."""
    if not text:
        raise ValueError("EOF")
    mount: dict[str, Any] = {"Type": "volume"}
    options: dict[str, dict[str, Any]] = {}
    for field in split_fields(text):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals:
            if key in ("readonly", "ro", "bind-nonrecursive", "volume-nocopy"):
                value = "true"
            else:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
        _set_field(mount, options, key, value, field)
    kind = mount["Type"]
    if "Target" not in mount:
        raise ValueError("target is required")
    for prefix, name in _KIND_OPTIONS.items():
        if name in options and kind != prefix:
            raise ValueError(f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    if kind == "bind" and str(mount.get("Source", "")).startswith("."):
        mount["Source"] = os.path.abspath(mount["Source"])
    return {**mount, **options}


def _set_field(
    mount: "dict[str, Any]", options: "dict[str, dict[str, Any]]", key: str, value: str, field: str
) -> None:
    if key == "type":
        mount["Type"] = value.lower()
    elif key in ("source", "src"):
        mount["Source"] = value
    elif key in ("target", "dst", "destination"):
        mount["Target"] = value
    elif key in ("readonly", "ro"):
        mount["ReadOnly"] = _bool(key, value)
    elif key == "consistency":
        mount["Consistency"] = value.lower()
    elif key == "bind-propagation":
        options.setdefault("BindOptions", {})["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options.setdefault("BindOptions", {})["NonRecursive"] = _bool(key, value)
    elif key == "bind-recursive":
        _set_recursive(options.setdefault("BindOptions", {}), value)
    elif key == "bind-create-src":
        options.setdefault("BindOptions", {})["CreateMountpoint"] = _bool(key, value)
    elif key == "volume-subpath":
        options.setdefault("VolumeOptions", {})["Subpath"] = value
    elif key == "volume-nocopy":
        options.setdefault("VolumeOptions", {})["NoCopy"] = _bool(key, value)
    elif key == "volume-label":
        name, _, label = value.partition("=")
        options.setdefault("VolumeOptions", {}).setdefault("Labels", {})[name] = label
    elif key in ("volume-driver", "volume-opt"):
        driver = options.setdefault("VolumeOptions", {}).setdefault("DriverConfig", {})
        if key == "volume-driver":
            driver["Name"] = value
        else:
            name, _, option = value.partition("=")
            driver.setdefault("Options", {})[name] = option
    elif key == "image-subpath":
        options.setdefault("ImageOptions", {})["Subpath"] = value
    elif key == "tmpfs-size":
        try:
            options.setdefault("TmpfsOptions", {})["SizeBytes"] = parse_bytes(value)
        except ValueError:
            raise ValueError(f"invalid value for {key}: {value}") from None
    elif key == "tmpfs-mode":
        try:
            options.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
        except ValueError:
            raise ValueError(f"invalid value for {key}: {value}") from None
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_recursive(bind: "dict[str, Any]", value: str) -> None:
    if value == "disabled":
        bind["NonRecursive"] = True
    elif value == "writable":
        bind["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        bind["ReadOnlyForceRecursive"] = True
    elif value != "enabled":
        raise ValueError(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )


def _bool(key: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def parse_volume(text: str) -> tuple[str, str]:
    """``-v``: ``(bind, "")`` for ``SOURCE:TARGET[:options]``, ``("", target)`` for an anonymous volume.

    A relative source is made absolute here: only the client knows its own directory.
    """
    if not text:
        raise ValueError("invalid empty volume spec")
    parts = text.split(":")
    if len(parts) == 1:
        return "", text
    if any(not part for part in parts):
        raise ValueError(f"invalid spec: {text}: empty section between colons")
    if len(parts) > 3:
        raise ValueError(f"invalid spec: {text}: too many colons")
    source = parts[0]
    if source.startswith("."):
        source = os.path.abspath(source)
    return ":".join([source, *parts[1:]]), ""
