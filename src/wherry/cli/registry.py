"""Every command's name, the module that holds it, and its one-line description; the modules are not imported here.

``wherry --help`` and ``wherry container --help`` are printed from these tables alone; a test checks that each
description is the command's own.
"""

# name -> (module below wherry.cli, attribute, description)
CONTAINER: dict[str, tuple[str, str, str]] = {
    "attach": ("attach", "ATTACH", "Attach local standard input, output, and error streams to a running container"),
    "commit": ("commit", "COMMIT", "Create a new image from a container's changes"),
    "cp": ("cp", "CP", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "CREATE", "Create a new container"),
    "diff": ("diff", "DIFF", "Inspect changes to files or directories on a container's filesystem"),
    "exec": ("exec", "EXEC", "Execute a command in a running container"),
    "export": ("export", "EXPORT", "Export a container's filesystem as a tar archive"),
    "inspect": ("inspect", "CONTAINER_INSPECT", "Display detailed information on one or more containers"),
    "kill": ("kill", "KILL", "Kill one or more running containers"),
    "logs": ("logs", "LOGS", "Fetch the logs of a container"),
    "ls": ("ps", "PS", "List containers"),
    "pause": ("pause", "PAUSE", "Pause all processes within one or more containers"),
    "port": ("port", "PORT", "List port mappings or a specific mapping for the container"),
    "prune": ("prune", "CONTAINER_PRUNE", "Remove all stopped containers"),
    "rename": ("rename", "RENAME", "Rename a container"),
    "restart": ("stop", "RESTART", "Restart one or more containers"),
    "rm": ("rm", "RM", "Remove one or more containers"),
    "run": ("run", "RUN", "Create and run a new container from an image"),
    "start": ("start", "START", "Start one or more stopped containers"),
    "stats": ("stats", "STATS", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("stop", "STOP", "Stop one or more running containers"),
    "top": ("top", "TOP", "Display the running processes of a container"),
    "unpause": ("pause", "UNPAUSE", "Unpause all processes within one or more containers"),
    "update": ("update", "UPDATE", "Update configuration of one or more containers"),
    "wait": ("wait", "WAIT", "Block until one or more containers stop, then print their exit codes"),
}
CONTEXT: dict[str, tuple[str, str, str]] = {
    "create": ("context", "CREATE", "Create a context"),
    "inspect": ("context", "INSPECT", "Display detailed information on one or more contexts"),
    "ls": ("context", "LIST", "List contexts"),
    "rm": ("context", "REMOVE", "Remove one or more contexts"),
    "show": ("context", "SHOW", "Print the name of the current context"),
    "update": ("context", "UPDATE", "Update a context"),
    "use": ("context", "USE", "Set the current context"),
}
IMAGE: dict[str, tuple[str, str, str]] = {
    "bootstrap": ("bootstrap", "BOOTSTRAP", "Make a first image from the distribution's own packages"),
    "history": ("history", "HISTORY", "Show the history of an image"),
    "import": ("load", "IMPORT", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect", "IMAGE_INSPECT", "Display detailed information on one or more images"),
    "load": ("load", "LOAD", "Load an image from a tar archive or STDIN"),
    "ls": ("images", "IMAGES", "List images"),
    "prune": ("prune", "IMAGE_PRUNE", "Remove unused images"),
    "pull": ("pull", "PULL", "Download an image from a registry"),
    "push": ("pull", "PUSH", "Upload an image to a registry"),
    "rm": ("rmi", "RMI", "Remove one or more images"),
    "save": ("save", "SAVE", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "tag": ("tag", "TAG", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
NETWORK: dict[str, tuple[str, str, str]] = {
    "connect": ("network", "CONNECT", "Connect a container to a network"),
    "create": ("network", "CREATE", "Create a network"),
    "disconnect": ("network", "DISCONNECT", "Disconnect a container from a network"),
    "inspect": ("inspect", "NETWORK_INSPECT", "Display detailed information on one or more networks"),
    "ls": ("network_list", "LIST", "List networks"),
    "prune": ("prune", "NETWORK_PRUNE", "Remove all unused networks"),
    "rm": ("network", "REMOVE", "Remove one or more networks"),
}
SYSTEM: dict[str, tuple[str, str, str]] = {
    "df": ("disk_usage", "DISK_USAGE", "Show wherry disk usage"),
    "events": ("events", "EVENTS", "Get real time events from the server"),
    "info": ("info", "INFO", "Display system-wide information"),
    "prune": ("prune", "SYSTEM_PRUNE", "Remove unused data"),
    "service": ("service", "SERVICE", "Have systemd keep the API's socket"),
    "stop": ("serve", "STOP", "Stop the engine; containers go on"),
}
VOLUME: dict[str, tuple[str, str, str]] = {
    "create": ("volume", "CREATE", "Create a volume"),
    "inspect": ("inspect", "VOLUME_INSPECT", "Display detailed information on one or more volumes"),
    "ls": ("volume_list", "LIST", "List volumes"),
    "prune": ("prune", "VOLUME_PRUNE", "Remove unused local volumes"),
    "rm": ("volume", "REMOVE", "Remove one or more volumes"),
}
GROUPS: dict[str, tuple[dict[str, tuple[str, str, str]], str]] = {
    "container": (CONTAINER, "Manage containers"),
    "context": (CONTEXT, "Manage contexts"),
    "image": (IMAGE, "Manage images"),
    "network": (NETWORK, "Manage networks"),
    "system": (SYSTEM, "Manage wherry"),
    "volume": (VOLUME, "Manage volumes"),
}
ROOT: dict[str, tuple[str, str, str]] = {
    **{name: entry for name, entry in CONTAINER.items() if name not in ("inspect", "ls", "prune")},
    "completion": ("completion", "COMPLETION", "Print the completion script of a shell"),
    "events": SYSTEM["events"],
    "history": IMAGE["history"],
    "images": IMAGE["ls"],
    "import": IMAGE["import"],
    "info": SYSTEM["info"],
    "inspect": ("inspect", "INSPECT", "Return low-level information on Docker objects"),
    "load": IMAGE["load"],
    "login": ("login", "LOGIN", "Authenticate to a registry"),
    "logout": ("login", "LOGOUT", "Log out from a registry"),
    "ps": CONTAINER["ls"],
    "pull": IMAGE["pull"],
    "push": IMAGE["push"],
    "rmi": IMAGE["rm"],
    "save": IMAGE["save"],
    "search": ("search", "SEARCH", "Search Docker Hub for images"),
    "serve": ("serve", "SERVE", "Run the engine in the foreground, or keep its socket in the background"),
    "tag": IMAGE["tag"],
    "version": ("version", "VERSION", "Show the wherry version information"),
}
# Shown first in ``wherry --help``, in this order.
USUAL = ("run", "exec", "ps", "pull", "push", "images", "login", "logout", "version", "info")
# Second names inside the groups.
SYNONYMS: dict[tuple[str, str], str] = {
    ("container", "list"): "ls",
    ("container", "ps"): "ls",
    ("container", "remove"): "rm",
    ("context", "list"): "ls",
    ("context", "remove"): "rm",
    ("image", "list"): "ls",
    ("image", "remove"): "rm",
    ("network", "list"): "ls",
    ("network", "remove"): "rm",
    ("volume", "list"): "ls",
    ("volume", "remove"): "rm",
}
