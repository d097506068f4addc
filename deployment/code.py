"""The project's own code, as a fact about a run."""
import hashlib
import pathlib

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def fingerprint(root=_ROOT):
    """A short text that changes with any of the modules at the top and in its packages, tests and benchmarks aside."""
    paths = sorted(path for pattern in ('*.py', '*/*.py') for path in root.glob(pattern)
                   if path.parent.name not in ('tests', 'benchmarks'))
    content = hashlib.sha256()
    for path in paths:
        content.update(str(path.relative_to(root)).encode() + b'\0' + path.read_bytes() + b'\0')
    return content.hexdigest()[:16]
