"""What weights tell about their net: its name, anchors and classes."""
from checkpoints import kinds, sources
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
