"""Suppression of messages that native code writes to standard error."""
import contextlib
import os
import subprocess
import sys

_END = b'\0end of the suppressed messages\0'
# Keeps the messages, and prints them if the pipe is closed without _END: the process has ended.
_KEEPER = f"""
import os
messages = b''
while chunk := os.read(0, 1 << 16):
    messages += chunk
    if {_END} in messages:
        os._exit(0)
os.write(2, messages)
"""


@contextlib.contextmanager
def suppress_native_stderr():
    """Discard everything that this process, including TensorFlow's C++ code, writes to stderr.

    If the process ends within this context, for example because native code aborts, another process
    prints the messages, which then say why.
    """
    sys.stderr.flush()
    keeper = subprocess.Popen(   # in a session of its own, Ctrl-C does not end it
        [sys.executable, '-I', '-S', '-c', _KEEPER], stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, start_new_session=True)
    saved_descriptor = os.dup(2)
    os.dup2(keeper.stdin.fileno(), 2)
    keeper.stdin.close()
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):   # the other process was killed
            os.write(2, _END)
        os.dup2(saved_descriptor, 2)
        os.close(saved_descriptor)
        keeper.wait()
