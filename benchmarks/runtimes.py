"""Exported nets, loaded by the runtimes that they are for.

A loader (path, threads) returns a function: images [B, H, W, 3] uint8 -> {output: array}, as of `exporting.graph`.
TensorFlow Lite takes pictures of the net's size, one at a time.
"""
import warnings

from cli.app import QuietStderr

OUTPUTS = ('boxes', 'scores', 'classes', 'count')


def _session(threads):
    import tensorflow.compat.v1 as tf
    return tf.Session(graph=tf.Graph(), config=tf.ConfigProto(
        device_count={'GPU': 0}, intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads))


def saved_model(path, threads):
    """The signature serving_default, by TensorFlow's loader."""
    import tensorflow.compat.v1 as tf
    session = _session(threads)
    with session.graph.as_default():
        signature = tf.saved_model.load(session, [tf.saved_model.SERVING], path).signature_def['serving_default']
    outputs = {name: signature.outputs[name].name for name in OUTPUTS}
    return lambda images: session.run(outputs, {signature.inputs['images'].name: images})


def frozen_graph(path, threads):
    """The graph in a session."""
    import tensorflow.compat.v1 as tf
    session = _session(threads)
    with open(path, 'rb') as file, session.graph.as_default():
        tf.import_graph_def(tf.GraphDef.FromString(file.read()), name='')
    outputs = {name: f'{name}:0' for name in OUTPUTS}
    return lambda images: session.run(outputs, {'images:0': images})


def tflite(path, threads):
    """TensorFlow Lite's interpreter, with its signature."""
    import numpy as np
    import tensorflow as tf
    with QuietStderr(), warnings.catch_warnings():
        warnings.simplefilter('ignore')   # it wants the same interpreter to be got from another package
        run = tf.lite.Interpreter(path, num_threads=threads).get_signature_runner()

    def detect(images):
        found = [run(images=image[None]) for image in images]
        return {name: np.concatenate([one[name] for one in found]) for name in OUTPUTS}
    return detect


def onnx(path, threads):
    """onnxruntime on the CPU."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda images: dict(zip(OUTPUTS, session.run(OUTPUTS, {'images': images}), strict=True))


LOADERS = {'saved_model': saved_model, 'frozen_graph': frozen_graph, 'tflite': tflite, 'tflite_int8': tflite,
           'onnx': onnx}
TAKES_ANY_SIZE = ('saved_model', 'frozen_graph', 'onnx')
