"""A lock for object stores, which have none: an object that its holder renews.

No clock of a machine matters. How old a lease is, the store's own times tell: that of the lease, and that of a small
object written just now. A holder counts on its own clock since it last renewed, and stops writing long before others
may take the lease over.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.store.object_client import as_os_error, object_errors, open_store
from faceloom.pipelines.store.repeats import Tries, is_passing, log_waiting, repeated
from faceloom.schemas.errors import StorageError, printable
from faceloom.schemas.json_text import parse_json

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It runs on while the machine is suspended, where the system has such a clock."""
SECONDS = 60.0
"""A lease that was not renewed for so long may be taken over."""
RENEWALS = 6
"""Renewals in that time. A holder that misses four of them stops writing until one succeeds."""
REQUEST_SECONDS = 10.0
"""Time limit of a renewal, so that one without an answer leaves time for others."""
_MOST_BYTES = 4096
_HELD: dict[str, _Lease] = {}
"""The leases that this process holds, by root."""


def now() -> float:
    """Seconds on the clock of this machine that leases use."""
    return time.clock_gettime(_CLOCK)


def refuse_lost(root: str) -> None:
    """Refuse to write to a root whose lease this process has lost. An old one is renewed first, once the store is back.

    Raises:
        StorageError: it has lost it, or cannot renew it.
    """
    lease, tries = _HELD.get(root), Tries()
    while lease and now() > lease.until and not lease.renew():
        error = lease.error
        if error and not is_passing(error):
            with object_errors("the lock cannot be renewed", f"{root}/{lease.name}"):
                raise error
        if lease.lost or not tries.pause():
            reason = f" ({as_os_error(error).strerror})" if error else ""
            why = lease.lost or f"it could not be renewed for too long{reason}"
            remedy = "Run the same command again; finished tasks are kept"
            raise StorageError(f"this process no longer holds the lock: {why}", where=root, remedy=remedy)


