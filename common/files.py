"""Atomic writes of small files, JSON, and files that are safe to open."""
import contextlib
import errno
import json
import os
import re
import stat
import zlib

from common.errors import UserError
from common.log import log
from common.text import counted

_MAX_NAME_BYTES = 255   # of file names, on all common file systems


def partial_path(path):
    """Return the path under which an incomplete file is kept: a/b.mp4 -> a/b.partial.mp4."""
    stem, extension = os.path.splitext(path)
    return f'{stem}.partial{extension}'


def temporary_path(path):
    """Return the path to which `write_atomically` writes, a hidden file in the same folder.

    It does not contain the name, which may have the maximum length.
    """
    folder, name = os.path.split(path)
    checksum = zlib.crc32(os.fsencode(name))
    return os.path.join(folder, f'.{checksum:08x}.{os.getpid()}.partial')


def file_name(stem, extension):
    """Return `stem + extension` as a valid file name of at most 255 bytes.

    The stem loses its end if it is too long. A slash or a NUL byte in it becomes '_'.
    """
    stem = re.sub('[/\0]', '_', stem)
    if len(os.fsencode(stem + extension)) > _MAX_NAME_BYTES:
        num_bytes = _MAX_NAME_BYTES - len(os.fsencode(extension))
        stem = os.fsencode(stem)[:num_bytes].decode(errors='ignore')   # no half of a character
    return stem + extension


def make_output_folder(path, flag_name=''):
    """Create a folder to write to, and its parents. Call this before any long computation.

    Args:
        path: the folder.
        flag_name: name of the flag that chooses the folder, for the error; '' if there is none.

    Raises:
        UserError: If the folder cannot be created or is not writable.
    """
    try:
        os.makedirs(path, exist_ok=True)
        problem = None if os.access(path, os.W_OK | os.X_OK) else 'not writable'
    except OSError as error:
        problem = error.strerror
    if problem:
        remedy = f'Choose another --{flag_name}' if flag_name else 'Make it writable'
        raise UserError(f'cannot write to {path} ({problem}). {remedy}')


def open_output(path, mode, **options):
    """Open a file to write or append, as `open` does, but not through a symbolic link.

    Raises:
        OSError: If the path is a link, or is not a regular file.
    """
    def opener(name, flags):
        if os.path.islink(name):
            raise OSError(errno.ELOOP, 'is a symbolic link, which is not followed. Remove it', name)
        return _open_regular(name, flags | os.O_NOFOLLOW)
    return open(path, mode, opener=opener, **options)


def _open_regular(path, flags):
    """Open a regular file for `open`. Named pipes and devices, which may never end, are errors."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)   # does not wait for a pipe's writer
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, 'not a regular file', path)


def read_text(path, max_bytes=-1):
    """Return the content of a UTF-8 file as text mode does, without the mark of Windows editors.

    Args:
        path: a regular file.
        max_bytes: size above which the file is not read; -1 for any size.

    Raises:
        OSError: If the file cannot be read, is not a regular file, or is larger than `max_bytes`.
        UnicodeDecodeError: If it is not UTF-8.
    """
    content = read_bytes(path, max_bytes)
    return content.decode('utf-8-sig').replace('\r\n', '\n').replace('\r', '\n')


def read_bytes(path, max_bytes=-1):
    """Return the content of a file. Arguments and `OSError` are those of `read_text`."""
    with open(path, 'rb', opener=_open_regular) as file:
        content = file.read(max_bytes + 1 if max_bytes >= 0 else -1)
    if 0 <= max_bytes < len(content):
        raise OSError(errno.EFBIG, f'more than {max_bytes} bytes', path)
    return content


def read_start(path, num_bytes):
    """Return at most the first `num_bytes` bytes of a regular file. Raises OSError."""
    with open(path, 'rb', opener=_open_regular) as file:
        return file.read(num_bytes)


@contextlib.contextmanager
def add_path_to_errors(path):
    """Set `filename` of every OSError raised in this context to `path`, unless it is set already.

    `write` does not set it, so that "No space left on device" would not name the file.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def write_atomically(path, content):
    """Write text (as UTF-8) or bytes to a temporary file and rename it to `path`.

    Readers see the old file or the complete new one. If writing fails, the old file stays and the
    temporary file is removed.
    """
    temporary = temporary_path(path)
    data = content if isinstance(content, bytes) else content.encode()
    try:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)   # of a killed process, or a link to another file
        with add_path_to_errors(path), open(temporary, 'xb') as file:
            file.write(data)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def write_json(path, content):
    """Write `content` as indented JSON, atomically."""
    write_atomically(path, json.dumps(content, indent=2) + '\n')


@contextlib.contextmanager
def write_json_on_exit(path, key_noun):
    """Yield an empty dict to fill, and write it to `path` as JSON on exit.

    After an error or Ctrl-C, a dict that is not empty is written to `partial_path(path)` instead,
    and the log says so. A complete file replaces a partial one of an earlier run.

    Args:
        path: The JSON file to write.
        key_noun: Singular noun for the keys, used in the log, such as 'image'.
    """
    content, incomplete = {}, partial_path(path)
    try:
        yield content
    except BaseException:
        if content:
            _write_incomplete(incomplete, content, key_noun)
        raise
    write_json(path, content)
    if os.path.exists(incomplete):
        os.remove(incomplete)


def _write_incomplete(path, content, key_noun):
    """Write the results of an interrupted run. Log a failure: the first error matters more."""
    try:
        write_json(path, content)
        log.info('results of %s saved to %s', counted(len(content), key_noun), path)
    except OSError as error:
        log.info('results of %s are lost: cannot write %s (%s)',
                 counted(len(content), key_noun), path, error.strerror)


def read_json(path, advice):
    """Return the content of a JSON file, or None if the file does not exist.

    Raises:
        UserError: If the file cannot be read or parsed. The message ends with `advice`.
    """
    if not os.path.exists(path):
        return None
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:   # RecursionError: nested too deeply
        raise UserError(f'{path} cannot be read ({error}). {advice}') from error
