"""Run one command in a closed room: ``python -I enclosure.py PLAN.json COMMAND...`` as first process of new namespaces.

It is started by ``unshare`` (util-linux) inside new user, network, process, IPC and mount namespaces, and uses the
standard library alone. It brings up the loopback device, makes every file system read-only, covers the folders that a
submission must not see with empty ones, gives the scratch folder a bounded file system of its own, drops every
capability, and then runs the command. When it ends, the kernel ends every process in the room. Linux manual pages:
unshare(1), mount_setattr(2), capabilities(7), pid_namespaces(7).
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys

_MS_NOSUID, _MS_NODEV, _MS_RDONLY = 2, 4, 1
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_CAPBSET_DROP, _NO_NEW_PRIVS = 24, 38
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _succeed(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _mount(kind: str, target: str, options: str = "", flags: int = _MS_NOSUID | _MS_NODEV) -> None:
    _succeed(_libc.mount(kind.encode(), os.fsencode(target), kind.encode(), flags, options.encode()), f"mount {target}")


def _read_only() -> None:
    wanted = _MountAttributes(_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.sizeof(wanted)
    done = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(wanted), size)
    _succeed(done, "read-only root")


def _drop_capabilities() -> None:
    for capability in range(64):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # those that the kernel does not know are refused: no matter
    _succeed(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def close(plan: dict) -> None:
    """Bring the room about; ``plan`` has ``hidden`` (folders), ``scratch`` (folder) and ``scratch_mb``.

    Raises:
        OSError: when the kernel refuses a step.
    """
    _loopback_up()
    _mount("proc", "/proc")
    _read_only()
    for folder in plan["hidden"]:
        if os.path.isdir(folder):
            _mount("tmpfs", folder, "size=4k", _MS_NOSUID | _MS_NODEV | _MS_RDONLY)
    if os.path.isdir("/dev/shm"):
        _mount("tmpfs", "/dev/shm", f"size={plan['scratch_mb']}m")
    _mount("tmpfs", plan["scratch"], f"size={plan['scratch_mb']}m")
    os.chdir(plan["scratch"])
    _drop_capabilities()


def main(plan_file: str, command: list[str]) -> int:
    """Close the room, run the command in it, and return its exit status (128 + the signal that ended it)."""
    with open(plan_file, encoding="utf-8") as stream:
        plan = json.load(stream)
    try:
        close(plan)
    except OSError as error:
        print(f"the closed room could not be made: {error}", file=sys.stderr)
        return 125
    status = subprocess.call(command, close_fds=False)
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
