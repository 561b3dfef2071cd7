"""What each API version shows of an image."""

import pytest

from wherry.api.image_documents import inspection, summary
from wherry.api.request import ApiVersion

INSPECTED = {
    "Id": "sha256:1", "Container": "", "ContainerConfig": {}, "VirtualSize": 1, "Size": 1, "Descriptor": {},
    "Config": {"Hostname": "", "AttachStdin": False, "Image": "", "Env": ["A=b"], "Cmd": None, "Labels": {}},
}  # fmt: skip
LISTED = {"RepoTags": [], "RepoDigests": [], "VirtualSize": 1, "Containers": 2}


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ((1, 43), {"Descriptor"}),
        ((1, 44), {"Descriptor", "VirtualSize"}),
        ((1, 47), {"Descriptor", "VirtualSize", "Container", "ContainerConfig"}),
        ((1, 51), {"VirtualSize", "Container", "ContainerConfig"}),
    ],
)
def test_an_inspection_loses_fields_and_wins_one(version: ApiVersion, absent: set[str]) -> None:
    assert INSPECTED.keys() - inspection(INSPECTED, version).keys() == absent


def test_the_config_is_the_images_own_from_1_50() -> None:
    assert inspection(INSPECTED, (1, 49))["Config"] == INSPECTED["Config"]
    assert inspection(INSPECTED, (1, 50))["Config"] == {"Env": ["A=b"]}


def test_a_list_changes_with_the_version() -> None:
    assert summary(LISTED, (1, 42)) == {
        "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"], "VirtualSize": 1, "Containers": -1
    }  # fmt: skip
    assert summary(LISTED, (1, 44)) == {"RepoTags": [], "RepoDigests": [], "Containers": -1}
    assert summary(LISTED, (1, 51))["Containers"] == 2
