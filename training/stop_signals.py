"""Graceful stop: a signal lets the running step finish, a second one ends the process at once."""
import os
import signal
import socket
import threading

from cli import console
from common.log import log

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Context manager that records SIGINT and SIGTERM instead of ending the process.

    Python runs signal handlers only between bytecodes, so not while a step runs inside TensorFlow.
    The wakeup file descriptor works even then: a thread reads it, acknowledges the first signal at
    once, and ends the process on the second, even during a step that takes minutes.

    Attributes:
        received: number of the first signal received, or None. The training loop also sets it when
            another process of the run was asked to stop.
    """

    def __init__(self):
        self.received = None

    def __enter__(self):
        self._old_handlers = {number: signal.signal(number, self._record) for number in _SIGNALS}
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno())
        threading.Thread(target=self._acknowledge, daemon=True).start()
        return self

    def __exit__(self, *error):
        signal.set_wakeup_fd(self._old_descriptor)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._writer.close()   # ends the thread

    def exit_code(self):
        """Return 0, or 128 + signal number as shells do (130 for SIGINT, 143 for SIGTERM)."""
        return 128 + self.received if self.received else 0

    def _record(self, number, _frame):
        self.received = self.received or number

    def _acknowledge(self):
        """Answer signals, which arrive as one byte each. Runs in the thread."""
        stopping = False
        with self._reader:
            for byte in iter(lambda: self._reader.recv(1), b''):
                number = byte[0]
                if number not in _SIGNALS:
                    continue
                if stopping:
                    console.show_status('')
                    os._exit(128 + number)   # without saving: the last checkpoint stays as it is
                stopping = True
                log.warning('%s: stopping after this step; send it again to stop at once',
                            signal.Signals(number).name)
