import base64
import html.parser
import io
import re

from evaluated import SQUARE
from PIL import Image
from test_judged import judgement

from visualization import worst_pictures


def encoded():
    buffer = io.BytesIO()
    Image.new('RGB', (30, 20)).save(buffer, 'JPEG')
    return buffer.getvalue()


def test_one_file_with_its_pictures(tmp_path):
    path = tmp_path / 'worst.html'
    worst_pictures.write(str(path), 'Worst <pictures>', 'at a score of 0.5', [
        ('a&b.jpg', encoded(), judgement([SQUARE], [1])),
        ('c.jpg', encoded(), judgement([SQUARE, SQUARE], [1, 2]))], ['<cat>', 'dog'])
    text = path.read_text()
    assert '<title>Worst &lt;pictures&gt;</title>' in text and 'src="http' not in text and 'href' not in text
    assert '<b>a&amp;b.jpg</b>: 1 mistake: &lt;cat&gt; missed' in text
    assert '<b>c.jpg</b>: 2 mistakes: &lt;cat&gt; missed; dog missed' in text
    images = [Image.open(io.BytesIO(base64.b64decode(found))) for found in re.findall(r'base64,([^"]+)"', text)]
    assert [image.size for image in images] == [(560, 373)] * 2
    opened = []

    class Tags(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            del attrs
            opened.append(tag)

        def handle_endtag(self, tag):
            while opened.pop() != tag:
                pass
    Tags().feed(text)
    assert opened == []


def test_no_mistakes_at_all(tmp_path):
    worst_pictures.write(str(tmp_path / 'worst.html'), 'Worst', '', [], ['cat'])
    assert 'None.' in (tmp_path / 'worst.html').read_text()
