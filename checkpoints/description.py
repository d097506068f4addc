"""What weights tell about their net: its name, anchors and classes."""
from checkpoints import kinds, sources
from common.errors import UserError
from nets import net_fields, nets_factory
from run_folder import run_config


def describe_weights(path, anchor_preset=''):
    """Open weights, and return what is known of the net that they belong to.

    Args:
        path: a checkpoint or a weight file, as `sources.open_source` takes it.
        anchor_preset: anchors of a detector of another program that has other numbers of anchors
            per cell than detectors of its kind.

    Returns:
        The `WeightSource`, and a dict as the 'model' part of a run's configuration: 'model_name',
        'net', 'num_classes', 'anchor_preset', and 'class_names' unless unknown. For backbones and
        incomplete detectors of other programs it is 'backbone', a key of `BACKBONES`, and 'net'
        with the fields of the backbone. It is empty if nothing is known.

    Raises:
        UserError: If the path cannot be read, or `anchor_preset` is needed.
    """
    source = sources.open_source(path)
    model = run_config.model_of_checkpoint(source.path)
    if model:
        return source, model
    detector = kinds.describe(source, anchor_preset)
    if detector and detector.complete:
        return source, model_config(detector.params, detector.num_classes, detector.class_names)
    row = kinds.identify(source)
    if row is None:
        return source, {}
    return source, {'backbone': row.backbone, 'net': net_fields.of_backbone(row.differences)}


# Key -> its noun, and what to do if a flag contradicts it.
_CONTRADICTIONS = {
    'model_name': ('the net', 'Leave out --model_name'),
    'anchor_preset': ('the anchors', 'Leave out --anchor_preset'),
    'class_names': ('the classes', 'Pass data with these classes, or leave out --labels_file'),
}


def with_flags(source, known, **flags):
    """Return what is known of a net, completed by flags.

    A flag must not contradict what is known: a net with other anchors or classes would run, but
    give wrong detections. Of a file of another program, the class names are only those that such
    files mostly have, and so are its anchors if it has another number of classes: flags replace
    them.

    Args:
        source, known: as `describe_weights` returns them.
        **flags: values of 'model_name', 'anchor_preset' (canonical) and 'class_names'; empty
            values are ignored.

    Raises:
        UserError: If a flag contradicts what is known.
    """
    assumed = ()
    if kinds.identify(source):
        assumed = ('class_names',) if 'class_names' in known else ('class_names', 'anchor_preset')
    flags = {name: value for name, value in flags.items() if value}
    for name, value in flags.items():
        if name not in assumed and known.get(name, value) != value:
            trained, passed = (', '.join(v) if isinstance(v, list) else v
                               for v in (known.get(name), value))
            noun, remedy = _CONTRADICTIONS[name]
            raise UserError(
                f'{source.path} was trained with {noun} {trained}, not {passed}. {remedy}')
    return {**known, **flags}


def model_config(params, num_classes=None, class_names=None, anchors_known=True):
    """Return the 'model' part of the configuration of a net, without fields that are unknown.

    Args:
        params: `SSDParams` with anchors.
        num_classes: C, background included; None or 0 if unknown.
        class_names: names without the background, or None if unknown.
        anchors_known: whether the anchors of `params` are those of the weights.
    """
    fields = {'model_name': params.name, 'net': nets_factory.differences_from_table(params),
              'anchor_preset': anchors_known and params.anchor_preset, 'num_classes': num_classes,
              'class_names': class_names}
    return {name: value for name, value in fields.items() if value}
