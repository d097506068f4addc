"""The numbers of all checkpoints that were evaluated in one way, in a file."""
import contextlib
import hashlib
import os

from common.files import read_json, write_json
from common.log import log


class EvaluationHistory:
    """`history.json`: {'evaluated_on': ..., 'checkpoints': [{'content', ...}, ...]}."""

    def __init__(self, path, evaluated_on):
        """evaluated_on: what else the numbers depend on; where it was another, the history begins anew."""
        self._path = path
        found = read_json(path, 'remove it') or {'evaluated_on': evaluated_on, 'checkpoints': []}
        self._rows = found['checkpoints'] if found['evaluated_on'] == evaluated_on else []
        self._evaluated_on = evaluated_on
        if found['evaluated_on'] != evaluated_on:
            log.info('%s is of other data or other flags, and begins anew', path)

    def has(self, prefix):
        """Whether a checkpoint of this very content was evaluated."""
        return index_digest(prefix) in {row['content'] for row in self._rows}

    def add(self, **row):
        """Adds a checkpoint, its 'content' and what else there is, for an earlier look at it; writes the file."""
        self._rows = [other for other in self._rows if other['content'] != row['content']] + [row]
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        write_json(self._path, {'evaluated_on': self._evaluated_on, 'checkpoints': self._rows})


def index_digest(prefix):
    """A digest of a checkpoint's index, which holds the checksums of all its values; None without one."""
    with contextlib.suppress(FileNotFoundError), open(f'{prefix}.index', 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
    return None
