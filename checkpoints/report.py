"""The table that says what starts from a source of weights, what does not, and why."""
import math

from checkpoints.restoring import SHAPE_MISMATCH
from common.log import log
from run_folder import run_config
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX

# What optimizers keep beside a variable.
_SLOTS = tuple(f'/{slot}{number}' for slot in ('Momentum', 'Adam', 'RMSProp', 'Adagrad', 'Adadelta', 'Ftrl')
               for number in ('', '_1'))
_MOST_LAYERS, _MOST_SHAPES = 6, 2


def log_restore_table(plan):
    """Says it of a `restoring.RestorePlan`, each row with its number of variables and of parameters."""
    log.info('starting from %s%s', plan.source.path, f' ({plan.weight_format.title})' if plan.weight_format else '')
    log.info('  %-36s  variables  parameters', '')
    _row('restored', [value.shape for value in plan.values.values()], '')
    for reason, entries in plan.not_restored.items():
        shapes = [variable.shape.as_list() for variable, _ in entries]
        names = [variable.op.name for variable, _ in entries]
        if reason == SHAPE_MISMATCH:
            shown = _some([f'{name} {there} there, {here} here'
                           for name, here, (_, there) in zip(names, shapes, entries, strict=True)], _MOST_SHAPES)
        else:
            shown = _layers(names)
        _row(f'initial values: {reason}', shapes, shown)
    unused = {name: shape for name, shape in sorted(plan.source.shapes.items())
              if shape and name not in plan.source_names.values() and not name.endswith((*_SLOTS, MOVING_AVERAGE_SUFFIX))}
    if unused:   # scalars (the step, powers of Adam), slots and averages are no weights
        _row('in the checkpoint, not used', unused.values(), _layers(unused))
    if any('/conv_cls/' in name for name in plan.values) and not run_config.model_of_checkpoint(plan.source.path):
        log.info('  it does not say what it was trained for: its class k must be yours, and --anchor_preset the sizes '
                 'of its anchors')


def log_unrestored_moments(plan):
    """Says where frozen batch norm has no moments of the source to use, after a restore."""
    afresh = [variable.op.name for entries in plan.not_restored.values() for variable, _ in entries
              if variable.op.name.endswith('/moving_mean')]
    if afresh:
        log.info('  frozen batch norm is a plain scale and shift in the %d layers whose moments are not restored: %s',
                 len(afresh), _layers(afresh))


def _row(what, shapes, names):
    log.info('  %-36s  %9d  %10s  %s', what, len(shapes), f'{sum(map(math.prod, shapes)):,}', names)


def _layers(names):
    """The layers that hold these variables: 'ssd_300_vgg/block8/conv1x1/weights' -> 'block8', 'fc8/bias' -> 'fc8'."""
    parts = [name.split('/') for name in names]
    return _some(list(dict.fromkeys(part[1] if len(part) > 2 else part[0] for part in parts)), _MOST_LAYERS)


def _some(items, most):
    return ', '.join(items[:most]) + (f' and {len(items) - most} more' if len(items) > most else '')
