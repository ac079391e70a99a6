# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Mounts that come and go in a container that runs, which may be hostile and may change its files meanwhile.

Every path is opened below the container's root directory as a process inside would (openat2), so no link leads out,
and from then on only descriptors count. The two calls that the kernel takes from inside a mount namespace only,
move_mount and umount2, are made by a thread that joins it and ends. Nothing else may run in such a thread: an import
would read the container's files.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from covirt.common.errors import Conflict, InvalidRequest
from covirt.common.process_identity import ProcessIdentity, alive
from covirt.oci import syscalls

_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY
_MOST_HOLDERS: Final = 3  # named in a message
_MOST_DESCRIPTORS: Final = 4096  # looked at for one process
_NAME_CHARACTERS: Final = 15  # of a process, as the kernel keeps it
_RESERVED: Final = ("/proc", "/sys", "/dev")
_FREE: Final = ("/dev/shm",)  # noqa: S108 - the container's
_REASONS: Final = {
    errno.ENOTDIR: "it is not a directory",
    errno.ELOOP: "a link to a process's files leads there",
    errno.EROFS: "the file system there is read-only, and the directory does not exist",
    errno.EACCES: "the container's root may not make it",
}


class ContainerEnded(Conflict):
    template = "the container has ended"


class TargetUnusable(InvalidRequest):
    template = "nothing can be mounted at {target} in the container: {reason}"


class MountHeld(Conflict):
    """Somebody inside uses what shall be unmounted. Fields: target, holders (in words)."""

    template = "{target} is in use: {holders}"


class MountCovered(Conflict):
    template = "what is mounted at {target} in the container is not what was mounted there"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """A mount inside: the kernel's number of it, and which directory of which file system it shows."""

    mount_id: int
    device: int
    inode: int


