"""`--help` of the scripts: flags in the groups and the order of the source, with their defaults."""
import re
import shutil
import sys
import textwrap

from absl import app as absl_app
from absl import flags

from cli import console

_groups = {}   # script path -> {index of the group's first flag: title}


def flag_group(title):
    """Start a group in `--help`: all flags that the script defines until the next group."""
    _groups.setdefault(sys.argv[0], {})[len(_script_flags())] = title


def define_help_flags():
    """Replace absl's help flags: --help, -? and --helpshort sort by name, all exit with 1."""
    for flag in (_HelpFlag('help', short_name='?'), _HelpFlag('helpshort'), _FullHelpFlag()):
        flags.DEFINE_flag(flag, module_name='absl.app')


class _HelpFlag(flags.BooleanFlag):
    """A flag that prints the help of the script and exits with 0."""

    def __init__(self, name, **options):
        super().__init__(name, False, 'Show the flags of the script and exit.',
                         allow_override=True, **options)

    def parse(self, argument):
        if self.parser.parse(argument):
            width = min(shutil.get_terminal_size().columns, 100)
            console.print_lines(help_text(width).split('\n'))
            sys.exit()


class _FullHelpFlag(absl_app.HelpfullFlag):
    """Absl's --helpfull, which exits with 1, but with exit code 0."""

    def __init__(self):
        super().__init__()
        self.allow_override = True

    def parse(self, argument):
        try:
            super().parse(argument)
        except SystemExit:
            sys.exit()


def help_text(width):
    """Return the docstring of the script and its flags, wrapped at `width` columns."""
    titles = {0: 'Flags', **_groups.get(sys.argv[0], {})}
    aliases = {}
    for flag in _script_flags():
        if original := _original_name(flag):
            aliases.setdefault(original, []).append(flag.name)
    lines = [sys.modules['__main__'].__doc__.strip()]
    for index, flag in enumerate(_script_flags()):
        if index in titles:
            lines += ['', f'{titles[index]}:']
        if not _original_name(flag):
            lines.append(textwrap.fill(
                _flag_text(flag, aliases.get(flag.name, ())), width, initial_indent='  ',
                subsequent_indent='      ', break_long_words=False, break_on_hyphens=False))
    return '\n'.join([*lines, '', '--helpfull also lists the flags of absl.'])


def _script_flags():
    """Return the flags of the running script, in the order of their definition."""
    return flags.FLAGS.get_flags_for_module(sys.argv[0])


def _original_name(flag):
    """Return the name of the flag that `flag` is an alias of, or None."""
    match = re.fullmatch(r'Alias for --(\w+)\.', flag.help)   # set by flags.DEFINE_alias
    return match and match[1]


def _flag_text(flag, aliases):
    """Return `--name=default  help (limits) (also --alias)`, without `=` for an empty default."""
    if flag.default in (None, '', []):
        default = ''
    elif flag.boolean:
        default = '=true' if flag.default else '=false'
    else:
        default = f'={flag.serializer.serialize(flag.default)}'
    text = flag.help.partition('>: ')[2] if isinstance(flag, flags.EnumFlag) else flag.help
    notes = [_limits(flag.parser), *(f'also --{alias}' for alias in aliases)]
    return ' '.join([f'--{flag.name}{default} ', text, *(f'({note})' for note in notes if note)])


def _limits(parser):
    """Return the values that a parser accepts as text, '' for any value."""
    if isinstance(parser, flags.EnumParser):
        return f'one of {", ".join(parser.enum_values)}'
    lower, upper = getattr(parser, 'lower_bound', None), getattr(parser, 'upper_bound', None)
    if lower is not None and upper is not None:
        return f'{lower} to {upper}'
    if lower is not None:
        return f'>= {lower}'
    return '' if upper is None else f'<= {upper}'
