"""Loaders of exported nets, one per runtime.

A loader (path, num_threads) returns a function from images [B, H, W, 3] uint8 to a dict of the
arrays `exporting.graph.OUTPUT_NAMES`. TensorFlow Lite accepts only images of the net's input size,
and runs them one by one.
"""
import warnings

from common.native_stderr import suppress_native_stderr
from exporting.graph import OUTPUT_NAMES


def _cpu_session(num_threads):
    import tensorflow.compat.v1 as tf
    return tf.Session(graph=tf.Graph(), config=tf.ConfigProto(
        device_count={'GPU': 0}, intra_op_parallelism_threads=num_threads,
        inter_op_parallelism_threads=num_threads))


def saved_model(path, num_threads):
    """Load the signature serving_default of a SavedModel."""
    import tensorflow.compat.v1 as tf
    session = _cpu_session(num_threads)
    with session.graph.as_default():
        meta_graph = tf.saved_model.load(session, [tf.saved_model.SERVING], path)
    signature = meta_graph.signature_def['serving_default']
    outputs = {name: signature.outputs[name].name for name in OUTPUT_NAMES}
    return lambda images: session.run(outputs, {signature.inputs['images'].name: images})


def frozen_graph(path, num_threads):
    """Import a frozen graph into a session."""
    import tensorflow.compat.v1 as tf
    session = _cpu_session(num_threads)
    with open(path, 'rb') as file, session.graph.as_default():
        tf.import_graph_def(tf.GraphDef.FromString(file.read()), name='')
    outputs = {name: f'{name}:0' for name in OUTPUT_NAMES}
    return lambda images: session.run(outputs, {'images:0': images})


def tflite(path, num_threads):
    """Load the signature of a TensorFlow Lite file into an interpreter."""
    import numpy as np
    import tensorflow as tf
    with suppress_native_stderr(), warnings.catch_warnings():
        warnings.simplefilter('ignore')   # the interpreter of TensorFlow is deprecated
        run = tf.lite.Interpreter(path, num_threads=num_threads).get_signature_runner()

    def detect(images):
        outputs = [run(images=image[None]) for image in images]
        return {name: np.concatenate([output[name] for output in outputs])
                for name in OUTPUT_NAMES}
    return detect


def onnx(path, num_threads):
    """Load an ONNX file into onnxruntime, on the CPU."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda images: dict(zip(
        OUTPUT_NAMES, session.run(OUTPUT_NAMES, {'images': images}), strict=True))


LOADERS = {'saved_model': saved_model, 'frozen_graph': frozen_graph, 'tflite': tflite,
           'tflite_int8': tflite, 'onnx': onnx}
ACCEPTS_ANY_SIZE = ('saved_model', 'frozen_graph', 'onnx')
