"""wherry: a container engine in Python (see ARCHITECTURE.md).

Nothing is imported here: ``wherry ps`` pays for every module that this file would pull in. ``from wherry import
Client`` works all the same, by the module's ``__getattr__``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.client import Client as Client

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Client":
        from wherry.client.client import Client

        return Client
    raise AttributeError(f"module 'wherry' has no attribute {name!r}")
