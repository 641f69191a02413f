"""A TCP forwarder that can be cut, as a network that is lost for a while, or stand still, as one that is very slow."""

import contextlib
import socket
import threading


class Cut:
    """A context manager. Connections to `port` go to `target` until cut() and after mend(); answers wait from hold() until let_go()."""

    def __init__(self, target: int):
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
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

    def hold(self):
        self._flows.clear()

    def let_go(self):
        self._flows.set()

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
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._move, args=(source, sink, is_answer), daemon=True).start()

    def _move(self, source: socket.socket, sink: socket.socket, is_answer: bool):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if is_answer:
                    self._flows.wait()
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._flows.set()
        with self._lock:
            self._drop()
