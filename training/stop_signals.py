"""Graceful stop: a signal lets the running step finish, a second one ends the process at once."""
import os
import signal
import socket
import threading

from cli import console
from common.log import log

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A second one of these ends the process at once. A closed terminal may send SIGHUP several times.
_IMPATIENT_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Time for the running step after a signal: less than the 30 s after which Kubernetes and Slurm
# kill, or a multiple of the last step's duration if that is longer. The processes of a group stop
# after the step that follows the running one.
_MIN_STEP_SECS, _MAX_STEP_DURATIONS = 25, 3
_MAX_SAVING_SECS = 600


class StopSignals:
    """Context manager that records SIGINT, SIGTERM and SIGHUP instead of ending the process.

    Python runs signal handlers only between bytecodes, so not while a step runs inside TensorFlow.
    The wakeup file descriptor works even then: a thread reads it, acknowledges the first signal at
    once, and ends the process on the second one. Another thread ends it if the step or the last
    checkpoint takes too long. SIGHUP stays ignored if it was before, as by nohup.

    Attributes:
        received: number of the first signal received, or None. The training loop also sets it when
            another process of the run was asked to stop.
        is_agreed: whether all processes of the run stop after this step. Set by the training loop
            of a run of several processes.
        nothing_to_save: whether all completed steps are saved, so that the first signal may end
            the process at once. Set by the training loop.
        step_secs: duration of the last step. Set by the training loop.
        is_saving: whether the last step has ended and the last checkpoint is being written. Set by
            the training loop.
    """

    def __init__(self):
        self.received = None
        self.is_agreed = self.nothing_to_save = self.is_saving = False
        self.step_secs = 0.
        self._has_exited = threading.Event()   # from the context

    def __enter__(self):
        self._old_handlers = {number: signal.signal(number, self._record) for number in _SIGNALS
                              if number != signal.SIGHUP
                              or signal.getsignal(number) != signal.SIG_IGN}
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno())
        threading.Thread(target=self._answer, daemon=True).start()
        return self

    def __exit__(self, *error):
        signal.set_wakeup_fd(self._old_descriptor)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._writer.close()   # ends the thread
        self._has_exited.set()

    def exit_code(self):
        """Return 0, or 128 + signal number as shells do (129 SIGHUP, 130 SIGINT, 143 SIGTERM)."""
        return 128 + self.received if self.received else 0

    def _record(self, number, _frame):
        self.received = self.received or number

    def _answer(self):
        """Answer signals, which arrive as one byte each. Runs in a thread."""
        stopping, num_impatient = False, 0
        with self._reader:
            for byte in iter(lambda: self._reader.recv(1), b''):
                number = byte[0]
                if number not in self._old_handlers:
                    continue
                num_impatient += number in _IMPATIENT_SIGNALS
                if num_impatient == 2:
                    _exit(number)
                if not stopping:
                    stopping = True
                    self._begin_stop(number)

    def _begin_stop(self, number):
        """Log what the first signal does, and limit the time until the end of the process."""
        name = signal.Signals(number).name
        # If the handler was called and the last step is saved, the run is about to end by itself.
        if self.nothing_to_save and not (self.received and self.is_saving):
            log.warning('%s: exiting at once: no step has ended since the last checkpoint', name)
            _exit(number)
        secs = max(_MIN_STEP_SECS, _MAX_STEP_DURATIONS * self.step_secs)
        log.warning('%s: stopping after this step, in at most %d s, and saving; another SIGINT or '
                    'SIGTERM exits without saving', name, secs)
        threading.Thread(target=self._limit_time, args=(number, secs), daemon=True).start()

    def _limit_time(self, number, step_secs):
        """End the process if the step or saving takes too long. Runs in a thread."""
        if self._has_exited.wait(step_secs) \
                or self.is_saving and self._has_exited.wait(_MAX_SAVING_SECS):
            return
        log.warning('the run did not stop in time, so it exits without saving; the last checkpoint '
                    'is kept')
        _exit(number)


def _exit(number):
    """End the process without saving: the last checkpoint stays as it is."""
    console.show_status('')
    os._exit(128 + number)
