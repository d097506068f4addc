import importlib.util

import pytest

from common.errors import UserError
from exporting import exporters


def test_unknown_format_fails():
    with pytest.raises(UserError, match="unknown format 'onyx'. Choose from saved_model, "
                                        'frozen_graph, tflite, tflite_int8, onnx$'):
        exporters.check_formats(['saved_model', 'onyx'])


def test_missing_package_fails(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec',
                        lambda name: None if name == 'tf2onnx' else find_spec(name))
    exporters.check_formats(['saved_model', 'tflite'])
    with pytest.raises(UserError, match='^--formats=onnx needs the package tf2onnx, which is not '
                                        'installed. Run pip install -r requirements-onnx.txt$'):
        exporters.check_formats(['tflite', 'onnx'])


def test_every_format_has_an_exporter():
    for name in exporters.FORMATS:
        assert callable(exporters.get_exporter(name))
