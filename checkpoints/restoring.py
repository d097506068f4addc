"""Which variable of a graph starts from what: the plan, whether it will do, and the function that carries it out."""
import difflib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tf_slim as slim

from checkpoints import weight_formats, sources
from checkpoints.scopes import is_under
from common.errors import UserError
from nets import mobilenet_v1
from nets.ssd_params import NETS, backbone_scopes

# Why a variable keeps its initial value.
MISSING, SHAPE_MISMATCH, EXCLUDED = 'not in the checkpoint', 'of another shape', 'excluded'
NOT_FINITE, ANCHOR_MISMATCH = 'not finite there', 'of other anchors'
WEIGHTS_NOT_RESTORED = 'their weights start afresh'


class RestorePlan(NamedTuple):
    """What a source gives to the variables of a graph."""
    source: object       # `sources.WeightSource`
    weight_format: object       # `weight_formats.WeightFormat`, None where the source has names of ours
    same_net: bool       # whether it is a detector of this very net
    values: dict         # variable name -> the array that it starts from
    source_names: dict        # variable name -> name in the source, of all that were found there
    not_restored: dict           # reason -> [(variable, shape in the source or None)], in the order of the variables


class _Found(NamedTuple):
    """What a source has for a variable."""
    origin: str          # name in the source
    shape: list          # as it would be here
    read: Callable       # () -> array
    reason: str = ''     # not to take it


def make_plan(source, variables, model_name, excluded=(), model_scope=None, use_averages=False):
    """The `Plan` for the variables of the net `model_name`.

    excluded: variables to leave alone. model_scope: the name that stands for model_name in the source. use_averages:
    takes moving averages of weights where there are. UserError where the source cannot be meant.
    """
    source = sources.with_moving_averages(source) if use_averages else source
    layout = _layout_of(source, variables, model_name)
    own_scope = model_scope or model_name
    same_net = any(is_under(name, own_scope) and '_box/' in name for name in source.shapes)
    plan = RestorePlan(source, layout, same_net, {}, {}, {})
    for variable in variables:
        if variable in excluded:
            plan.not_restored.setdefault(EXCLUDED, []).append((variable, None))
            continue
        name = variable.op.name
        found = _by_layout(source, name, layout, model_name) if layout \
            else _by_name(source, name, model_name, own_scope)
        reason = _take(plan, variable, found)
        if reason:
            there = found.shape if reason == SHAPE_MISMATCH else None
            plan.not_restored.setdefault(reason, []).append((variable, there))
    _leave_classes_of_other_anchors(plan, variables)
    _leave_lonely_biases(plan, variables)
    return plan


def _layout_of(source, variables, model_name):
    """The `Layout` of a source, None where it has names of ours; UserError for that of another backbone."""
    layout = weight_formats.identify_format(source)
    if layout is None or any(variable.op.name in source.shapes for variable in variables):
        return None
    backbone = NETS[model_name].backbone
    if layout.backbone != backbone:
        raise UserError(f'{source.path} holds {layout.title}, but the backbone of {model_name} is {backbone}; '
                        f'choose a --model_name with {layout.backbone}, or other weights')
    if layout.too_much in source.shapes:
        raise UserError(f'{source.path} looks like {layout.title}, but is of a deeper net, as its {layout.too_much} '
                        f'shows; get the weights of VGG-16')
    return layout


def _take(plan, variable, found):
    """Puts what was found for a variable into the plan, or says why not."""
    if found is None:
        return MISSING
    plan.source_names[variable.op.name] = found.origin
    if found.reason:
        return found.reason
    if found.shape != variable.shape.as_list():
        return SHAPE_MISMATCH
    array = found.read()
    if not np.isfinite(array).all():
        return NOT_FINITE
    plan.values[variable.op.name] = array
    return ''


def _by_layout(source, name, layout, model_name):
    """What a file of a known kind has for a variable of ours, or None."""
    below = name.removeprefix(f'{model_name}/')
    array = weight_formats.read_variable(layout, source, below, NETS[model_name])
    return None if array is None else _Found(layout.names[below], list(array.shape), lambda: array)


def _by_name(source, name, model_name, own_scope):
    """Likewise for weights with our names, those of another of our nets included."""
    if not is_under(name, model_name):
        return _Found(name, source.shapes[name], lambda: source.read(name)) if name in source.shapes else None
    below = name[len(model_name) + 1:]
    others = [net for net in NETS if any(is_under(there, net) for there in source.shapes)]
    scope = next((scope for scope in (own_scope, *others) if f'{scope}/{below}' in source.shapes), None)
    if scope is None:
        return None
    there = f'{scope}/{below}'
    return _Found(there, source.shapes[there], lambda: source.read(there))


