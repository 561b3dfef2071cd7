"""Which events a listener wants (moby ``daemon/events/filter.go``): names AND, values of one name OR."""

from collections.abc import Mapping, Sequence
from typing import Any


def matches(event: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether ``event`` (Docker's fields) passes ``filters``."""
    return all(_matches_one(event, name, values) for name, values in filters.items())


def _matches_one(event: Mapping[str, Any], name: str, values: Sequence[str]) -> bool:
    kind, action = event["Type"], event["Action"]
    actor = event["Actor"]
    attributes = actor["Attributes"]
    if name == "event":
        # `exec_create: sh -c …` and `health_status: healthy` are asked for by their first word too.
        return action in values or action.partition(":")[0] in values
    if name == "type":
        return kind in values
    if name == "scope":
        return event.get("scope", "local") in values
    if name == "label":
        return any(_label_matches(attributes, value) for value in values)
    if name == "image":
        return _names_image(kind, actor["ID"], attributes, values)
    if name in ("container", "volume", "network", "plugin", "daemon", "node", "service", "secret", "config"):
        return kind == name and any(
            actor["ID"].startswith(value) or attributes.get("name", "").startswith(value) for value in values
        )
    return False


def _label_matches(attributes: Mapping[str, str], wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    return key in attributes and (not separator or attributes[key] == value)


def _names_image(kind: str, actor_id: str, attributes: Mapping[str, str], values: Sequence[str]) -> bool:
    candidates = {attributes.get("image", ""), attributes.get("name", "")} if kind == "image" else set()
    if kind == "image":
        candidates.add(actor_id)
    elif kind == "container":
        candidates.add(attributes.get("image", ""))
    candidates.discard("")
    bare = {_without_tag(candidate) for candidate in candidates}
    return any(value in candidates or value in bare for value in values)


def _without_tag(reference: str) -> str:
    head, separator, tag = reference.rpartition(":")
    return head if separator and "/" not in tag else reference
