"""A step of train_ssd_network.py, whole, for benchmarks to time."""


def training_step(params, dataset, global_batch, num_clones=1):
    """(train tensor, session configuration) of a step with the paper's recipe, made in the default graph.

    num_clones: they run on logical CPU devices, each on its share of the global batch.
    """
    import tensorflow.compat.v1 as tf

    import tf_utils
    from datasets import input_pipeline
    from deployment import model_deploy
    from nets import anchors, losses, ssd, ssd_model
    from preprocessing import ssd_preprocessing
    deployment = model_deploy.deploy(num_clones, True, 0)

    def to_example(record, seed):
        example = ssd_preprocessing.preprocess_for_train(record, seed, params.image_size, params.mean)
        return ssd_model.add_targets(example, anchors.net_anchors(params), params.variances, .5)

    with tf.device(deployment.inputs_device()):
        global_step = tf.train.get_or_create_global_step()
        batch = input_pipeline.training_batches(
            dataset, to_example, input_pipeline.ExampleOrder(seed=0, batch_size=global_batch), global_step)
        normalizer = ssd_model.loss_normalizer(batch, num_clones)
        inputs = [(share, normalizer) for share in ssd_model.split_batch(batch, num_clones)]
    clones = model_deploy.create_clones(
        deployment, ssd_model.clone_fn(
            params, 21, losses.LossOptions(), ssd.BuildOptions(weight_decay=5e-4)), inputs)
    with tf.device(deployment.variables_device()):
        train_tensor, _ = tf_utils.get_train_op(
            tf.train.MomentumOptimizer(1e-4, .9), [], clones, global_step, clones[0].scope,
            tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope))
    return train_tensor, model_deploy.session_config(deployment)
