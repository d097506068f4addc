import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import class_layers, class_names, restoring
from checkpoints.sources import WeightSource

LOC, CLS = 'net/a_box/conv_loc', 'net/a_box/conv_cls'


def make_source(arrays):
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return WeightSource('the_file', shapes, arrays.__getitem__)


def make_head(num_anchors, num_classes):
    """Create the variables of a prediction layer; all class outputs are 9."""
    shapes = {f'{LOC}/weights': 4 * num_anchors, f'{LOC}/biases': 4 * num_anchors,
              f'{CLS}/weights': num_anchors * num_classes,
              f'{CLS}/biases': num_anchors * num_classes}
    return [tf.get_variable(
        name, initializer=tf.fill([1, 1, 1, size] if 'weights' in name else [size], 9.),
        collections=[tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES])
        for name, size in shapes.items()]


def head_source(num_anchors, num_classes):
    """Return a `WeightSource` of a prediction layer; class output n is n."""
    loc, cls = np.zeros(4 * num_anchors), np.arange(num_anchors * num_classes)
    return make_source({
        f'{LOC}/weights': loc.reshape(1, 1, 1, -1), f'{LOC}/biases': loc,
        f'{CLS}/weights': cls.reshape(1, 1, 1, -1), f'{CLS}/biases': cls})


def test_spellings_of_voc_and_coco_agree():
    labels = class_layers.matching_labels(class_names.COCO, class_names.VOC)
    assert len(labels) == 21   # all of VOC, and the background
    assert labels[class_names.VOC.index('aeroplane') + 1] == 1 + class_names.COCO.index('airplane')
    assert labels[class_names.VOC.index('pottedplant') + 1] == 1 + class_names.COCO.index(
        'potted plant')


def test_coco_has_80_classes_and_90_ids():
    assert len(class_names.COCO) == 80 and len(class_names.COCO_IDS) == 90
    assert class_names.COCO_IDS[89] == 'toothbrush' and class_names.COCO_IDS[11] == 'unused 12'
    assert [label for label, name in enumerate(class_names.COCO_IDS, 1)
            if name.startswith('unused')] == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]


def restore(num_anchors, source_classes, target_classes):
    """Return the plan, the kept classes and the restored class biases."""
    variables = make_head(num_anchors, len(target_classes) + 1)
    source = head_source(num_anchors, len(source_classes) + 1)
    plan = restoring.make_plan(source, variables, 'net')
    kept = restoring.keep_known_classes(plan, variables, source_classes, target_classes)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restoring.make_init_fn(plan)(session)
        weights, biases = session.run(variables[2:])
    assert weights.ravel().tolist() == biases.tolist()
    return plan, kept, biases.tolist()


def test_classes_of_the_same_name_are_kept_and_others_start_anew():
    plan, kept, biases = restore(2, ['car', 'dog', 'person'], ['person', 'cell'])
    assert kept == ['person'] and not plan.not_restored and len(plan.channels) == 2
    # Of four outputs per anchor, the background is 0 and person 3.
    assert biases == [0, 3, 9, 4, 7, 9]


def test_the_same_number_of_other_classes_is_mapped_by_name():
    _, kept, biases = restore(1, ['car', 'dog'], ['Dog', 'cell'])
    assert kept == ['Dog'] and biases == [0, 2, 9]


def test_the_same_classes_are_restored_as_they_are():
    plan, kept, biases = restore(1, ['car', 'dog'], ['car', 'dog'])
    assert kept == ['car', 'dog'] and not plan.channels and biases == [0, 1, 2]


def test_class_layers_of_other_anchors_are_not_mapped():
    variables = make_head(3, 2)
    plan = restoring.make_plan(head_source(2, 3), variables, 'net')   # six outputs both
    assert restoring.keep_known_classes(plan, variables, ['a', 'b'], ['a']) == []
    assert not plan.channels and not plan.values
