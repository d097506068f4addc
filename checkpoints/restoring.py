"""Which variable of a graph starts from what: the plan, whether it will do, and the function that carries it out."""
import difflib
from collections.abc import Callable
from typing import NamedTuple

import tf_slim as slim

from checkpoints import layouts
from deployment.checkpoints import AVERAGE
from deployment.errors import UserError
from deployment.scopes import is_under
from nets import mobilenet_v1
from nets.ssd_params import NETS, anchors_per_cell

MISSING, OTHER_SHAPE, EXCLUDED = 'not in the checkpoint', 'of another shape', 'excluded'


class Plan(NamedTuple):
    """What a source gives to the variables of a graph."""
    source: object       # `sources.Source`
    title: str           # what kind of weights it is, '' where they have our names
    values: dict         # variable name -> the array that it starts from
    origins: dict        # variable name -> name in the source, also where the shape is another
    left: dict           # reason -> [(variable, shape in the source or None)], in the order of the variables


class _Found(NamedTuple):
    """What a source has for a variable."""
    origin: str          # name in the source
    shape: list          # as it would be here
    read: Callable       # () -> array


def make_plan(source, variables, model_name, excluded=(), model_scope=None, use_averages=False):
    """The `Plan` for the variables of the net `model_name`.

    excluded: variables to leave alone. model_scope: the name that stands for model_name in the source. use_averages:
    takes moving averages of weights where there are. UserError where the source cannot be meant.
    """
    layout = layouts.recognise(source.shapes)
    if layout and layout.backbone != NETS[model_name].backbone:
        raise UserError(f'{source.path} holds {layout.title}, but the backbone of {model_name} is '
                        f'{NETS[model_name].backbone}; choose a --model_name with {layout.backbone}, or other weights')
    if use_averages and not any(name.endswith(AVERAGE) for name in source.shapes):
        raise UserError(f'{source.path} holds no moving averages; leave out the flag that asks for them')
    plan = Plan(source, layout.title if layout else '', {}, {}, {})
    for variable in variables:
        name = variable.op.name
        if variable in excluded:
            plan.left.setdefault(EXCLUDED, []).append((variable, None))
            continue
        found = _by_layout(source, name, layout, NETS[model_name]) if layout \
            else _by_name(source, name, model_name, model_scope, use_averages)
        if found is None:
            plan.left.setdefault(MISSING, []).append((variable, None))
            continue
        plan.origins[name] = found.origin
        if found.shape == variable.shape.as_list():
            plan.values[name] = found.read()
        else:
            plan.left.setdefault(OTHER_SHAPE, []).append((variable, found.shape))
    return plan


def _by_layout(source, name, layout, params):
    """What a file of a known kind has for a variable of ours, or None."""
    below = name.removeprefix(f'{params.name}/')
    array = layouts.read(layout, source, below, params)
    return None if array is None else _Found(layout.names[below], list(array.shape), lambda: array)


def _by_name(source, name, model_name, model_scope, use_averages):
    """Likewise for weights with our names, those of another of our nets included."""
    candidates = [name]
    if is_under(name, model_name):
        below = name[len(model_name):]
        others = [other for other in NETS if any(is_under(there, other) for there in source.shapes)]
        candidates = [scope + below for scope in ([model_scope] if model_scope else [model_name, *others])]
    origin = next((there for there in candidates if there in source.shapes), None)
    if origin is None:
        return None
    if use_averages and origin + AVERAGE in source.shapes:
        origin += AVERAGE
    return _Found(origin, source.shapes[origin], lambda: source.read(origin))


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
    if OTHER_SHAPE in plan.left:
        variable, there = plan.left[OTHER_SHAPE][0]
        name = variable.op.name
        fitting = _nets_of_width(there[-1]) if name == 'MobilenetV1/Conv2d_0/weights' else ''
        return f'all have another shape, such as {name}, {there} there and {variable.shape.as_list()} here{fitting}'
    wanted = (missing or ['no variable'])[0]
    near = difflib.get_close_matches(wanted, list(plan.source.shapes), 3, 0)
    return f'the net wants {wanted}, and the nearest names in the checkpoint are {", ".join(near) or "none"}; ' \
           f'--checkpoint_model_scope maps {model_name}/ to another name'


def _nets_of_width(depth):
    """The MobileNets whose first layer has so many channels, as the end of a sentence."""
    names = [name for name, params in NETS.items() if params.backbone == 'mobilenet_v1'
             and mobilenet_v1.scaled_depth(32, params.depth_multiplier) == depth]
    return f'; nets of this width: {", ".join(names)}' if names else ''


def init_fn(plan):
    """A function (session) that gives the variables their values."""
    return slim.assign_from_values_fn(plan.values)
