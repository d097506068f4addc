"""Restore pretrained weights: match variables with a source, check the match, assign the values."""
import difflib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from checkpoints import class_layers, conversion, kinds, nearest_kind, sources
from checkpoints.scopes import is_under
from common.errors import UserError
from nets import backbones, layers, nets_factory
from nets.net_table import NETS

# Why a variable keeps its initial value.
MISSING, SHAPE_MISMATCH, EXCLUDED = 'not in the checkpoint', 'another shape', 'excluded'
NOT_FINITE, ANCHOR_MISMATCH = 'not finite', 'other anchors'
WEIGHTS_NOT_RESTORED = 'weights not restored'


class RestorePlan(NamedTuple):
    """The variables of a graph that are restored from a source, and those that are not."""
    source: object         # `WeightSource`
    kind: object           # `Kind`; None if the source has our variable names
    is_same_net: bool      # the source is a detector with the same net
    values: dict           # variable name -> array to restore
    source_names: dict     # variable name -> names in the source, also of values not restored
    not_restored: dict     # reason -> [(variable, shape in the source or None)]
    channels: dict         # variable name -> `class_layers.Channels`: these outputs are restored
    find: Callable         # variable -> `_SourceVariable`, or None


class _SourceVariable(NamedTuple):
    """The variable of a source that corresponds to a variable of the graph."""
    names: tuple         # in the source; several if it is computed from several
    shape: list          # in the layout of our net
    read: Callable       # () -> array in the layout of our net


def make_plan(source, variables, model_name, excluded=(), model_scope=None, use_averages=False,
              params=None):
    """Plan which variables are restored from a source.

    Args:
        source: a `WeightSource`.
        variables: the model variables of the graph.
        model_name: name of the net in `NETS`; also the scope of its variables.
        excluded: variables that keep their initial values.
        model_scope: the scope in the source that corresponds to `model_name`, if it has another
            name.
        use_averages: restore moving averages of the variables that have one.
        params: `SSDParams` of the net; None: those of the table.

    Returns:
        A `RestorePlan`.

    Raises:
        UserError: If the source is of another backbone, of a deeper net, or has no moving averages.
    """
    if use_averages:
        source = sources.with_moving_averages(source)
    kind = _identify_kind(source, variables, model_name)
    source_scope = model_scope or model_name
    is_same_net = any(is_under(name, source_scope) and '_box/' in name for name in source.shapes)

    def find(variable):
        if kind:
            return _find_in_kind(kind, source, variable, params or NETS[model_name])
        return _find_by_name(source, variable.op.name, model_name, source_scope)

    plan = RestorePlan(source, kind, is_same_net, {}, {}, {}, {}, find)
    for variable in variables:
        if variable in excluded:
            _keep_initial_value(plan, variable, EXCLUDED)
        else:
            _plan_variable(plan, variable, find(variable))
    _drop_classes_of_other_anchors(plan, variables)
    _drop_biases_without_weights(plan, variables)
    return plan


def _identify_kind(source, variables, model_name):
    """Return the `Kind` of a source; None if it has our variable names.

    Raises:
        UserError: If the file is of another backbone or a deeper net.
    """
    kind = kinds.identify(source)
    # A detector of another program may have some of our names; a checkpoint of ours may have
    # those of a classifier.
    has_our_names = any(variable.op.name in source.shapes for variable in variables)
    if kind is None or has_our_names and not kind.is_detector:
        return None
    backbone = NETS[model_name].backbone
    if kind.backbone != backbone:
        nets = ', '.join(nets_factory.names_with_backbone(kind.backbone))
        raise UserError(f'{source.path} holds {kind.title}, but the backbone of {model_name} is '
                        f'{backbone}. Pass a --model_name with {kind.backbone}, such as {nets}')
    if kind.deeper_net_name in source.shapes:
        raise UserError(f'{source.path} looks like {kind.title}, but is of a deeper net: it holds '
                        f'{kind.deeper_net_name}. Use the weights of {kind.backbone}')
    return kind


def _find_in_kind(kind, source, variable, params):
    """Return the `_SourceVariable` of a variable in a file of another program, or None."""
    name = variable.op.name.removeprefix(f'{params.name}/')
    array = kinds.read_variable(kind, source, name, params)
    if array is None:
        return None
    if '_box/conv_' in name:
        array = conversion.center_1x1(array, variable.shape.as_list())
    return _SourceVariable(kinds.source_names(kind, source, name), list(array.shape),
                           lambda: array)


