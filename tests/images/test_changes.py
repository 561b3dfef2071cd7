"""Dockerfile instructions of ``--change``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.images.changes import InvalidChange, apply_changes
from wherry.oci.image_config import ContainerConfig, Healthcheck

EMPTY = ContainerConfig()


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ('CMD ["a", "b"]', "cmd", ("a", "b")),
        ("CMD a b", "cmd", ("/bin/sh", "-c", "a b")),
        ("cmd []", "cmd", ()),
        ('ENTRYPOINT ["x"]', "entrypoint", ("x",)),
        ("ENV A=1 B=2", "env", ("A=1", "B=2")),
        ("ENV A some words", "env", ("A=some words",)),
        ("ENV A=\"x y\" B='$z' C=p\\ q", "env", ("A=x y", "B=$z", "C=p q")),
        ("EXPOSE 80 90-92/UDP", "exposed_ports", {"80/tcp": {}, "90/udp": {}, "91/udp": {}, "92/udp": {}}),
        ('LABEL a=b "c d"="e f"', "labels", {"a": "b", "c d": "e f"}),
        ("ONBUILD RUN x", "on_build", ("RUN x",)),
        ("USER 1000:1000", "user", "1000:1000"),
        ("VOLUME /a /b", "volumes", {"/a": {}, "/b": {}}),
        ('VOLUME ["/a b"]', "volumes", {"/a b": {}}),
        ("WORKDIR a/../b/./c", "working_dir", "/b/c"),
        ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT"),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(("NONE",))),
        (
            "HEALTHCHECK --interval=1m30s --timeout=2s --start-period=500ms --retries=3 CMD curl x",
            "healthcheck",
            Healthcheck(("CMD-SHELL", "curl x"), 90 * 10**9, 2 * 10**9, 5 * 10**8, 0, 3),
        ),
        ('HEALTHCHECK CMD ["a"]', "healthcheck", Healthcheck(("CMD", "a"))),
    ],
)
def test_an_instruction_changes_its_field(change: str, field: str, value: object) -> None:
    assert getattr(apply_changes(EMPTY, [change]), field) == value


def test_changes_add_up() -> None:
    config = apply_changes(EMPTY, ["ENV A=1", "ENV A=2 B=3", "WORKDIR /a", "WORKDIR b", "LABEL x=1\nLABEL y=2"])
    assert config.env == ("A=2", "B=3")
    assert config.working_dir == "/a/b"
    assert config.labels == {"x": "1", "y": "2"}


@pytest.mark.parametrize(
    "change",
    ["RUN x", "FROM a", "CMD", "ENV A", "ENV A=1 B", "ENV =x", "EXPOSE x", "EXPOSE 0", "EXPOSE 70000", "EXPOSE 9-8",
     "ONBUILD ONBUILD RUN x", "ONBUILD FROM x", "USER a b", "HEALTHCHECK x", "HEALTHCHECK CMD", "HEALTHCHECK NONE x",
     "HEALTHCHECK --interval=x CMD y", "HEALTHCHECK --nope=1 CMD y", "HEALTHCHECK --interval=1us CMD y",
     'LABEL a="b', 'VOLUME [""]'],
)  # fmt: skip
def test_nonsense_is_refused(change: str) -> None:
    with pytest.raises(InvalidChange):
        apply_changes(EMPTY, [change])


@given(st.text(max_size=60))
def test_any_text_changes_the_config_or_is_refused(text: str) -> None:
    for word in ("ENV", "CMD", "LABEL", "EXPOSE", "HEALTHCHECK", "VOLUME", "WORKDIR", ""):
        try:
            apply_changes(EMPTY, [f"{word} {text}"])
        except InvalidChange:
            pass  # the only error there may be
