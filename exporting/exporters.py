"""The formats that a net is exported to. No TensorFlow is loaded here, so that wrong flags are refused at once."""
import importlib
import importlib.util
from typing import NamedTuple

from common.errors import UserError


class Format(NamedTuple):
    """A row of the table. The module of this package that has the format's name does it: `export(path, job)`."""
    output: str                    # file or folder that is written
    packages: tuple = ()           # what it needs beyond requirements.txt,
    requirements: str = ''         # and the file that installs it
    is_calibrated: bool = False    # whether it wants to see pictures


class Options(NamedTuple):
    """What becomes of predictions within the exported file; as of `nets.post_processing.detect`."""
    min_score: float
    nms_threshold: float
    max_detections: int
    select_top_k: int = 400   # of each class, as prediction does


class Job(NamedTuple):
    """What an exporter is given."""
    model: object          # `run_folder.trained_model.Model`
    use_averages: bool     # moving averages of the weights, where there are
    options: Options
    calibration: list      # encoded pictures, [] unless a format is calibrated


FORMATS = {
    'saved_model': Format('saved_model'),
    'frozen_graph': Format('frozen_graph.pb'),
    'tflite': Format('model.tflite'),
    'tflite_int8': Format('model_int8.tflite', is_calibrated=True),
    'onnx': Format('model.onnx', ('tf2onnx', 'onnx'), 'requirements-onnx.txt'),
}


def check(names):
    """UserError where a name is none of a format, or what the format needs is not installed."""
    for name in names:
        if name not in FORMATS:
            raise UserError(f"--formats: '{name}' is none of {', '.join(FORMATS)}")
        for package in FORMATS[name].packages:
            if not importlib.util.find_spec(package):
                raise UserError(f'--formats={name} needs {package}, which is missing: pip install -r '
                                f'{FORMATS[name].requirements}')


def exporter(name):
    """The function (path, job) that writes a format; it loads TensorFlow."""
    return importlib.import_module(f'exporting.{name}').export
