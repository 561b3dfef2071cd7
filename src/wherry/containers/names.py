"""Container names: the grammar, and a random one for a container that was given none."""

import re
import secrets

from wherry.errors import InvalidParameter

_GRAMMAR = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")

# On the water: weather and temper, then people who built, sailed or rowed small craft.
_ADJECTIVE_TEXT = """
able amber ample azure balmy bold brave breezy bright brisk buoyant calm candid cheery clear coastal crisp
daring deft eager early fair fleet foggy fond frank fresh gentle glad golden handy hardy hearty honest keen kind
lively lucid lunar mellow merry misty modest mild neat nimble noble patient placid polite proud quick quiet
rapid ready robust salty serene silver sleek smooth snug sober sound spry staunch steady stout sunny swift tidal
tidy trim trusty vivid warm wary windy witty young zesty
"""
_ADJECTIVES = _ADJECTIVE_TEXT.split()
_SURNAME_TEXT = """
barcroft beaufort bligh blythe bowditch cabot chapelle chichester claughton colin cook crowhurst dampier davis
drake fawcett fisher fitzroy flinders folkard francis froude gatty gerbault graham guzzwell hanlan hannu hasler
herreshoff hiscock horsley hudson hurley irving jones julyan kelly knox laurie leather lewis maury mackinnon
magellan marin mccooey monk moitessier mulhauser newell nansen pardey peard phelps pidgeon pocock pye quiros
ransome renforth roth rozhestvensky sadler searle shackleton slocum smeeton stephens street tabarly tasman
taylor tilman trickett uffa vito voss wharram worsley
"""
_SURNAMES = _SURNAME_TEXT.split()


def check_name(name: str) -> str:
    """The name without its leading slash; InvalidParameter in Docker's words when it breaks the grammar."""
    bare = name.removeprefix("/")
    if not _GRAMMAR.match(bare):
        raise InvalidParameter(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        )
    return bare


def random_name() -> str:
    """``adjective_surname``; the caller tries again (or appends a digit) when it is taken."""
    return f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_SURNAMES)}"


def random_id() -> str:
    """64 hex digits whose first twelve are not all decimal (a short id must not read as a number)."""
    while True:
        candidate = secrets.token_hex(32)
        if not candidate[:12].isdigit():
            return candidate