class ContainerMounts:
    """The mounts of one running container; see container_mounts()."""

    def __init__(self, namespace: int, root: int) -> None:
        self._namespace = namespace
        self._root = root

    def missing(self, target: str) -> tuple[str, ...]:
        """The directories that there have to be for a mount at ``target``, and are not, outermost first."""
        lacking = []
        for path in (*reversed(PurePosixPath(target).parents), PurePosixPath(target)):
            try:
                os.close(self._open(os.fspath(path)))
            except FileNotFoundError:
                lacking.append(os.fspath(path))
            except OSError as error:
                raise _unusable(target, error) from error
        return tuple(lacking)

    def make_directories(self, paths: Iterable[str], *, uid: int, gid: int) -> None:
        """Make what missing() told, as the container's root, who has these ids on the host. Raises TargetUnusable."""
        for path in paths:
            try:
                self._make_directory(PurePosixPath(path), uid, gid)
            except OSError as error:
                raise _unusable(path, error) from error

    def _make_directory(self, path: PurePosixPath, uid: int, gid: int) -> None:
        with self._opened(os.fspath(path.parent)) as parent:

            def make() -> None:
                syscalls.act_as_user(uid, gid)
                os.mkdir(path.name, 0o755, dir_fd=parent)

            _in_a_thread(make)

    def remove_directories(self, paths: Iterable[str], *, uid: int, gid: int) -> None:
        """Remove what make_directories() made, with the same rights and as far as nothing is in it.

        A link may have taken the place of any of them meanwhile.
        """
        for path in reversed(tuple(paths)):
            with contextlib.suppress(OSError):
                self._remove_directory(PurePosixPath(path), uid, gid)

    def _remove_directory(self, path: PurePosixPath, uid: int, gid: int) -> None:
        with self._opened(os.fspath(path.parent)) as parent:

            def remove() -> None:
                syscalls.act_as_user(uid, gid)
                os.rmdir(path.name, dir_fd=parent)

            _in_a_thread(remove)

    def attach(self, tree: int, target: str) -> None:
        """Mount a detached mount at an existing directory. Raises TargetUnusable.

        Never over what every container has of its own: a runtime that enters it later believes what it reads there.
        """
        try:
            with self._opened(target) as place:
                found = self._path_inside(place)
                if found == "/" or (_reserved(found) and found not in _FREE):
                    raise TargetUnusable(target=target, reason=f"a link leads to {found}")
                self._inside(lambda: syscalls.attach_mount_on(tree, place))
        except OSError as error:
            raise _unusable(target, error) from error

    def has(self, number: int) -> bool:
        """Whether a mount with this number is anywhere in the container."""

        def look(own: int) -> bytes:
            with open(os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=own), "rb", buffering=0) as table:
                return table.readall() or b""

        return any(line.partition(b" ")[0] == b"%d" % number for line in self._seen(look).splitlines())

    def _path_inside(self, place: int) -> str:
        """Where an open directory is, as the container sees it; nobody can rename what is mounted."""
        return os.fsdecode(self._seen(lambda own: os.readlink(b"fd/%d" % place, dir_fd=own)))

    def _seen(self, look: Callable[[int], bytes]) -> bytes:
        """What ``look`` finds, given the host's /proc/thread-self, in a thread that is in the namespace."""
        found: list[bytes] = []

        def enter_and_look() -> None:
            own = os.open("/proc/thread-self", _DIRECTORY | os.O_CLOEXEC)
            try:
                _enter(self._namespace)
                found.append(look(own))
            finally:
                os.close(own)

        _in_a_thread(enter_and_look)
        return found[0]

    def find(self, target: str) -> MountFacts | None:
        """The topmost mount at ``target``, or None when there is none."""
        try:
            with self._opened(target) as place, _opened_in("..", place) as above:
                if mount_id(place) == mount_id(above):
                    return None
                status = os.fstat(place)
                return MountFacts(mount_id=mount_id(place), device=status.st_dev, inode=status.st_ino)
        except OSError:
            return None

    def detach(self, target: str, number: int, *, processes: Iterable[int]) -> None:
        """Unmount the mount with this number at ``target``. Raises MountHeld, MountCovered.

        ``processes`` are the container's, on the host; they are looked at to tell who holds it.
        """
        with self._opened(target) as place:
            name = os.path.basename(os.readlink(f"/proc/self/fd/{place}"))
            above = os.open("..", _DIRECTORY | os.O_CLOEXEC, dir_fd=place)
        # From here on nothing of ours is in the mount, or it could not be unmounted. Its place cannot be renamed or
        # removed as long as it is there, so what is looked at now is what will be unmounted.
        try:
            with _opened_in(name, above) as place:
                if mount_id(place) != number:
                    raise MountCovered(target=target)
            self._inside(lambda: _unmount_in(above, name))
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise MountHeld(target=target, holders=_holders(number, processes)) from error
            raise _unusable(target, error) from error
        finally:
            os.close(above)

    def _inside(self, call: Callable[[], None]) -> None:
        def enter_and_call() -> None:
            _enter(self._namespace)
            call()

        _in_a_thread(enter_and_call)

    def _open(self, path: str) -> int:
        return syscalls.open_in_root(self._root, path, flags=_DIRECTORY)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        descriptor = self._open(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def container_mounts(container: ProcessIdentity) -> Iterator[ContainerMounts]:
    """The mounts of the container whose first process this is. Raises ContainerEnded.

    Its root directory is that of its mount namespace, which the process itself cannot change.
    """
    with contextlib.ExitStack() as opened:
        try:
            namespace = os.open(f"/proc/{container.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ContainerEnded from error
        opened.callback(os.close, namespace)
        if not alive(container.pid, container.start_time):  # or the number was another process's by then
            raise ContainerEnded
        roots: list[int] = []

        def find_root() -> None:
            _enter(namespace)
            roots.append(os.open("/", _DIRECTORY | os.O_CLOEXEC))

        _in_a_thread(find_root)
        opened.callback(os.close, roots[0])
        yield ContainerMounts(namespace, roots[0])


def mount_id(descriptor: int) -> int:
    """The kernel's number of the mount that an open file is in, which a mount keeps when it gets its place."""
    return _mount_id(f"/proc/self/fdinfo/{descriptor}")


def detached_copy(view: Path) -> int:
    """A descriptor of a detached copy of the mount at ``view``, which shares no later mounts with it."""
    copy = syscalls.clone_mount(os.fspath(view))
    try:
        syscalls.change_mount(copy, private=True)
    except BaseException:
        os.close(copy)
        raise
    return copy


def detached_memory(*, size_bytes: int | None, read_only: bool, uid: int, gid: int) -> int:
    """A descriptor of a detached tmpfs, as a container has one from its start; its root directory is this user's."""
    options = {"mode": "1777", "uid": str(uid), "gid": str(gid)}
    if size_bytes is not None:
        options["size"] = str(size_bytes)
    attributes = syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOSUID
    return syscalls.detached_tmpfs(options, attributes=attributes | (syscalls.MOUNT_ATTR_RDONLY if read_only else 0))


def _enter(namespace: int) -> None:
    syscalls.unshare(syscalls.CLONE_FS)  # or every thread would get the container's root directory
    syscalls.enter_namespace(namespace, syscalls.CLONE_NEWNS)


def _reserved(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in _RESERVED)


def _unmount_in(directory: int, name: str) -> None:
    os.fchdir(directory)
    syscalls.unmount(name, syscalls.UMOUNT_NOFOLLOW)


def _in_a_thread(work: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread as it is
            failures.append(error)

    thread = threading.Thread(target=guarded, name="container-mounts")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _opened_in(name: str, directory: int) -> Iterator[int]:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _mount_id(path: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.partition(":")[2])
    raise OSError(errno.ENODATA, "the kernel tells no mount", path)


def _unusable(target: str, error: OSError) -> TargetUnusable:
    return TargetUnusable(target=target, reason=_REASONS.get(error.errno or 0, error.strerror))


def _holders(number: int, processes: Iterable[int]) -> str:
    found = []
    for pid in sorted(processes):
        how = _held_by(number, pid)
        if how is not None:
            found.append(f"process {_name_inside(pid)} {how}")
        if len(found) == _MOST_HOLDERS:
            break
    return ", ".join(found) or "something is mounted below it, or a process of another mount namespace has it"


def _held_by(number: int, pid: int) -> str | None:
    links = {"cwd": "has its working directory there", "root": "has its root there", "exe": "was started from there"}
    with contextlib.suppress(OSError):
        for name, how in links.items():
            with contextlib.suppress(OSError), _opened_link(f"/proc/{pid}/{name}") as link:
                if mount_id(link) == number:
                    return how
        for count, entry in enumerate(os.scandir(f"/proc/{pid}/fdinfo")):
            if count == _MOST_DESCRIPTORS:
                break
            with contextlib.suppress(OSError):
                if _mount_id(entry.path) == number:
                    return "has a file open there"
    return None


@contextlib.contextmanager
def _opened_link(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _name_inside(pid: int) -> str:
    """Its number in the container, and its name as far as it is printable: the process chooses that itself."""
    number, name = str(pid), "?"
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key == "NSpid":
                number = value.split()[-1]
            elif key == "Name":
                name = "".join(char if char.isprintable() else "?" for char in value.strip()[:_NAME_CHARACTERS])
    return f"{number} ({name})"
