"""What /info and /system/df looked like to clients of earlier API versions (the API's version history)."""

from typing import Any

from wherry.api.request import ApiVersion


def info_for(version: ApiVersion, document: dict[str, Any]) -> dict[str, Any]:
    """``document`` is the newest form; it is changed and given back."""
    if version < (1, 50):
        # bridge-nf-call-iptables is not used: nothing that a container sends depends on it.
        document["BridgeNfIptables"] = document["BridgeNfIp6tables"] = True
    if version < (1, 49):
        del document["FirewallBackend"]
        for component in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            document[component]["Expected"] = document[component]["ID"]
        document["RegistryConfig"]["AllowNondistributableArtifactsCIDRs"] = []
        document["RegistryConfig"]["AllowNondistributableArtifactsHostnames"] = []
    if version < (1, 42):
        document["KernelMemory"] = document["KernelMemoryTCP"]
    if version < (1, 25):
        names = [dict(part.split("=", 1) for part in text.split(",")) for text in document["SecurityOptions"]]
        document["SecurityOptions"] = [option["name"] for option in names]
        document["ExecutionDriver"] = "<not supported>"
    return document


def usage_for(version: ApiVersion, document: dict[str, Any]) -> dict[str, Any]:
    """As ``info_for``, for /system/df: without ``type`` before 1.42, sizes of images twice before 1.44."""
    if version < (1, 42):
        document["BuilderSize"] = sum(record["Size"] for record in document["BuildCache"] or ())
    if version >= (1, 44):
        for image in document["Images"] or ():
            image.pop("VirtualSize", None)
    return document
