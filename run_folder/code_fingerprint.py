"""A fingerprint of the project's code: all processes of a run must run the same code."""
import hashlib
import pathlib

_PACKAGES = ('checkpoints', 'cli', 'common', 'datasets', 'deployment', 'metrics', 'nets',
             'preprocessing', 'run_folder', 'training', 'visualization')
_ROOT = pathlib.Path(__file__).resolve().parent.parent


def fingerprint(root=_ROOT):
    """Return 16 hex digits that depend on all modules that a training may import.

    Args:
        root: `pathlib.Path` of the repository.
    """
    patterns = ('*.py', *(f'{package}/**/*.py' for package in _PACKAGES))
    paths = sorted(path for pattern in patterns for path in root.glob(pattern) if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        name = str(path.relative_to(root)).encode()
        digest.update(name + b'\0' + path.read_bytes() + b'\0')
    return digest.hexdigest()[:16]
