"""`history.json`: the metrics of all checkpoints that were evaluated on the same data."""
import contextlib
import hashlib
import os

from common.errors import UserError
from common.files import read_json, write_json
from common.log import log
from common.structure import has_structure

_TEMPLATE = {'evaluated_on': object, 'checkpoints': [{'content': str}]}


class EvaluationHistory:
    """A JSON file: {'evaluated_on': ..., 'checkpoints': [{'content': digest, ...}, ...]}."""

    def __init__(self, path, evaluated_on):
        """Read the history if the file exists.

        Args:
            path: the JSON file. It is created by the first `add`.
            evaluated_on: a JSON value that identifies the data and the settings of the evaluation.
                A history of another evaluation is discarded.

        Raises:
            UserError: If the file cannot be read.
        """
        self._path, self._evaluated_on = path, evaluated_on
        history = read_json(path, 'Remove it') or {'evaluated_on': evaluated_on, 'checkpoints': []}
        if not has_structure(history, _TEMPLATE):
            raise UserError(f'{path} is not a history of evaluations. Remove it')
        self._rows = history['checkpoints']
        if history['evaluated_on'] != evaluated_on:
            self._rows = []
            log.info('%s belongs to other data or flags; starting a new history', path)

    def contains(self, prefix):
        """Return whether a checkpoint with the same content has been evaluated."""
        return index_digest(prefix) in {row['content'] for row in self._rows}

    def add(self, **row):
        """Add the metrics of a checkpoint and write the file.

        Args:
            **row: 'content', the `index_digest` of the checkpoint, and any JSON values. It replaces
                an earlier row with the same content.
        """
        self._rows = [other for other in self._rows if other['content'] != row['content']]
        self._rows.append(row)
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        write_json(self._path, {'evaluated_on': self._evaluated_on, 'checkpoints': self._rows})


def index_digest(prefix):
    """Return a digest of a checkpoint's content, 16 hex digits; None if it does not exist.

    The digest covers the index file, which holds the checksums of all values.
    """
    with contextlib.suppress(FileNotFoundError), open(f'{prefix}.index', 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
    return None
