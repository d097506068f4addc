"""K clones of B pictures train what one clone of K * B pictures trains, on logical CPU devices."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from deployment import model_deploy
from nets import anchors, matching, nets_factory, ssd_model

STEPS = 4
# SSD300-VGG on pictures of 64 pixels: no batch norm, whose moments are each clone's own.
SMALL = nets_factory.get_params('ssd_300_vgg')._replace(
    image_size=64, extra_blocks=(), feat_layers=('block4', 'block7'), anchor_sizes=((10., 20.), (25., 40.)),
    anchor_ratios=((2., .5), (2., .5)), anchor_steps=(None, None), normalizations=(20., None))
# Pictures 2 and 3 are empty: with two clones, every matched anchor lies in the share of one.
BOXES = [[[.1, .1, .5, .5], [.4, .3, .9, .8]], [[.2, .5, .6, .9]], [], []]


def global_batch():
    """Four pictures of noise with their targets, as the input pipeline would give them."""
    images = tf.constant(np.random.RandomState(0).randint(0, 256, [4, 64, 64, 3], np.uint8))
    targets = [matching.match(tf.constant(np.float32(boxes).reshape(-1, 4)), tf.ones([len(boxes)], tf.int32),
                              anchors.net_anchors(SMALL), SMALL.variances) for boxes in BOXES]
    return {'image': images, 'target_labels': tf.stack([t.labels for t in targets]),
            'target_offsets': tf.stack([t.offsets for t in targets])}


def train(num_clones, make_optimizer, accumulation_steps=1):
    """Losses of some steps, the weights after them, and how many variables were changed a step."""
    with tf.Graph().as_default() as graph:
        config = model_deploy.deploy(num_clones, True, 0)
        batch = global_batch()
        normalizer = ssd_model.loss_normalizer(batch, num_clones)
        inputs = [(share, normalizer) for share in ssd_model.split_batch(batch, num_clones)]
        if accumulation_steps > 1:
            inputs = [[(part, normalizer) for part in ssd_model.split_batch(share, accumulation_steps)]
                      for share, _ in inputs]
        clones = model_deploy.create_clones(config, ssd_model.clone_fn(SMALL, 3, 5e-4, 0, ssd_model.LossOptions()),
                                            inputs, tf.trainable_variables)
        tensor, _ = tf_utils.get_train_op(make_optimizer(), [], clones, tf.train.get_or_create_global_step(),
                                          clones[0].scope, [])
        applied = [op for op in graph.get_operations() if 'Apply' in op.type]
        with tf.Session(config=model_deploy.session_config(config)) as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run(tensor) for _ in range(STEPS)]
            return losses, session.run({v.op.name: v for v in tf.trainable_variables()}), len(applied)


@pytest.mark.parametrize('make_optimizer', [
    lambda: tf.train.MomentumOptimizer(1e-4, .9),
    lambda: tf.train.AdamOptimizer(1e-4, epsilon=.01)], ids=['momentum', 'adam'])
def test_clones_and_accumulated_parts_equal_one_batch(make_optimizer):
    losses, weights, applied = train(1, make_optimizer)
    assert losses[0] > losses[-1] > 0
    for num_clones, accumulation_steps in ((2, 1), (4, 1), (1, 4), (2, 2)):
        found = train(num_clones, make_optimizer, accumulation_steps)
        np.testing.assert_allclose(found[0], losses, rtol=1e-4)
        assert found[1].keys() == weights.keys() and found[2] == applied == len(weights)
        for name, value in weights.items():
            np.testing.assert_allclose(found[1][name], value, atol=2e-5, err_msg=name)


def test_the_normalizer_is_the_global_count_shared_out(evaluate):
    labels = tf.constant([[0, 1, 2], [0, 0, 0], [3, 0, 0], [0, 0, 0]])
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels}, 2)) == 3 / 2
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels * 0}, 4)) == 1 / 4


def test_split_batch_keeps_the_order(evaluate):
    shares = evaluate(ssd_model.split_batch({'image': tf.range(6), 'labels': tf.range(6) * 10}, 3))
    assert [share['image'].tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]
    assert shares[2]['labels'].tolist() == [40, 50]
