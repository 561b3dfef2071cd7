"""Which boot of the machine this is (random(4), /proc/sys/kernel/random/boot_id): tells stale state from live."""


def boot_id() -> str:
    """A UUID that is new after every boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