def _leave_classes_of_other_anchors(plan, variables):
    """Classes of a layer whose offsets have another shape are of other anchors, even if they fit: 4 x 3 is 6 x 2."""
    other = {variable.op.name.partition('/conv_loc/')[0] for variable, _ in plan.not_restored.get(SHAPE_MISMATCH, [])
             if variable.op.name.endswith('/conv_loc/biases')}
    for variable in variables:
        layer, classes, _ = variable.op.name.partition('/conv_cls/')
        if classes and layer in other and plan.values.pop(variable.op.name, None) is not None:
            plan.not_restored.setdefault(ANCHOR_MISMATCH, []).append((variable, None))


def _leave_lonely_biases(plan, variables):
    """Biases mean nothing without their weights: those that happen to fit start afresh with them."""
    afresh = {variable.op.name for reason, entries in plan.not_restored.items() if reason != MISSING for variable, _ in entries}
    for variable in variables:
        name = variable.op.name
        if name in plan.values and name.endswith('/biases') and f'{name[:-len("biases")]}weights' in afresh:
            del plan.values[name]
            plan.not_restored.setdefault(WEIGHTS_NOT_RESTORED, []).append((variable, None))


def count_classes(source, params, model_scope=None):
    """C of the detector of `params` that a source holds, background included; 0 where it holds none.

    Of each anchor a layer has C classes and 4 offsets.
    """
    layout = weight_formats.identify_format(source)
    classes, offsets = (
        source.shapes.get(layout.names.get(name) if layout else f'{model_scope or params.name}/{name}')
        for name in (f'{params.feat_layers[0]}_box/{convolution}/biases' for convolution in ('conv_cls', 'conv_loc')))
    return 4 * classes[-1] // offsets[-1] if classes and offsets else 0


def check_plan(plan, model_name, ignore_missing):
    """UserError where the plan restores nothing, or half of what the source should hold."""
    left = [variable.op.name for reason, entries in plan.not_restored.items() if reason != EXCLUDED for variable, _ in entries]
    missing = [variable.op.name for variable, _ in plan.not_restored.get(MISSING, [])]
    path = plan.source.path
    if not plan.values or _is_of_another_width(plan, model_name):
        raise UserError(f'{path} holds no variable of this net: {_why_nothing(plan, model_name, left)}')
    if ignore_missing:
        return
    if plan.weight_format:
        lacking = [name for name in _of_backbone(left, model_name)
                   if name.removeprefix(f'{model_name}/') in plan.weight_format.names]
        if lacking:
            raise UserError(f'{path} looks like {plan.weight_format.title}, but does not give {len(lacking)} of its variables '
                            f'(here {", ".join(lacking[:3])}): they are missing, of another shape or not finite; get '
                            f'it anew, or pass --ignore_missing_vars to start them afresh')
    elif plan.same_net and missing:
        raise UserError(f'{path} lacks {len(missing)} variables of this net, such as {", ".join(missing[:3])}; '
                        f'pass --ignore_missing_vars to start them afresh, or name them in '
                        f'--checkpoint_exclude_scopes')


def _is_of_another_width(plan, model_name):
    """Whether the backbone is there, but nothing of it fits."""
    other = [variable.op.name for variable, _ in plan.not_restored.get(SHAPE_MISMATCH, [])]
    return bool(_of_backbone(other, model_name)) and not _of_backbone(plan.values, model_name)


def _of_backbone(names, model_name):
    scopes = backbone_scopes(NETS[model_name]) if model_name in NETS else []
    return [name for name in names if any(is_under(name, scope) for scope in scopes)]


def _why_nothing(plan, model_name, left):
    if not left:
        return 'all are excluded'
    if SHAPE_MISMATCH in plan.not_restored:
        variable, there = plan.not_restored[SHAPE_MISMATCH][0]
        name = variable.op.name
        fitting = _nets_of_width(there[-1]) if name == 'MobilenetV1/Conv2d_0/weights' else ''
        return f'all have another shape, such as {name}, {there} there and {variable.shape.as_list()} here{fitting}'
    near = ', '.join(difflib.get_close_matches(left[0], list(plan.source.shapes), 3, 0)) or 'none'
    excluded = 'some of it is excluded; of the rest ' if EXCLUDED in plan.not_restored else ''
    return f'{excluded}the net wants {left[0]}, and the nearest names in the checkpoint are {near}; ' \
           f'--checkpoint_model_scope maps {model_name}/ to another name'


def _nets_of_width(depth):
    """The MobileNets whose first layer has so many channels, as the end of a sentence."""
    names = [name for name, params in NETS.items() if params.backbone == 'mobilenet_v1'
             and mobilenet_v1.scaled_depth(32, params.depth_multiplier) == depth]
    return f'; nets of this width: {", ".join(names)}' if names else ''


def make_init_fn(plan):
    """A function (session) that gives the variables their values."""
    return slim.assign_from_values_fn(plan.values)
