"""Draws the loss of runs over their steps, side by side: the whole loss and its parts.

python -m benchmarks.loss_curves --output=curves.png runs/a/train/train.log=pretrained runs/b/train/train.log=random

Each point is the mean of --smooth lines of the log; a run that was resumed is one curve.
"""
import re

from absl import flags

from cli import app
from common.errors import UserError
from visualization import plotting

FLAGS = flags.FLAGS
flags.DEFINE_string('output', None, 'The picture to write, .png.')
flags.DEFINE_integer('smooth', 5, 'Lines of the log for one point.', lower_bound=1)

_LINE = re.compile(r'^step (\d+)(?:/\d+)?: loss (\S+) \(([^)]*)\)')


def read_losses(path):
    """Part of the loss ('total', 'confidence', ...) -> [(step, value), ...] from a train.log, each step once."""
    try:
        with open(path, encoding='utf-8') as file:
            matches = [match for match in map(_LINE.match, file) if match]
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    if not matches:
        raise UserError(f'{path} holds no step; it is no train.log')
    curves = {}
    for match in matches:
        step, total, parts = int(match.group(1)), match.group(2), match.group(3).split()
        for name, value in [('total', total), *zip(parts[::2], parts[1::2], strict=True)]:
            curves.setdefault(name, {})[step] = float(value)   # a step that was taken again counts as the last time
    return {name: sorted(curve.items()) for name, curve in curves.items()}


def smoothed(curve, count):
    """Means of `count` points each, at the last step of each; the rest at the end counts too."""
    groups = [curve[start:start + count] for start in range(0, len(curve), count)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def check_flags(arguments):
    """Draws it: TensorFlow is not needed."""
    app.require_flags(FLAGS, 'output')
    if not arguments:
        raise UserError('no run given; give train.log=label for each')
    pyplot = plotting.pyplot('the plot')
    runs = {}
    for argument in arguments:
        path, _, label = argument.partition('=')
        runs[label or path] = read_losses(path)
    names = list(dict.fromkeys(name for curves in runs.values() for name in curves))
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.2 * len(names), 3.6), squeeze=False)
    for name, axis in zip(names, axes[0], strict=True):
        for label, curves in runs.items():
            axis.plot(*zip(*smoothed(curves.get(name, [(0, float('nan'))]), FLAGS.smooth), strict=True), label=label)
        axis.set(title=f'loss: {name}', xlabel='step', ylim=(0, None))
        axis.grid(alpha=.3)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(FLAGS.output, dpi=100)
    return 0


if __name__ == '__main__':
    app.run(lambda _: None, check_flags, takes_arguments=True)