def _find_by_name(source, name, model_name, source_scope):
    """Return the `_SourceVariable` of a variable in a source with our names, or None.

    A variable under the scope of the net is looked up under `source_scope`, then under the scopes
    of our other nets in the source, for example ssd_300_vgg for ssd_512_vgg.
    """
    candidates = [name]
    if is_under(name, model_name):
        our_name = name[len(model_name) + 1:]
        scopes = (source_scope, *nearest_kind.nets_in(source))
        candidates = [f'{scope}/{our_name}' for scope in scopes]
    source_name = next((name for name in candidates if name in source.shapes), None)
    if source_name is None:
        return None
    return _SourceVariable(
        (source_name,), source.shapes[source_name], lambda: source.read(source_name))


def _plan_variable(plan, variable, source_variable):
    """Add a variable to `plan.values`, or to `plan.not_restored` with the reason."""
    if source_variable is None:
        _keep_initial_value(plan, variable, MISSING)
        return
    plan.source_names[variable.op.name] = source_variable.names
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


def keep_known_classes(plan, variables, source_classes, target_classes):
    """Restore, in the class layers, the outputs of the classes that both detectors have.

    Without it, class layers for another number of classes are not restored at all, and those for
    the same number are restored whatever their classes are. Layers with other anchors are left out.

    Args:
        plan: a `RestorePlan`, which is changed.
        variables: the model variables of the graph.
        source_classes: class names of the source without the background.
        target_classes: class names of this run without the background.

    Returns:
        The names of the target classes that are restored in at least one layer, in their order.
    """
    labels = class_layers.matching_labels(source_classes, target_classes)
    if list(labels.items()) == [(label, label) for label in range(len(source_classes) + 1)]:
        return list(target_classes)
    biases = {v.op.name: v for v in variables if v.op.name.endswith('/conv_loc/biases')}
    mismatched = {v.op.name for v, _ in plan.not_restored.get(SHAPE_MISMATCH, [])}
    for variable in variables:
        name = variable.op.name
        layer, is_class_layer, _ = name.partition('/conv_cls/')
        loc_name = f'{layer}/conv_loc/biases'
        if not is_class_layer or loc_name not in plan.values or not (
                name in mismatched or name in plan.values):
            continue
        channels = class_layers.select_channels(
            plan.find(variable).read(), biases[loc_name].shape.as_list()[0] // 4, labels,
            len(source_classes) + 1, len(target_classes) + 1)
        if channels and np.isfinite(channels.values).all():
            plan.values.pop(name, None)
            plan.channels[name] = channels
    _remove(plan, SHAPE_MISMATCH, plan.channels)
    return [target_classes[label - 1] for label in labels if label] if plan.channels else []


def _remove(plan, reason, names):
    """Remove the variables with these names from those not restored for a reason."""
    entries = [entry for entry in plan.not_restored.pop(reason, [])
               if entry[0].op.name not in names]
    if entries:
        plan.not_restored[reason] = entries


def count_classes(source, params, model_scope=None):
    """Return the number of classes of the detector in a source, with the background.

    Args:
        source: a `WeightSource`.
        params: `SSDParams` of the net.
        model_scope: the scope in the source that corresponds to the net, if it has another name.

    Returns:
        The number of classes; 0 if the source holds no prediction layer of this net.
    """
    kind = kinds.identify(source)
    if kind:
        return kinds.count_classes(kind, source, params)
    # [anchors * classes] and [anchors * 4]
    cls_shape, loc_shape = (
        source.shapes.get(f'{model_scope or params.name}/{params.feat_layers[0]}_box/{conv}/biases')
        for conv in ('conv_cls', 'conv_loc'))
    return 4 * cls_shape[-1] // loc_shape[-1] if cls_shape and loc_shape else 0


