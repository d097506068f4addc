"""Standard streams that do not end a program: closed descriptors, pipes and terminals."""
import errno
import io
import os
import sys

# The reader of a pipe has exited, or the terminal is gone.
_NO_READER = (errno.EPIPE, errno.EIO)


def set_up():
    """Replace `sys.stdout` and `sys.stderr` by streams that discard the output nobody can read.

    Descriptors 0 to 2 that are closed are opened as the null device. Otherwise, the next opened
    file would get the number of standard error, and with it the messages of native code.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)   # takes the lowest free number
    sys.stdout, sys.stderr = _tolerant(sys.stdout, 1), _tolerant(sys.stderr, 2)


def discard_output(stream):
    """Send everything that is written to a stream to the null device, buffered text included."""
    with open(os.devnull, 'wb') as null_device:
        os.dup2(null_device.fileno(), stream.fileno())


class _TolerantStream(io.TextIOWrapper):
    """Text stream to a descriptor that discards its output once nobody can read it."""

    def write(self, text):
        """Write text, as `TextIOWrapper` does."""
        try:
            return super().write(text)
        except OSError as error:
            self._handle(error)
            return len(text)

    def flush(self):
        """Flush, as `TextIOWrapper` does."""
        try:
            super().flush()
        except OSError as error:
            self._handle(error)

    def _handle(self, error):
        if error.errno not in _NO_READER:
            raise error
        discard_output(self)


def _tolerant(stream, descriptor):
    """Return a tolerant stream in place of a standard stream; others, as of tests, stay."""
    try:
        if stream is not None and (isinstance(stream, _TolerantStream)
                                   or stream.fileno() != descriptor):
            return stream
    except OSError:   # a stream without a descriptor
        return stream
    if stream is None:   # its descriptor was closed when Python started
        return _TolerantStream(open(descriptor, 'wb', closefd=False), 'utf-8', 'backslashreplace')
    stream.flush()
    buffering = 0 if stream.write_through else -1   # 0 with PYTHONUNBUFFERED
    return _TolerantStream(open(descriptor, 'wb', buffering, closefd=False), stream.encoding,
                           'backslashreplace', line_buffering=stream.line_buffering,
                           write_through=stream.write_through)
