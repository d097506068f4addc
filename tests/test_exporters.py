import importlib.util

import pytest

from common.errors import UserError
from exporting import exporters


def test_what_is_no_format():
    with pytest.raises(UserError, match="'onyx' is none of saved_model, frozen_graph, tflite, tflite_int8, onnx"):
        exporters.check(['saved_model', 'onyx'])


def test_a_converter_that_is_missing(monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'tf2onnx' else there(name))
    exporters.check(['saved_model', 'tflite'])
    with pytest.raises(UserError, match='^--formats=onnx needs tf2onnx, which is missing: pip install -r '
                                        'requirements-onnx.txt$'):
        exporters.check(['tflite', 'onnx'])


def test_every_format_has_its_exporter():
    for name in exporters.FORMATS:
        assert callable(exporters.exporter(name))
