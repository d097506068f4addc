"""Restore pretrained weights: match variables with a source, check the match, assign the values."""
import difflib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tf_slim as slim

from checkpoints import sources, weight_formats
from checkpoints.scopes import is_under
from common.errors import UserError
from nets import backbones, layers
from nets.net_table import NETS

# Why a variable keeps its initial value.
MISSING, SHAPE_MISMATCH, EXCLUDED = 'not in the checkpoint', 'another shape', 'excluded'
NOT_FINITE, ANCHOR_MISMATCH = 'not finite', 'other anchors'
WEIGHTS_NOT_RESTORED = 'weights not restored'


class RestorePlan(NamedTuple):
    """The variables of a graph that are restored from a source, and those that are not."""
    source: object         # `WeightSource`
    weight_format: object  # `WeightFormat`; None if the source has our variable names
    is_same_net: bool      # the source is a detector with the same net
    values: dict           # variable name -> array to restore
    source_names: dict     # variable name -> name in the source, also of values not restored
    not_restored: dict     # reason -> [(variable, shape in the source or None)]


class _SourceVariable(NamedTuple):
    """The variable of a source that corresponds to a variable of the graph."""
    name: str            # in the source
    shape: list          # in the layout of our net
    read: Callable       # () -> array in the layout of our net


def make_plan(source, variables, model_name, excluded=(), model_scope=None, use_averages=False):
    """Plan which variables are restored from a source.

    Args:
        source: a `WeightSource`.
        variables: the model variables of the graph.
        model_name: name of the net in `NETS`; also the scope of its variables.
        excluded: variables that keep their initial values.
        model_scope: the scope in the source that corresponds to `model_name`, if it has another
            name.
        use_averages: restore moving averages of the variables that have one.

    Returns:
        A `RestorePlan`.

    Raises:
        UserError: If the source is of another backbone, of a deeper net, or has no moving averages.
    """
    if use_averages:
        source = sources.with_moving_averages(source)
    weight_format = _identify_format(source, variables, model_name)
    source_scope = model_scope or model_name
    is_same_net = any(is_under(name, source_scope) and '_box/' in name for name in source.shapes)
    plan = RestorePlan(source, weight_format, is_same_net, {}, {}, {})
    for variable in variables:
        if variable in excluded:
            _keep_initial_value(plan, variable, EXCLUDED)
            continue
        name = variable.op.name
        if weight_format:
            source_variable = _find_in_format(source, name, weight_format, model_name)
        else:
            source_variable = _find_by_name(source, name, model_name, source_scope)
        _plan_variable(plan, variable, source_variable)
    _drop_classes_of_other_anchors(plan, variables)
    _drop_biases_without_weights(plan, variables)
    return plan


def _identify_format(source, variables, model_name):
    """Return the `WeightFormat` of a source; None if it has our variable names.

    Raises:
        UserError: If the format is of another backbone or a deeper net.
    """
    weight_format = weight_formats.identify_format(source)
    if weight_format is None or any(v.op.name in source.shapes for v in variables):
        return None
    backbone = NETS[model_name].backbone
    if weight_format.backbone != backbone:
        raise UserError(f'{source.path} holds {weight_format.title}, but the backbone of '
                        f'{model_name} is {backbone}. Choose a --model_name with '
                        f'{weight_format.backbone}, or other weights')
    if weight_format.deeper_net_name in source.shapes:
        raise UserError(f'{source.path} looks like {weight_format.title}, but is of a deeper net: '
                        f'it holds {weight_format.deeper_net_name}. Use the weights of VGG-16')
    return weight_format


def _find_in_format(source, name, weight_format, model_name):
    """Return the `_SourceVariable` of a variable in a source of a public format, or None."""
    our_name = name.removeprefix(f'{model_name}/')
    array = weight_formats.read_variable(weight_format, source, our_name, NETS[model_name])
    if array is None:
        return None
    source_name = weight_format.source_names[our_name]
    return _SourceVariable(source_name, list(array.shape), lambda: array)


