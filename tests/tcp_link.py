"""A link between a browser and a server that can be cut, mended and made slow."""

import socket
import threading
import time
from contextlib import suppress

PIECE = 1024
"""Bytes that a slow link carries at once."""


class Link:
    """Passes every connection on to a server on this machine, at `url` instead of its own port."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self.rate: float | None = None
        """bytes a second to the browser, of each connection apart; None is as fast as it goes"""
        self.is_cut = False
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listens.getsockname()[1]}"
        threading.Thread(target=self._accept, name="link", daemon=True).start()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        with self._lock:
            self.is_cut = True
            for one in self._open:
                with suppress(OSError):  # its other end may have closed it
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self._ends.set()
        self._listens.close()
        self.cut()

    def _accept(self) -> None:
        while not self._ends.is_set():
            try:
                here, _ = self._listens.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(here,), name="link", daemon=True).start()

    def _carry(self, here: socket.socket) -> None:
        with here:
            if self.is_cut:
                return
            with socket.create_connection(self._server) as there:
                # small, or what waits would wait unseen in the buffers of the system
                here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * PIECE)
                with self._lock:
                    self._open |= {here, there}
                up = threading.Thread(target=self._pump, args=(here, there, False), name="link", daemon=True)
                up.start()
                self._pump(there, here, True)
                up.join()
                with self._lock:
                    self._open -= {here, there}

    def _pump(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE if slow and self.rate else 64 * PIECE):
                sink.sendall(data)
                if slow and self.rate:
                    time.sleep(len(data) / self.rate)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
