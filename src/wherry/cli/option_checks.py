"""Checks of single option values (docker/cli ``opts``): each gives the value back, or raises ValueError."""

import os

_STREAMS = ("stdin", "stdout", "stderr")
_ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
# IPC and network namespaces have their own copies of these (go-units and moby's ``opts.ValidateSysctl``).
_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip


def check_stream(text: str) -> str:
    if text.lower() not in _STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def check_env(text: str) -> str:
    """``NAME=value``; a bare NAME takes the value of our own environment, or unsets the image's."""
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if not equals and name in os.environ:
        return f"{name}={os.environ[name]}"
    return text


def check_label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def check_annotation(text: str) -> str:
    if "=" not in text:
        return text + "="
    return text


def check_sysctl(text: str) -> str:
    name, equals, _ = text.partition("=")
    if equals and (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        return text
    raise ValueError(f"sysctl '{text}' is not allowed")


def check_ip(text: str) -> str:
    if not is_ip(text):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text


def is_ip(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address."""
    import _socket  # the C half: the rest of socket costs 4 ms

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue  # not of this family
        return True
    return False


def check_dns_search(text: str) -> str:
    domain = text.strip()
    if domain == ".":
        return domain
    labels = domain.rstrip(".").split(".")
    good = all(
        0 < len(label) <= 63 and label.replace("-", "a").replace("_", "a").isalnum() and label[0] != "-"
        for label in labels
    )
    if not good or len(domain) > 255:
        raise ValueError(f"{text} is not a valid domain")
    return domain


def check_extra_host(text: str) -> str:
    """``host:ip`` or ``host=ip``; ``host-gateway`` stands for the host's address."""
    cut = text.find("=") if "=" in text else text.find(":")
    host, address = text[:cut], text[cut + 1 :]
    if cut <= 0 or not address:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address == "host-gateway":
        return f"{host}:{address}"
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if not is_ip(bare):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{host}:{bare}"


def check_ulimit(text: str) -> str:
    parse_ulimit(text)
    return text


def parse_ulimit(text: str) -> "dict[str, str | int]":
    """``nofile=1024:2048`` as the API's Ulimit: Name, Soft, Hard (-1 is no limit)."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    numbers: list[int] = []
    for part in parts:
        try:
            numbers.append(int(part))
        except ValueError:
            raise ValueError(f'strconv.ParseInt: parsing "{part}": invalid syntax') from None
    soft, hard = numbers[0], numbers[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def check_gpus(text: str) -> str:
    """The form; whether there is such a device is the engine's to say."""
    from wherry.cli.device_values import parse_gpus  # start-up cost: rare

    if not text:
        raise ValueError("EOF")
    parse_gpus(text)
    return text
