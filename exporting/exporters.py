"""Table of the export formats. Does not import TensorFlow, so that invalid flags fail at once."""
import importlib
import importlib.util
from typing import NamedTuple

from common.errors import UserError


class Format(NamedTuple):
    """An export format, written by the module of the same name in this package.

    Attributes:
        output: Name of the written file or folder.
        packages: Packages that are needed in addition to requirements.txt.
        requirements: The requirements file that installs `packages`.
        is_calibrated: Whether the exporter reads `ExportJob.calibration_images`.
    """
    output: str
    packages: tuple = ()
    requirements: str = ''
    is_calibrated: bool = False


class ExportJob(NamedTuple):
    """Input of the exporters.

    Attributes:
        model: `run_folder.trained_model.Model`.
        use_averages: Whether to export moving averages of the weights, if the checkpoint has them.
        post_processing: `nets.post_processing.PostProcessingOptions`, constants in the exported
            file.
        calibration_images: Encoded images, a list of bytes.
    """
    model: object
    use_averages: bool
    post_processing: object
    calibration_images: list = ()


FORMATS = {
    'saved_model': Format('saved_model'),
    'frozen_graph': Format('frozen_graph.pb'),
    'tflite': Format('model.tflite'),
    'tflite_int8': Format('model_int8.tflite', is_calibrated=True),
    'onnx': Format('model.onnx', ('tf2onnx', 'onnx'), 'requirements-onnx.txt'),
}


def check_formats(names):
    """Raise UserError for an unknown format, or one whose packages are not installed."""
    for name in names:
        if name not in FORMATS:
            raise UserError(f"--formats: unknown format '{name}'. Choose from "
                            f"{', '.join(FORMATS)}")
        for package in FORMATS[name].packages:
            if not importlib.util.find_spec(package):
                raise UserError(f'--formats={name} needs the package {package}, which is not '
                                f'installed. Run pip install -r {FORMATS[name].requirements}')


def get_exporter(name):
    """Return the function (path, job) that writes a format. Imports TensorFlow."""
    return importlib.import_module(f'exporting.{name}').export
