"""Suppression of messages that native code writes to standard error."""
import contextlib
import os
import sys


@contextlib.contextmanager
def suppress_native_stderr():
    """Discard everything that this process, including TensorFlow's C++ code, writes to stderr."""
    sys.stderr.flush()
    saved_descriptor = os.dup(2)
    try:
        with open(os.devnull, 'w', encoding='utf-8') as null_device:
            os.dup2(null_device.fileno(), 2)
        yield
    finally:
        os.dup2(saved_descriptor, 2)
        os.close(saved_descriptor)
