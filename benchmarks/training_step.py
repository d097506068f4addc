"""The training step of train_ssd_network.py, for benchmarks to time."""


def training_step(params, dataset, options):
    """Build a whole training step in the default graph.

    Args:
        params: `SSDParams`.
        dataset: `Dataset`.
        options: `training.options.TrainOptions`; the clones run on logical CPU devices.

    Returns:
        (train_tensor, session_config): fetching train_tensor runs the step.
    """
    import tensorflow.compat.v1 as tf

    from deployment import model_deploy, process_group
    from training import graph
    deployment = model_deploy.make_deployment_config(options.num_clones, True, 0)
    config = model_deploy.session_config(deployment, xla=options.xla)
    group = process_group.ProcessGroup(deployment, config)
    with tf.device(deployment.variables_device()):
        global_step = tf.train.get_or_create_global_step()
    batch, normalizer = graph.input_batch(options, params, dataset, group, global_step)
    clones = graph.create_clones(options, params, dataset.num_classes, deployment, batch,
                                 normalizer, global_step)
    train_op = graph.create_train_op(options, params, dataset, group, clones, batch, global_step)
    return train_op.train_tensor, group.session_config
