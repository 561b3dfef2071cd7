"""What each endpoint takes and gives, for ``/openapi.json``: the part that the routes' patterns do not say.

``query`` is ``name:type`` by blanks; types are JSON's, ``filters`` (a JSON object in a string) and ``strings`` (given
several times). An endpoint that is not here is described by its path alone.
"""

from dataclasses import dataclass

from wherry.api.distribution import AuthRequest
from wherry.api.exec import ExecStartRequest
from wherry.api.networks import ConnectRequest, DisconnectRequest, NetworkCreateRequest
from wherry.api.response import JSON, MULTIPLEXED_STREAM, TAR
from wherry.api.volumes import VolumeCreateRequest
from wherry.containers.config import ContainerConfig, CreateRequest, ExecConfig, UpdateRequest


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``body``: the struct of a JSON body, or a media type of bytes. ``answer`` empty: no body."""

    summary: str
    query: str = ""
    body: type | str | None = None
    status: int = 200
    answer: str = JSON


_TEXT = "text/plain; charset=utf-8"
_ATTACH = "stream:boolean stdin:boolean stdout:boolean stderr:boolean logs:boolean detachKeys:string"
_ARCHIVE = "path:string"
_STOP = "t:integer signal:string"

ENDPOINTS: dict[str, Endpoint] = {
    "GET /_ping": Endpoint("Ask whether the engine answers", answer=_TEXT),
    "HEAD /_ping": Endpoint("Ask whether the engine answers", answer=""),
    "GET /openapi.json": Endpoint("This description"),
    "GET /version": Endpoint("The engine's version"),
    "GET /info": Endpoint("The engine, the machine, what is supported"),
    "GET /system/df": Endpoint("What images, containers and volumes take", "type:strings"),
    "GET /events": Endpoint("Events of the past and as they happen", "since:string until:string filters:filters"),
    "POST /auth": Endpoint("Try credentials at a registry", body=AuthRequest),
    "GET /containers/json": Endpoint("List containers", "all:boolean limit:integer size:boolean filters:filters"),
    "POST /containers/create": Endpoint(
        "Create a container", "name:string platform:string", CreateRequest, status=201
    ),
    "POST /containers/prune": Endpoint("Remove stopped containers", "filters:filters"),
    "GET /containers/{id}/json": Endpoint("Inspect a container", "size:boolean"),
    "GET /containers/{id}/top": Endpoint("Its processes", "ps_args:string"),
    "GET /containers/{id}/logs": Endpoint(
        "What it printed",
        "follow:boolean stdout:boolean stderr:boolean since:string until:string timestamps:boolean tail:string "
        "details:boolean",
        answer=MULTIPLEXED_STREAM,
    ),
    "GET /containers/{id}/changes": Endpoint("Files that differ from its image's"),
    "GET /containers/{id}/export": Endpoint("Its file system", answer=TAR),
    "GET /containers/{id}/stats": Endpoint("What it uses", "stream:boolean one-shot:boolean"),
    "POST /containers/{id}/resize": Endpoint("Set the size of its terminal", "h:integer w:integer", answer=""),
    "POST /containers/{id}/start": Endpoint("Start it", "detachKeys:string checkpoint:string", status=204, answer=""),
    "POST /containers/{id}/stop": Endpoint("Stop it", _STOP, status=204, answer=""),
    "POST /containers/{id}/restart": Endpoint("Stop and start it", _STOP, status=204, answer=""),
    "POST /containers/{id}/kill": Endpoint("Send it a signal", "signal:string", status=204, answer=""),
    "POST /containers/{id}/update": Endpoint("Change its limits", body=UpdateRequest),
    "POST /containers/{id}/rename": Endpoint("Rename it", "name:string", status=204, answer=""),
    "POST /containers/{id}/pause": Endpoint("Freeze it", status=204, answer=""),
    "POST /containers/{id}/unpause": Endpoint("Thaw it", status=204, answer=""),
    "POST /containers/{id}/attach": Endpoint(
        "Its streams, on the connection itself", _ATTACH, answer=MULTIPLEXED_STREAM
    ),
    "GET /containers/{id}/attach/ws": Endpoint("Its streams over a websocket", _ATTACH, status=101, answer=""),
    "POST /containers/{id}/wait": Endpoint("Wait for its end", "condition:string"),
    "DELETE /containers/{id}": Endpoint("Remove it", "v:boolean force:boolean link:boolean", status=204, answer=""),
    "HEAD /containers/{id}/archive": Endpoint("About a file in it", _ARCHIVE, answer=""),
    "GET /containers/{id}/archive": Endpoint("Files from it", _ARCHIVE, answer=TAR),
    "PUT /containers/{id}/archive": Endpoint(
        "Files into it", f"{_ARCHIVE} noOverwriteDirNonDir:string copyUIDGID:string", TAR, answer=""
    ),
    "POST /containers/{id}/exec": Endpoint("Prepare another process in it", body=ExecConfig, status=201),
    "POST /exec/{id}/start": Endpoint("Run the process", body=ExecStartRequest, answer=MULTIPLEXED_STREAM),
    "POST /exec/{id}/resize": Endpoint("Set the size of its terminal", "h:integer w:integer", answer=""),
    "GET /exec/{id}/json": Endpoint("Inspect the process"),
    "POST /commit": Endpoint(
        "An image of a container",
        "container:string repo:string tag:string comment:string author:string pause:boolean changes:strings",
        ContainerConfig,
        status=201,
    ),
    "GET /images/json": Endpoint(
        "List images", "all:boolean filters:filters shared-size:boolean digests:boolean manifests:boolean"
    ),
    "POST /images/create": Endpoint(
        "Pull or import an image",
        "fromImage:string fromSrc:string repo:string tag:string message:string changes:strings platform:string",
        TAR,
    ),
    "POST /images/load": Endpoint("Load images from an archive", "quiet:boolean platform:string", TAR),
    "POST /images/prune": Endpoint("Remove unused images", "filters:filters"),
    "GET /images/get": Endpoint("Several images as an archive", "names:strings platform:string", answer=TAR),
    "GET /images/search": Endpoint("Search a registry", "term:string limit:integer filters:filters"),
    "GET /images/{name}/json": Endpoint("Inspect an image", "manifests:boolean platform:string"),
    "GET /images/{name}/history": Endpoint("Its layers", "platform:string"),
    "GET /images/{name}/get": Endpoint("The image as an archive", "platform:string", answer=TAR),
    "POST /images/{name}/push": Endpoint("Push it", "tag:string platform:string"),
    "POST /images/{name}/tag": Endpoint("Name it", "repo:string tag:string", status=201, answer=""),
    "DELETE /images/{name}": Endpoint("Remove it", "force:boolean noprune:boolean"),
    "GET /distribution/{name}/json": Endpoint("An image's manifest in its registry"),
    "GET /networks": Endpoint("List networks", "filters:filters"),
    "POST /networks/create": Endpoint("Create a network", body=NetworkCreateRequest, status=201),
    "POST /networks/{id}/connect": Endpoint("Attach a container", body=ConnectRequest, answer=""),
    "POST /networks/{id}/disconnect": Endpoint("Take a container off", body=DisconnectRequest, answer=""),
    "GET /networks/{id}": Endpoint("Inspect a network", "verbose:boolean scope:string"),
    "POST /networks/prune": Endpoint("Remove unused networks", "filters:filters"),
    "DELETE /networks/{id}": Endpoint("Remove it", status=204, answer=""),
    "GET /volumes": Endpoint("List volumes", "filters:filters"),
    "POST /volumes/create": Endpoint("Create a volume", body=VolumeCreateRequest, status=201),
    "POST /volumes/prune": Endpoint("Remove unused volumes", "filters:filters"),
    "GET /volumes/{name}": Endpoint("Inspect a volume"),
    "DELETE /volumes/{name}": Endpoint("Remove it", "force:boolean", status=204, answer=""),
    "GET /plugins": Endpoint("List plugins: there are none", "filters:filters"),
}
