"""Pseudo-terminals: a pair from a given devpts, window size, raw mode."""

import fcntl
import os
import struct
import termios

_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441


def unlock_peer(master_fd: int) -> None:
    """unlockpt(3)."""
    fcntl.ioctl(master_fd, _TIOCSPTLCK, struct.pack("i", 0))


def peer_number(master_fd: int) -> int:
    """The N of /dev/pts/N."""
    return int(struct.unpack("I", fcntl.ioctl(master_fd, _TIOCGPTN, bytes(4)))[0])


def open_peer(master_fd: int, flags: int = os.O_RDWR | os.O_NOCTTY) -> int:
    """Open the other end without looking a path up (TIOCGPTPEER, Linux 4.13): nobody can swap it (S40)."""
    return int(fcntl.ioctl(master_fd, _TIOCGPTPEER, flags | os.O_CLOEXEC))


def set_controlling(fd: int) -> None:
    """Make the terminal the controlling one of this session (TIOCSCTTY)."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def set_window_size(fd: int, *, rows: int, columns: int) -> None:
    """TIOCSWINSZ."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def window_size(fd: int) -> tuple[int, int]:
    """(rows, columns), TIOCGWINSZ."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


def set_raw(fd: int) -> list[int | list[bytes | int]]:
    """Put a terminal into raw mode; the former attributes, for :func:`restore`."""
    former = termios.tcgetattr(fd)
    raw = termios.tcgetattr(fd)
    raw[0] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
                | termios.IGNCR | termios.ICRNL | termios.IXON)  # fmt: skip
    raw[1] &= ~termios.OPOST
    raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, raw)
    return former


def restore(fd: int, attributes: list[int | list[bytes | int]]) -> None:
    """Undo :func:`set_raw`."""
    termios.tcsetattr(fd, termios.TCSADRAIN, attributes)
