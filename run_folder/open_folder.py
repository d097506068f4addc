"""A folder that may be renamed or deleted while a run writes to it."""
import contextlib
import os


class OpenFolder:
    """An existing folder, recognized by its inode and not only by its path."""

    def __init__(self, path, write_config):
        """Open the folder.

        Args:
            path: the folder.
            write_config: function without arguments that writes the run's configuration to `path`.
        """
        self.path, self._write_config = path, write_config
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def is_in_place(self):
        """Return whether the path still leads to the folder."""
        try:
            return self._is_at(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def find_substitute(self):
        """Find or create a folder to save to, when this one is not in place.

        Returns:
            (path, problem, remedy): the path of the folder, or None if the run must not save; what
            happened, and how to continue the run, as texts for a message.
        """
        new_path = self._new_path()
        if new_path:
            return (new_path, f'{self.path} was renamed to {new_path} during the run',
                    f'Pass --train_dir={new_path} to continue')
        if os.path.lexists(self.path):
            return (None, f'{self.path} was replaced during the run, so the steps since the last '
                          f'checkpoint are lost', 'Choose another --train_dir')
        os.makedirs(self.path)
        self._write_config()
        return (self.path, f'{self.path} was deleted during the run and has been created again',
                'Run the same command again to continue')

    def _is_at(self, path):
        return os.path.samestat(os.stat(path), os.fstat(self._descriptor))

    def _new_path(self):
        """Return the path of the folder after it was renamed; None if it was deleted."""
        with contextlib.suppress(OSError):   # no such file: it was deleted, or this is not Linux
            path = os.readlink(f'/proc/self/fd/{self._descriptor}')
            if self._is_at(path):
                return path
        return None
