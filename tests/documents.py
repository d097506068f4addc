"""Read the documents for tests: commands, flags, paths, links. Run scripts within this process."""
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
# Python scripts with flags.
SCRIPTS = sorted(str(path.relative_to(ROOT)) for folder in ('.', 'checkpoints', 'benchmarks')
                 for path in ROOT.glob(f'{folder}/*.py') if 'flags.DEFINE_' in path.read_text())
_BLOCK = re.compile(
    r'(?:<!-- not run: (?P<reason>[^>]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```', re.DOTALL)
_CODE_SPAN = re.compile(r'`([^`]+)`')
_COMMAND = re.compile(r'(\w+=\S+ )*(python|bash|tensorboard) \S')
_SHELL_PROGRAM = re.compile(r'^(for|while|if|case|#!)', re.MULTILINE)


class Command(NamedTuple):
    """A shell command of a document."""
    document: str
    text: str     # on one line, unless it is a shell program
    reason: str   # why it is not run, from a comment in the document, or ''

    @property
    def words(self):
        """The words of the command, without variable assignments and words with `…`."""
        words = shlex.split(self.text, comments=True)
        while words and re.match(r'[A-Z_]+=', words[0]):
            words.pop(0)
        return [word for word in words if '…' not in word]

    @property
    def is_shell_program(self):
        """Whether the text is a shell program with loops or conditions."""
        return bool(_SHELL_PROGRAM.search(self.text))


def read(document):
    """Return the text of a document."""
    return (ROOT / document).read_text(encoding='utf-8')


def commands(document):
    """Yield the `Command`s of a document: each line of its bash blocks, and commands in its text.

    A bash block that is a shell program is one command.
    """
    for block in _BLOCK.finditer(read(document)):
        if block['language'] == 'bash':
            text = block['text'].replace('\\\n', ' ')
            lines = [block['text']] if _SHELL_PROGRAM.search(text) else text.splitlines()
            for line in filter(None, map(str.strip, lines)):
                yield Command(document, line, block['reason'] or '')
    for span in code_spans(document):
        if _COMMAND.match(span):
            yield Command(document, span, '')


def code_spans(document):
    """Return the code spans in the text of a document, outside of code blocks."""
    text = _BLOCK.sub('', read(document))
    return [' '.join(span.split()) for span in _CODE_SPAN.findall(text)]


def heading_anchors(document):
    """Return the anchors of the headings of a document, as GitHub generates them."""
    headings = re.findall(r'^#+ (.*)$', _BLOCK.sub('', read(document)), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def script_of(words):
    """Return the script that a command runs, directly or through a shell script; None if none."""
    if words[0].endswith('python') and words[1] != '-c':
        return words[2].replace('.', '/') + '.py' if words[1] == '-m' else words[1]
    if words[0] == 'bash' and words[1].startswith('scripts/') and words[1] not in (
            'scripts/setup.sh', 'scripts/test.sh'):
        return 'train_ssd_network.py'   # shell scripts pass unknown flags to it
    return None


def load_flags(script):
    """Return (name -> absl flag, docstring) of a script."""
    with _only_own_flags():
        module = runpy.run_path(str(ROOT / script), run_name=script)
        own_flags = flags.FLAGS.flags_by_module_dict()[script]
        return {flag.name: flag for flag in own_flags}, module['__doc__']


def run(words):
    """Run `python ...` in this process, which has imported TensorFlow; return the exit code."""
    with _only_own_flags():
        try:
            if words[1] == '-c':
                sys.argv = words[1:2] + words[3:]
                exec(words[2], {})
            else:
                sys.argv = [str(ROOT / script_of(words)), *words[3 if words[1] == '-m' else 2:]]
                runpy.run_path(sys.argv[0], run_name='__main__')
        except SystemExit as exit_error:
            return exit_error.code or 0
    return 0


@contextlib.contextmanager
def _only_own_flags():
    """Return a context without flags, so that a script can define flags that others define, too."""
    argv, path, hook = sys.argv, sys.path[:], threading.excepthook
    _remove_flags()
    try:
        yield
    finally:
        _remove_flags()
        sys.argv, sys.path[:], threading.excepthook = argv, path, hook


def _remove_flags():
    for module, module_flags in flags.FLAGS.flags_by_module_dict().items():
        if not module.startswith('absl.'):
            for flag in list(module_flags):
                delattr(flags.FLAGS, flag.name)


def python_files():
    """Return the paths of all scripts and modules, without tests."""
    packages = [path.parent for path in ROOT.glob('*/__init__.py')]
    return [*sorted(ROOT.glob('*.py')),
            *(path for package in packages for path in sorted(package.glob('**/*.py')))]


def exists(pattern):
    """Return whether a path or glob matches a file of the project."""
    return any(ROOT.glob(pattern))
