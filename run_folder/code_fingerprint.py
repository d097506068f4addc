"""The project's own code, as a fact about a run."""
import hashlib
import pathlib

_PACKAGES = ('checkpoints', 'cli', 'common', 'datasets', 'deployment', 'metrics', 'nets', 'preprocessing', 'run_folder',
             'training', 'visualization')
_ROOT = pathlib.Path(__file__).resolve().parent.parent


def fingerprint(root=_ROOT):
    """A short text that changes with any of the modules at the top and in the packages that training is made of."""
    paths = sorted(path for folder in ('.', *_PACKAGES) for path in (root / folder).glob('*.py') if path.is_file())
    content = hashlib.sha256()
    for path in paths:
        content.update(str(path.relative_to(root)).encode() + b'\0' + path.read_bytes() + b'\0')
    return content.hexdigest()[:16]
