"""A TCP forwarder that can be cut, as a network that is lost for a while, or is far away."""

import contextlib
import socket
import threading
import time


class Cut:
    """A context manager. Connections to `port` go to `target` until cut() and after mend(); answers come `delay_s` later."""

    def __init__(self, target: int, delay_s: float = 0):
        self._target = target
        self.delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        with self._lock:
            self._is_cut = True
            self._drop()

    def mend(self):
        with self._lock:
            self._is_cut = False

    def _drop(self):
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
            for source, sink, late in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._move, args=(source, sink, late), daemon=True).start()

    def _move(self, source: socket.socket, sink: socket.socket, late: bool):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if late and self.delay_s > 0:
                    time.sleep(self.delay_s)
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        with self._lock:
            self._drop()
