"""The documents as tests see them: their commands, flags, paths and links; and scripts run within this process."""
import contextlib
import re
import runpy
import shlex
import sys
import threading
from typing import NamedTuple

from absl import flags
from conftest import ROOT

FILES = ['README.md', 'CONTRIBUTING.md', 'checkpoints/README.md', 'benchmarks/results/README.md',
         *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('docs/*.md'))]
# What a reader starts and what has flags.
SCRIPTS = sorted(str(path.relative_to(ROOT)) for folder in ('.', 'checkpoints', 'benchmarks')
                 for path in ROOT.glob(f'{folder}/*.py') if 'flags.DEFINE_' in path.read_text())
_BLOCK = re.compile(r'(?:<!-- not run: (?P<reason>[^>]*) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)```', re.DOTALL)
_SPAN = re.compile(r'`([^`]+)`')
_COMMAND = re.compile(r'(\w+=\S+ )*(python|bash|tensorboard) \S')
_PROGRAM = re.compile(r'^(for|while|if|case|#!)', re.MULTILINE)   # a block that is more than a command in each line


class Command(NamedTuple):
    """What a document tells its reader to type."""
    document: str
    text: str     # on one line; a block that is a program of the shell, as it is
    reason: str   # why it is not run, as the line before the block says, or ''

    @property
    def words(self):
        """As a shell splits it, without variables set in front, and without `…`, which stands for what users know."""
        words = shlex.split(self.text, comments=True)
        while words and re.match(r'[A-Z_]+=', words[0]):
            words.pop(0)
        return [word for word in words if '…' not in word]

    @property
    def is_program(self):
        """Whether it is a whole program of the shell."""
        return bool(_PROGRAM.search(self.text))


def read(name):
    """The text of a document."""
    return (ROOT / name).read_text(encoding='utf-8')


def commands(name):
    """The `Command`s of a document: those of its bash blocks, and those in its sentences."""
    for block in _BLOCK.finditer(read(name)):
        if block['kind'] == 'bash':
            text = block['text'].replace('\\\n', ' ')
            for line in [block['text']] if _PROGRAM.search(text) else text.splitlines():
                if line.strip():
                    yield Command(name, line.strip(), block['reason'] or '')
    for span in spans(name):
        if _COMMAND.match(span):
            yield Command(name, span, '')


def spans(name):
    """The code in the sentences of a document."""
    return [' '.join(span.split()) for span in _SPAN.findall(_BLOCK.sub('', read(name)))]


def anchors(name):
    """What a link to a heading of a document may say behind '#', as GitHub makes it."""
    headings = re.findall(r'^#+ (.*)$', _BLOCK.sub('', read(name)), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def script_of(words):
    """The one of SCRIPTS that a command starts, by way of a shell script perhaps; None for other commands."""
    if words[0].endswith('python') and words[1] != '-c':
        return words[2].replace('.', '/') + '.py' if words[1] == '-m' else words[1]
    if words[0] == 'bash' and words[1].startswith('scripts/') and words[1] not in (
            'scripts/setup.sh', 'scripts/test.sh'):
        return 'train_ssd_network.py'   # data sets, the launcher: what they do not know they pass on
    return None


def flags_of(script):
    """Name -> absl flag of one of SCRIPTS, and what it says of itself."""
    with _alone():
        module = runpy.run_path(str(ROOT / script), run_name=script)
        return {flag.name: flag for flag in flags.FLAGS.flags_by_module_dict()[script]}, module['__doc__']


def run(words):
    """Runs `python ...` in this process, where TensorFlow is loaded already; its exit code."""
    with _alone():
        try:
            if words[1] == '-c':
                sys.argv = words[1:2] + words[3:]
                exec(words[2], {})
            else:
                sys.argv = [str(ROOT / script_of(words)), *words[3 if words[1] == '-m' else 2:]]
                runpy.run_path(sys.argv[0], run_name='__main__')
        except SystemExit as end:
            return end.code or 0
    return 0


@contextlib.contextmanager
def _alone():
    """In its block a script may define its flags, as if no other had been loaded, all of which have the same names."""
    argv, path, hook = sys.argv, sys.path[:], threading.excepthook
    _forget_flags()
    try:
        yield
    finally:
        _forget_flags()
        sys.argv, sys.path[:], threading.excepthook = argv, path, hook


def _forget_flags():
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if not module.startswith('absl.'):
            for flag in list(defined):
                delattr(flags.FLAGS, flag.name)


def python_files():
    """Those that users run, and what they import."""
    folders = [path.parent for path in ROOT.glob('*/__init__.py')]
    return [path for folder in (ROOT, *folders) for path in sorted(folder.glob('*.py'))]


def exists(path):
    """Whether a path of the project is there; it may be a glob."""
    return any(ROOT.glob(path))
