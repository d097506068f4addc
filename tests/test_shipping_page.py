"""What docs/shipping.md tells people to write does run."""
import re

import pytest
from conftest import ROOT
from exported_net import make_job

import scripts
from exporting import exporters

pytestmark = pytest.mark.slow


def test_the_python_of_the_page(exportable, cells, tmp_path):
    (tmp_path / 'exported').mkdir()
    (tmp_path / 'photo.jpg').write_bytes(cells[0])
    for name in ('saved_model', 'frozen_graph', 'tflite', 'onnx'):
        exporters.exporter(name)(str(tmp_path / 'exported' / exporters.FORMATS[name].output), make_job(exportable))
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/shipping.md').read_text(), re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / 'page.py').write_text('\n'.join(f"{block}\nprint('end of a block')" for block in blocks))
    done = scripts.run('page.py', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    saved, frozen, lite, onnx, _ = done.stdout.split('end of a block')
    # The best first; the page's TensorFlow Lite and ONNX read the picture with another decoder.
    assert saved.split()[0] in ('RBC', 'WBC', 'Platelets') and "b'background'" in frozen
    assert all(re.match(r'\s*(RBC|WBC|Platelets) 0\.\d+ \[', text) for text in (lite, onnx))