@contextlib.contextmanager
def hold_lease(root: str, name: str) -> Iterator[None]:
    """Hold a lease while the block runs, and renew it in a thread. Does not wait for another holder.

    Of several processes that create it, or that take over the same old lease, one succeeds: the store compares ETags or
    generations. If the lease is lost, or may be, `refuse_lost` raises.

    Args:
        root: URL of the folder.
        name: of the object in it.

    Raises:
        StorageError: another process holds it, or the root cannot be written.
    """
    with object_errors("cannot be locked", f"{root}/{name}"):
        lease = _acquire(open_store(root, seconds=REQUEST_SECONDS), root, name)
    _HELD[root] = lease
    thread = threading.Thread(target=lease.keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        lease.ended.set()
        thread.join(10)
        del _HELD[root]
        if now() < lease.until or lease.renew():
            with contextlib.suppress(Exception):  # it ends by itself
                repeated(lease.delete)


@dataclass
class _Lease:
    """A lease that this process holds.

    Attributes:
        version: ETag or generation of the object, by which the store compares.
        until: when this process stops writing, on its own clock.
        lost: why the lease is lost for good; empty if it is not.
        error: why the last renewal failed, if the store or the network is the reason.
        owner: random, so that each holder writes other bytes and so another ETag.
    """

    store: ObjectStore
    root: str
    name: str
    seconds: float
    version: Any = None
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    count: int = 0
    until: float = 0.0
    lost: str = ""
    error: Exception | None = None
    renewing: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def put(self, mode: Any) -> None:
        import obstore

        begin = now()
        self.count += 1
        holder = {
            "host": socket.gethostname(), "process": os.getpid(), "owner": self.owner, "renewal": self.count,
            "seconds": self.seconds,
        }  # fmt: skip
        done = obstore.put(self.store, self.name, json.dumps(holder).encode(), mode=mode, use_multipart=False)
        self.version, self.until = version_of(done), begin + self.seconds * 4 / RENEWALS

    def delete(self) -> None:
        """Delete the object, if it is still ours. Raises what the library raises."""
        import obstore

        # The answer of a first try may be lost; since then, another process may have created its own.
        if now() < self.until and self._is_ours():
            obstore.delete(self.store, self.name)

    def keep(self) -> None:
        """Renew the lease until the block ends."""
        while not self.lost and not self.ended.wait(self.seconds / RENEWALS):
            if not self.renew() and self.error and is_passing(self.error):
                log_waiting(self.error)  # this process sees it while its workers wait

    def renew(self) -> bool:
        """Renew the lease; returns whether it is renewed. If the store is away, the next call may succeed."""
        from obstore.exceptions import PreconditionError

        with self.renewing:
            self.error = None
            try:
                for _ in range(2):
                    if self.lost:
                        break
                    try:
                        self.put(self.version)
                        return True
                    except (PreconditionError, FileNotFoundError):
                        if not self._is_ours():
                            self.lost, self.until = "another process took it over, or deleted it", -math.inf
            except Exception as error:
                self.error = error
        return False

    def take_over(self, version: dict[str, str]) -> None:
        """Replace this version of another holder's lease. Raises what the library raises."""
        from obstore.exceptions import PreconditionError

        self.version = version
        while True:
            try:
                return repeated(lambda: self.put(self.version))
            except PreconditionError:
                if not repeated(self._is_ours):  # it is ours if only the answer was lost
                    raise

    def _is_ours(self) -> bool:
        """Whether the lease is a renewal of ours whose answer was lost. Raises what the library raises."""
        try:
            data, meta = _read(self.store, self.name)
        except FileNotFoundError:
            return False
        holder, self.version = _parsed(data), version_of(meta)
        return holder.get("owner") == self.owner


def version_of(found: Any) -> dict[str, str]:
    """ETag and generation of an object, as far as the store has them."""
    return {name: found[name] for name in ("e_tag", "version") if found[name]}


def _acquire(store: ObjectStore, root: str, name: str) -> _Lease:
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    lease = _Lease(store, root, name, SECONDS)
    with contextlib.suppress(AlreadyExistsError, PreconditionError):
        repeated(lambda: lease.put("create"))
        return lease
    remedy = "Run the same command again"
    try:
        data, meta = repeated(lambda: _read(store, name))
        holder = _parsed(data)
        if not holder:
            what, move = "this is no lock file of faceloom", "Move it away, or choose another folder"
            raise StorageError(what, where=f"{root}/{name}", remedy=move)
        age = (_time_of(store, name) - meta["last_modified"]).total_seconds()
        ours = holder["owner"] == lease.owner  # the answer was lost, and the request repeated
        if age < (seconds := float(holder["seconds"])) and not ours:
            who = printable(f"process {holder.get('process')} on {holder.get('host')}")[:120]
            wait = f"Wait until it has finished. If it was killed, wait {seconds - age:.0f} seconds"
            what = f"another process is writing to this folder: {who}, seen {max(0.0, age):.0f} seconds ago"
            raise StorageError(what, where=root, remedy=wait)
        lease.take_over(version_of(meta))
    except (FileNotFoundError, PreconditionError):
        what = "another process was writing to this folder"
        raise StorageError(what, where=root, remedy=remedy) from None
    return lease


def _read(store: ObjectStore, name: str) -> tuple[bytes, Any]:
    """Bytes of an object, and its size, times and versions."""
    import obstore

    found = obstore.get(store, name)
    return bytes(found.bytes()), found.meta


def _time_of(store: ObjectStore, name: str) -> datetime:
    """The store's time, by an object that is written now."""
    import obstore

    probe = f"{name}.partial-{os.getpid()}-{secrets.randbelow(10**12)}"
    repeated(lambda: obstore.put(store, probe, b"", use_multipart=False))
    try:
        return repeated(lambda: obstore.head(store, probe))["last_modified"]
    finally:
        with contextlib.suppress(Exception):  # the next run deletes it
            obstore.delete(store, probe)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        holder = parse_json(data, _MOST_BYTES)
        return holder if 0 < holder["seconds"] < 3600 and isinstance(holder["owner"], str) else {}
    except (ValueError, TypeError, KeyError):
        return {}