def _find_by_name(source, name, model_name, source_scope):
    """Return the `_SourceVariable` of a variable in a source with our names, or None.

    A variable under the scope of the net is looked up under `source_scope`, then under the scopes
    of our other nets in the source, for example ssd_300_vgg for ssd_512_vgg.
    """
    candidates = [name]
    if is_under(name, model_name):
        our_name = name[len(model_name) + 1:]
        other_nets = [net for net in NETS if any(is_under(n, net) for n in source.shapes)]
        candidates = [f'{scope}/{our_name}' for scope in (source_scope, *other_nets)]
    source_name = next((name for name in candidates if name in source.shapes), None)
    if source_name is None:
        return None
    return _SourceVariable(
        source_name, source.shapes[source_name], lambda: source.read(source_name))


def _plan_variable(plan, variable, source_variable):
    """Add a variable to `plan.values`, or to `plan.not_restored` with the reason."""
    if source_variable is None:
        _keep_initial_value(plan, variable, MISSING)
        return
    plan.source_names[variable.op.name] = source_variable.name
    if source_variable.shape != variable.shape.as_list():
        _keep_initial_value(plan, variable, SHAPE_MISMATCH, source_variable.shape)
        return
    array = source_variable.read()
    if np.isfinite(array).all():
        plan.values[variable.op.name] = array
    else:
        _keep_initial_value(plan, variable, NOT_FINITE)


def _keep_initial_value(plan, variable, reason, source_shape=None):
    plan.values.pop(variable.op.name, None)
    plan.not_restored.setdefault(reason, []).append((variable, source_shape))


def _drop_classes_of_other_anchors(plan, variables):
    """Do not restore class convolutions of layers that had another number of anchors.

    Their shape may fit by chance: 4 anchors x 3 classes are as many channels as 6 x 2. The number
    of anchors follows from the shape of the offsets.
    """
    layers = {variable.op.name.partition('/conv_loc/')[0]
              for variable, _ in plan.not_restored.get(SHAPE_MISMATCH, [])
              if variable.op.name.endswith('/conv_loc/biases')}
    for variable in variables:
        layer, separator, _ = variable.op.name.partition('/conv_cls/')
        if separator and layer in layers and variable.op.name in plan.values:
            _keep_initial_value(plan, variable, ANCHOR_MISMATCH)


def _drop_biases_without_weights(plan, variables):
    """Do not restore biases whose weights are excluded, or are in the source but do not fit."""
    unusable = {variable.op.name for reason, entries in plan.not_restored.items()
                if reason != MISSING for variable, _ in entries}
    for variable in variables:
        name = variable.op.name
        weights_name = f'{name.removesuffix("biases")}weights'
        if name in plan.values and name.endswith('/biases') and weights_name in unusable:
            _keep_initial_value(plan, variable, WEIGHTS_NOT_RESTORED)


def count_classes(source, params, model_scope=None):
    """Return the number of classes of the detector in a source, with the background.

    Args:
        source: a `WeightSource`.
        params: `SSDParams` of the net.
        model_scope: the scope in the source that corresponds to the net, if it has another name.

    Returns:
        The number of classes; 0 if the source holds no prediction layer of this net.
    """
    weight_format = weight_formats.identify_format(source)
    names = [f'{params.feat_layers[0]}_box/{conv}/biases' for conv in ('conv_cls', 'conv_loc')]
    if weight_format:
        source_names = [weight_format.source_names.get(name) for name in names]
    else:
        source_names = [f'{model_scope or params.name}/{name}' for name in names]
    # [anchors * classes] and [anchors * 4]
    cls_shape, loc_shape = (source.shapes.get(name) for name in source_names)
    return 4 * cls_shape[-1] // loc_shape[-1] if cls_shape and loc_shape else 0


