"""Runs the Python code of docs/shipping.md."""
import re

import pytest
from conftest import ROOT
from exported_net import make_job

import scripts
from exporting import exporters

pytestmark = pytest.mark.slow


def test_python_code_runs(exportable, cells, tmp_path):
    (tmp_path / 'exported').mkdir()
    (tmp_path / 'photo.jpg').write_bytes(cells[0])
    for name in ('saved_model', 'frozen_graph', 'tflite', 'onnx'):
        path = tmp_path / 'exported' / exporters.FORMATS[name].output
        exporters.get_exporter(name)(str(path), make_job(exportable))
    page = (ROOT / 'docs/shipping.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / 'page.py').write_text(
        '\n'.join(f"{block}\nprint('end of block')" for block in blocks))
    process = scripts.run('page.py', cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    saved_model, frozen_graph, tflite, onnx, _ = process.stdout.split('end of block')
    assert saved_model.split()[0] in ('RBC', 'WBC', 'Platelets')
    assert "b'background'" in frozen_graph
    # The first line is the best detection.
    assert all(re.match(r'\s*(RBC|WBC|Platelets) 0\.\d+ \[', text) for text in (tflite, onnx))
