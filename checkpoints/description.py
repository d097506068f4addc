"""What weights tell about their net: its name, anchors and classes."""
from checkpoints import kinds, sources
from common.errors import UserError
from nets import nets_factory
from run_folder import run_config


def describe_weights(path):
    """Open weights, and return what is known of the net that they belong to.

    Args:
        path: a checkpoint or a weight file, as `sources.open_source` takes it.

    Returns:
        The `WeightSource`, and a dict as the 'model' part of a run's configuration: 'model_name',
        'net', 'num_classes', 'anchor_preset', and 'class_names' unless unknown. It is empty without
        a configuration, for backbones, and for incomplete detectors of other programs.

    Raises:
        UserError: If the path cannot be read.
    """
    source = sources.open_source(path)
    model = run_config.model_of_checkpoint(source.path)
    if model:
        return source, model
    detector = kinds.describe(source)
    if detector is None or not detector.complete:
        return source, {}
    return source, model_config(detector.params, detector.num_classes, detector.class_names)


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


def model_config(params, num_classes, class_names):
    """Return the 'model' part of the configuration of a net.

    Args:
        params: `SSDParams` with anchors.
        num_classes: C, background included.
        class_names: names without the background, or None if unknown.
    """
    differences = nets_factory.differences_from_table(params)
    return {'model_name': params.name, **({'net': differences} if differences else {}),
            'anchor_preset': params.anchor_preset, 'num_classes': num_classes,
            **({'class_names': class_names} if class_names else {})}
