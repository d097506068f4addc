"""Log which variables are restored from pretrained weights, which are not, and why."""
import itertools
import math

from checkpoints.restoring import SHAPE_MISMATCH
from common.log import log
from common.text import counted
from run_folder import run_config
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX

# Suffixes of the variables that optimizers keep for each weight.
_SLOT_SUFFIXES = tuple(
    f'/{slot}{number}'
    for slot in ('Momentum', 'Adam', 'RMSProp', 'Adagrad', 'Adadelta', 'Ftrl')
    for number in ('', '_1'))
_MAX_LAYERS, _MAX_SHAPES = 6, 2   # names in a row of the table


def log_restore_table(plan, heading='starting from', not_restored='initial values'):
    """Log a table of a `RestorePlan`: one row of counts and layer names for each outcome.

    Args:
        plan: a `RestorePlan`.
        heading: text before the path of the source.
        not_restored: what becomes of the variables that are not restored.
    """
    title = f' ({plan.kind.title})' if plan.kind else ''
    log.info('%s %s%s', heading, plan.source.path, title)
    log.info('  %-36s  variables  parameters', '')
    _log_row('restored', [value.shape for value in plan.values.values()])
    if plan.channels:
        _log_row('restored: classes of the same name',
                 [channels.values.shape for channels in plan.channels.values()],
                 _layer_names(plan.channels))
    for reason, entries in plan.not_restored.items():
        shapes = [variable.shape.as_list() for variable, _ in entries]
        if reason == SHAPE_MISMATCH:
            text = _join_first(
                [f'{variable.op.name} {source_shape} in the checkpoint, '
                 f'{variable.shape.as_list()} in the net' for variable, source_shape in entries],
                _MAX_SHAPES)
        else:
            text = _layer_names(variable.op.name for variable, _ in entries)
        _log_row(f'{not_restored}: {reason}', shapes, text)
    # Slots, averages and scalars (the global step, powers of Adam's betas) are not weights.
    used = set(itertools.chain(*plan.source_names.values()))
    unused = {name: shape for name, shape in sorted(plan.source.shapes.items())
              if shape and name not in used
              and not name.endswith((*_SLOT_SUFFIXES, MOVING_AVERAGE_SUFFIX))}
    if unused:
        _log_row('in the checkpoint, not used', unused.values(), _layer_names(unused))
    restores_classes = any('/conv_cls/' in name for name in plan.values)
    if restores_classes and not plan.kind and not run_config.model_of_checkpoint(plan.source.path):
        log.info('  the checkpoint has no %s: make sure that its classes are yours, in the same '
                 'order, and that its anchors are those of --anchor_preset',
                 run_config.CONFIG_FILE)


def log_unrestored_moments(plan):
    """Log the layers whose frozen batch norm would use initial instead of restored moments."""
    names = [variable.op.name for entries in plan.not_restored.values() for variable, _ in entries
             if variable.op.name.endswith('/moving_mean')]
    if names:
        log.info('  frozen batch norm without restored moments is only a scale and shift, in '
                 '%s: %s', counted(len(names), 'layer'), _layer_names(names))


def _log_row(title, shapes, text=''):
    """Log a title, the number of variables and parameters of these shapes, and a text."""
    log.info('  %-36s  %9d  %10s  %s',
             title, len(shapes), f'{sum(map(math.prod, shapes)):,}', text)


def _layer_names(variable_names):
    """Join the names of the layers of these variables, each once.

    'ssd_300_vgg/block8/conv1x1/weights' is in 'block8', 'fc8/bias' is in 'fc8'.
    """
    parts = [name.split('/') for name in variable_names]
    layers = dict.fromkeys(part[1] if len(part) > 2 else part[0] for part in parts)
    return _join_first(list(layers), _MAX_LAYERS)


def _join_first(items, count):
    """Join the first items: 'a, b and 3 more'."""
    num_others = len(items) - count
    return ', '.join(items[:count]) + (f' and {num_others} more' if num_others > 0 else '')
