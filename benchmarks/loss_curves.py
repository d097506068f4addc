r"""Plot the loss of runs over their steps: one plot for the total loss and one for each part.

python -m benchmarks.loss_curves --output=curves.png \
    runs/a/train/train.log=pretrained runs/b/train/train.log=random

Each argument is a train.log and the label of its curve. A point is the mean of --smooth log lines.
A run that was resumed is one curve.
"""
import re

from absl import flags

from cli import app
from common.errors import UserError
from visualization import plotting

FLAGS = flags.FLAGS
flags.DEFINE_string('output', None, 'Image file to write, .png.')
flags.DEFINE_integer('smooth', 5, 'Number of log lines that are averaged for one point.',
                     lower_bound=1)

_LOSS_LINE = re.compile(r'^step (\d+)(?:/\d+)?: loss (\S+) \(([^)]*)\)')


def read_losses(path):
    """Read the loss curves of a train.log.

    Returns:
        Dict from the part of the loss ('total', 'confidence', ...) to a list of (step, value),
        sorted by step. Of a step that was repeated after a resume, the last value counts.

    Raises:
        UserError: If the file cannot be read or has no loss lines.
    """
    try:
        with open(path, encoding='utf-8') as file:
            matches = [match for match in map(_LOSS_LINE.match, file) if match]
    except OSError as error:
        raise UserError(f'cannot read {path} ({error.strerror})') from error
    if not matches:
        raise UserError(f'{path} has no line with the loss of a step. Pass the train.log of a run')
    curves = {}
    for match in matches:
        step, total, parts = int(match.group(1)), match.group(2), match.group(3).split()
        for name, value in [('total', total), *zip(parts[::2], parts[1::2], strict=True)]:
            curves.setdefault(name, {})[step] = float(value)
    return {name: sorted(curve.items()) for name, curve in curves.items()}


def smooth(curve, count):
    """Average each `count` consecutive points, placed at the last step; fewer points at the end."""
    groups = [curve[start:start + count] for start in range(0, len(curve), count)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def check_flags(arguments):
    """Draw the plots and return exit code 0: TensorFlow is not needed.

    Args:
        arguments: `path=label` of each run, or `path` alone.
    """
    app.require_flags(FLAGS, 'output')
    if not arguments:
        raise UserError('no run to plot. Pass train.log=label for each run')
    pyplot = plotting.import_pyplot('the plot')
    runs = {}
    for argument in arguments:
        path, _, label = argument.partition('=')
        runs[label or path] = read_losses(path)
    parts = list(dict.fromkeys(part for curves in runs.values() for part in curves))
    figure, axes = pyplot.subplots(1, len(parts), figsize=(4.2 * len(parts), 3.6), squeeze=False)
    for part, axis in zip(parts, axes[0], strict=True):
        for label, curves in runs.items():
            curve = smooth(curves.get(part, [(0, float('nan'))]), FLAGS.smooth)
            axis.plot(*zip(*curve, strict=True), label=label)
        axis.set(title=f'loss: {part}', xlabel='step', ylim=(0, None))
        axis.grid(alpha=.3)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(FLAGS.output, dpi=100)
    return 0


if __name__ == '__main__':
    app.run(lambda _: None, check_flags, takes_arguments=True)