def check_plan(plan, model_name, ignore_missing):
    """Check that a plan restores all that can be expected of its source.

    A source in a public format must hold the whole backbone, and a detector with the same net all
    variables, unless `ignore_missing` is set.

    Args:
        plan: a `RestorePlan`.
        model_name: name of the net.
        ignore_missing: accept a source that lacks variables it should hold.

    Raises:
        UserError: If nothing is restored, the backbone has another width, or variables that the
            source must hold are missing.
    """
    not_restored = [variable.op.name for reason, entries in plan.not_restored.items()
                    if reason != EXCLUDED for variable, _ in entries]
    path = plan.source.path
    if not plan.values or _has_another_width(plan, model_name):
        raise UserError(f'{path} does not fit {model_name}: '
                        f'{_explain_no_match(plan, model_name, not_restored)}')
    if ignore_missing:
        return
    if plan.weight_format:
        missing = [name for name in _in_backbone(not_restored, model_name)
                   if name.removeprefix(f'{model_name}/') in plan.weight_format.source_names]
        if missing:
            raise UserError(f'{path} looks like {plan.weight_format.title}, but {len(missing)} of '
                            f'its variables, such as {", ".join(missing[:3])}, are missing, have '
                            f'another shape or are not finite. Download it again, or pass '
                            f'--ignore_missing_vars to initialize them')
    elif plan.is_same_net and MISSING in plan.not_restored:
        missing = [variable.op.name for variable, _ in plan.not_restored[MISSING]]
        raise UserError(f'{path} lacks {len(missing)} variables of this net, such as '
                        f'{", ".join(missing[:3])}. Pass --ignore_missing_vars to initialize them')


def _has_another_width(plan, model_name):
    """Return whether the source holds the backbone, but each of its variables has another shape."""
    mismatched = [v.op.name for v, _ in plan.not_restored.get(SHAPE_MISMATCH, [])]
    return bool(_in_backbone(mismatched, model_name)) and not _in_backbone(plan.values, model_name)


def _in_backbone(names, model_name):
    """Return those of the variable names that belong to the backbone."""
    scopes = backbones.scopes_of(NETS[model_name]) if model_name in NETS else []
    return [name for name in names if any(is_under(name, scope) for scope in scopes)]


def _explain_no_match(plan, model_name, not_restored):
    """Return why a plan restores nothing, for an error.

    Args:
        plan: a `RestorePlan`.
        model_name: name of the net.
        not_restored: names of the variables that are not restored and not excluded.
    """
    if not not_restored:
        return 'all variables are excluded'
    if SHAPE_MISMATCH in plan.not_restored:
        variable, source_shape = plan.not_restored[SHAPE_MISMATCH][0]
        name = variable.op.name
        is_first_layer = name == 'MobilenetV1/Conv2d_0/weights'
        hint = _nets_with_depth(source_shape[-1]) if is_first_layer else ''
        return (f'the shapes differ, such as that of {name}: {source_shape} in the checkpoint, '
                f'{variable.shape.as_list()} in the net{hint}')
    similar = difflib.get_close_matches(not_restored[0], list(plan.source.shapes), 3, 0)
    prefix = 'some variables are excluded; of the others, ' if EXCLUDED in plan.not_restored else ''
    return (f'{prefix}the net has {not_restored[0]}, and the most similar names in the checkpoint '
            f'are {", ".join(similar) or "none"}. Pass --checkpoint_model_scope to map '
            f'{model_name}/ to another name')


def _nets_with_depth(depth):
    """Return '; nets of this width: ...' for a number of channels of MobileNet's first layer.

    Returns '' if no net has this width.
    """
    names = [name for name, params in NETS.items() if params.backbone == 'mobilenet_v1'
             and layers.scaled_depth(32, params.depth_multiplier) == depth]
    return f'; nets of this width: {", ".join(names)}' if names else ''


def make_init_fn(plan):
    """Return a function (session) that assigns the values of a plan to their variables."""
    return slim.assign_from_values_fn(plan.values)