def check_plan(plan, model_name, ignore_missing):
    """Check that a plan restores all that can be expected of its source.

    A source must hold all of the backbone or nothing of it, and a detector all variables of its
    net, unless `ignore_missing` is set.

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
    missing = [] if ignore_missing else _unexpectedly_missing(plan, model_name, not_restored)
    if missing and plan.kind:
        raise UserError(f'{path} looks like {plan.kind.title}, but {len(missing)} of its '
                        f'variables, such as {", ".join(missing[:3])}, are missing, have '
                        f'another shape or are not finite. Download it again, or pass '
                        f'--ignore_missing_vars to initialize them')
    if missing:
        raise UserError(f'{path} lacks {len(missing)} variables of this net, such as '
                        f'{", ".join(missing[:3])}. Pass --ignore_missing_vars to initialize them')


def _unexpectedly_missing(plan, model_name, not_restored):
    """Return the names of the variables that the source of a plan should hold, but does not.

    Args:
        plan: a `RestorePlan`.
        model_name: name of the net.
        not_restored: names of the variables that are not restored and not excluded.
    """
    absent = {variable.op.name for variable, _ in plan.not_restored.get(MISSING, [])}
    in_backbone = _in_backbone(not_restored, model_name)
    if plan.kind:
        return [name for name in not_restored
                if kinds.has_layer_of(plan.kind, name.removeprefix(f'{model_name}/'))
                and (name in in_backbone or plan.kind.is_detector and name in absent)]
    if plan.is_same_net and absent:
        return [name for name in not_restored if name in absent]
    return in_backbone if _in_backbone(plan.values, model_name) else []


# Backbone -> variable whose depth tells the width of the backbone, and its depth at a width.
_WIDTHS = {'mobilenet_v1': ('MobilenetV1/Conv2d_0/weights',
                            lambda width: layers.scaled_depth(32, width)),
           'mobilenet_v2': ('MobilenetV2/expanded_conv_16/project/weights',
                            lambda width: layers.divisible_depth(320 * width))}


def _has_another_width(plan, model_name):
    """Return whether the source holds the backbone in another width.

    Narrow backbones have some layers in common: a MobileNet has at least 8 channels.
    """
    mismatched = [v.op.name for v, _ in plan.not_restored.get(SHAPE_MISMATCH, [])]
    if model_name in NETS and _WIDTHS.get(NETS[model_name].backbone, [None])[0] in mismatched:
        return True
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
        return _explain_shapes(plan.not_restored[SHAPE_MISMATCH], model_name)
    our_name = not_restored[0].removeprefix(f'{model_name}/')
    similar = [name for name in plan.source.shapes if f'/{name}'.endswith(f'/{our_name}')]
    prefix = 'some variables are excluded; of the others, ' if EXCLUDED in plan.not_restored else ''
    if similar:
        similar = difflib.get_close_matches(not_restored[0], similar, 3, 0)
        return (f'{prefix}the net has {not_restored[0]}, and the most similar names in the '
                f'checkpoint are {", ".join(similar)}. Pass --checkpoint_model_scope to map '
                f'{model_name}/ to another name')
    nets = nearest_kind.nets_in(plan.source)
    if nets:
        return f'it holds {", ".join(nets)}. Pass --model_name={nets[0]}'
    return nearest_kind.explain(plan.source)


def _explain_shapes(mismatched, model_name):
    """Return which shapes differ, and the nets of the width of the source.

    Args:
        mismatched: [(variable, shape in the source)], not empty.
        model_name: name of the net.
    """
    backbone = NETS[model_name].backbone if model_name in NETS else ''
    width_name, depth_at = _WIDTHS.get(backbone, ('', None))
    width_entry = next((entry for entry in mismatched if entry[0].op.name == width_name), None)
    variable, source_shape = width_entry or mismatched[0]
    names = [net for net in nets_factory.names_with_backbone(backbone) if width_entry
             and depth_at(NETS[net].depth_multiplier) == source_shape[-1]]
    hint = f'; nets of this width: {", ".join(names)}' if names else ''
    return (f'the shapes differ, such as that of {variable.op.name}: {source_shape} in the '
            f'checkpoint, {variable.shape.as_list()} in the net{hint}')


def make_init_fn(plan):
    """Return a function (session) that assigns the values of a plan to their variables.

    Call it after the variables are initialized: outputs of `plan.channels` are put into the initial
    values.
    """
    assign = slim.assign_from_values_fn(plan.values) if plan.values else lambda _: None
    variables = [v for v in tf.model_variables() if v.op.name in plan.channels]

    def init_fn(session):
        assign(session)
        for variable, value in zip(variables, session.run(variables), strict=True):
            variable.load(class_layers.merge(value, plan.channels[variable.op.name]), session)
    return init_fn
