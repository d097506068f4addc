"""Which variable starts from what: a plan, the table that a person reads of it, and the function that does it."""
import difflib
from typing import NamedTuple

import numpy as np
import tf_slim as slim

from checkpoints import layouts
from deployment.console import log
from deployment.errors import UserError
from deployment.scopes import is_under
from nets import mobilenet_v1
from nets.ssd_params import NETS, anchors_per_cell

AVERAGE = '/ExponentialMovingAverage'
MISSING, OTHER_SHAPE, EXCLUDED = 'not in the checkpoint', 'of another shape', 'excluded'
_SLOTS = ('/Momentum', '/Adam', '/Adam_1', '/RMSProp', '/RMSProp_1', '/Adagrad', '/Adadelta', '/Adadelta_1', '/Ftrl',
          '/Ftrl_1', AVERAGE)


class Plan(NamedTuple):
    """What a source gives to the variables of a graph."""
    source: object       # `sources.Source`
    title: str           # what kind of weights it is, '' where they have our names
    values: dict         # variable name -> the array that it starts from
    origins: dict        # variable name -> name in the source
    left: dict           # reason -> [(variable, shape in the source or None)], in the order of the variables

    def count_left(self):
        """How many variables stay as they are."""
        return sum(map(len, self.left.values()))


def make_plan(source, variables, model_name, excluded=(), model_scope=None, use_averages=False):
    """The `Plan` for the variables of the net `model_name`.

    excluded: variables to leave alone. model_scope: the name that stands for model_name in the source. use_averages:
    takes moving averages of weights where there are.
    """
    params = NETS.get(model_name)
    layout = layouts.recognise(source.shapes)
    if layout and params and layout.backbone != params.backbone:
        raise UserError(f'{source.path} holds {layout.title}, but the backbone of {model_name} is {params.backbone}; '
                        f'choose a --model_name with {layout.backbone}, or other weights')
    if use_averages and not any(name.endswith(AVERAGE) for name in source.shapes):
        raise UserError(f'{source.path} holds no moving averages; leave out the flag that asks for them')
    plan = Plan(source, layout.title if layout else '', {}, {}, {})
    for variable in variables:
        name, shape = variable.op.name, variable.shape.as_list()
        if variable in excluded:
            plan.left.setdefault(EXCLUDED, []).append((variable, None))
            continue
        if layout:
            origin, there, read = _by_layout(source, name, layout, params)
        else:
            origin, there, read = _by_name(source, name, model_name, model_scope, use_averages)
        if origin is None:
            plan.left.setdefault(MISSING, []).append((variable, None))
        elif there != shape:
            plan.left.setdefault(OTHER_SHAPE, []).append((variable, there))
        else:
            plan.values[name], plan.origins[name] = read(), origin
    return plan


_NOWHERE = None, None, None


def _by_layout(source, name, layout, params):
    """(name in the source, shape of what it gives, function () -> array) of a variable of ours, or `_NOWHERE`."""
    below = name.removeprefix(f'{params.name}/')
    array = layouts.read(layout, source, below, params)
    return _NOWHERE if array is None else (layout.names[below], list(array.shape), lambda: array)


def _by_name(source, name, model_name, model_scope, use_averages):
    """Likewise for weights with our names, those of another of our nets included."""
    candidates = [name]
    if is_under(name, model_name):
        below = name[len(model_name):]
        others = [other for other in NETS if any(is_under(there, other) for there in source.shapes)]
        candidates = [scope + below for scope in ([model_scope] if model_scope else [model_name, *others])]
    origin = next((there for there in candidates if there in source.shapes), None)
    if origin is None:
        return _NOWHERE
    if use_averages and origin + AVERAGE in source.shapes:
        origin += AVERAGE
    return origin, source.shapes[origin], lambda: source.read(origin)


def num_classes(source, params):
    """C of the detector of `params` that a source holds, background included; 0 where it holds none."""
    first = f'{params.feat_layers[0]}_box/conv_cls/biases'
    layout = layouts.recognise(source.shapes)
    there = layout.names.get(first) if layout else f'{params.name}/{first}'
    return source.shapes[there][-1] // anchors_per_cell(params)[0] if there in source.shapes else 0


def check(plan, model_name, ignore_missing):
    """UserError where the plan restores nothing, or half of what should be a checkpoint of this very net."""
    missing = [variable.op.name for variable, _ in plan.left.get(MISSING, [])]
    path = plan.source.path
    if not plan.values:
        raise UserError(f'{path} holds no variable of this net: {_why_nothing(plan, model_name, missing)}')
    same_net = any(name == there and '_box/' in name for name, there in plan.origins.items())
    if same_net and missing and not ignore_missing:
        raise UserError(f'{path} lacks {len(missing)} variables of this net, such as {", ".join(missing[:3])}; '
                        f'pass --ignore_missing_vars to start them afresh, or name them in '
                        f'--checkpoint_exclude_scopes')


def _why_nothing(plan, model_name, missing):
    other = plan.left.get(OTHER_SHAPE)
    if other:
        variable, there = other[0]
        widths = [name for name, params in NETS.items() if params.backbone == 'mobilenet_v1'
                  and mobilenet_v1.scaled_depth(32, params.depth_multiplier) == there[-1]]
        hint = f'; this width have {", ".join(widths)}' if variable.op.name == 'MobilenetV1/Conv2d_0/weights' \
            and widths else ''
        return f'all have another shape, such as {variable.op.name}, {there} there and {variable.shape.as_list()} ' \
               f'here{hint}'
    wanted = (missing or ['no variable'])[0]
    near = difflib.get_close_matches(wanted, list(plan.source.shapes), 3, 0)
    return f'the net wants {wanted}, and the nearest names in the checkpoint are {", ".join(near) or "none"}; ' \
           f'--checkpoint_model_scope maps {model_name}/ to another name'


def log_table(plan):
    """Says what starts from the source, what does not and why, and what of the source is of no use here."""
    log.info('starting from %s%s', plan.source.path, f' ({plan.title})' if plan.title else '')
    log.info('  %-36s  variables  parameters', '')
    restored = [list(value.shape) for value in plan.values.values()]
    _row('restored', restored, '')
    for reason, entries in plan.left.items():
        names = [variable.op.name if there is None else f'{variable.op.name} {there} there, '
                 f'{variable.shape.as_list()} here' for variable, there in entries]
        _row(f'initial values: {reason}', [variable.shape.as_list() for variable, _ in entries],
             _shown(names, scopes=reason != OTHER_SHAPE))
    unused = [name for name in sorted(plan.source.shapes) if name not in plan.origins.values()
              and not name.endswith(_SLOTS) and plan.source.shapes[name]]
    if unused:
        _row('in the checkpoint, not used', [plan.source.shapes[name] for name in unused], _shown(unused, scopes=True))


def _layer(name):
    """'ssd_300_vgg/block8/conv1x1/weights' -> 'block8', 'fc8/weights' -> 'fc8'."""
    parts = name.split('/')
    return parts[1] if len(parts) > 2 else parts[0]


def _row(what, shapes, names):
    log.info('  %-36s  %9d  %10s  %s', what, len(shapes), f'{sum(int(np.prod(shape)) for shape in shapes):,}', names)


def _shown(names, scopes):
    """The first of these names, or of the layers that hold them, and how many more there are."""
    names = list(dict.fromkeys(_layer(name) if scopes else name for name in names))
    most = 6 if scopes else 2
    return ', '.join(names[:most]) + (f' and {len(names) - most} more' if len(names) > most else '')


def init_fn(plan):
    """A function (session) that gives the variables their values."""
    return slim.assign_from_values_fn(plan.values)
