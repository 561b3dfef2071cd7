"""How a pull or a push goes about it; the same for both."""

import threading
from dataclasses import dataclass, field

from wherry.images.image import Progress
from wherry.oci.platform import Platform
from wherry.registry.credentials import AuthConfig


@dataclass(frozen=True, slots=True)
class Transfer:
    """``progress`` is told of every step; setting ``cancelled`` ends it with Cancelled. Without ``platform`` a pull
    takes this machine's, a push what is here; without ``auth`` the registry is asked as nobody."""

    progress: Progress
    platform: Platform | None = None
    auth: AuthConfig | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
