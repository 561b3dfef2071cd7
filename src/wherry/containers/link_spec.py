"""The grammar of ``--link`` (HostConfig.Links)."""


def split_link(link: str) -> tuple[str, str]:
    """``name:alias`` or ``name`` → name and alias."""
    name, _, alias = link.partition(":")
    name = name.lstrip("/")
    return name, alias.rpartition("/")[2] or name
