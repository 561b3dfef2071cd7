"""Image names as Docker shows and sends them: the familiar form, and the split into repository and tag."""


def split_reference(text: str) -> tuple[str, str]:
    """``repo:tag`` as ``(repo, tag)``, ``repo@sha256:…`` as ``(repo, digest)``, ``repo`` as ``(repo, "")``."""
    name, at, digest = text.partition("@")
    if at:
        return _without_tag(name)[0], digest
    return _without_tag(name)


def _without_tag(name: str) -> tuple[str, str]:
    head, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to the registry's port.
    if not colon or "/" in tag:
        return name, ""
    return head, tag


def familiar(text: str) -> str:
    """The short form with its tag: ``docker.io/library/busybox`` is ``busybox:latest``."""
    repository, tag = split_reference(text)
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        repository = repository.removeprefix(prefix)
    if ":" in tag:
        return f"{repository}@{tag}"
    return f"{repository}:{tag or 'latest'}"


def reference_error(text: str) -> str | None:
    """Docker's words for a reference that cannot be one, for what a client can tell."""
    repository, tag = split_reference(text)
    if ":" in repository.rpartition("/")[2] or (tag and not (_is_digest(tag) if "@" in text else _is_tag(tag))):
        return "invalid reference format"
    if not repository or repository != repository.strip() or "//" in repository or repository[0] in "-./_:":
        return "invalid reference format"
    first, slash, rest = repository.partition("/")
    path = rest if slash and ("." in first or ":" in first or first == "localhost") else repository
    if path != path.lower():
        shown = path if "/" in repository else f"library/{path}"
        return f"invalid reference format: repository name ({shown}) must be lowercase"
    return None


def _is_tag(text: str) -> bool:
    plain = text.translate(str.maketrans("", "", "_.-"))
    return text[0] not in ".-" and len(text) <= 128 and text.isascii() and (plain.isalnum() or not plain)


def _is_digest(text: str) -> bool:
    algorithm, _, encoded = text.partition(":")
    return bool(algorithm) and len(encoded) >= 32 and set(encoded.lower()) <= set("0123456789abcdef")
