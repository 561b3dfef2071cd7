"""``--cap-add`` and ``--cap-drop`` as docker sends them: whole names, each once, sorted (docker/cli ``opts``)."""


def effective(added: list[str], dropped: list[str]) -> tuple[list[str], list[str]]:
    """CapAdd and CapDrop of the request. What is both added and dropped is dropped; ALL swallows the rest."""
    drop = sorted({_canonical(name) for name in dropped})
    add = sorted({_canonical(name) for name in added} - set(drop))
    return _whole(add), _whole(drop)


def _canonical(name: str) -> str:
    upper = name.strip().upper()
    if upper in ("ALL", "CAP_ALL"):
        return "ALL"
    return upper if upper.startswith("CAP_") else f"CAP_{upper}"


def _whole(names: list[str]) -> list[str]:
    return ["ALL"] if "ALL" in names else names
