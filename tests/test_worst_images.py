import base64
import html.parser
import io
import re

from evaluated_images import SQUARE
from PIL import Image
from test_error_images import find_errors

from visualization import worst_images


def encode_image():
    buffer = io.BytesIO()
    Image.new('RGB', (30, 20)).save(buffer, 'JPEG')
    return buffer.getvalue()


class OpenTags(html.parser.HTMLParser):
    """Parser that keeps the tags that are not closed yet."""

    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, _):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        while self.tags.pop() != tag:
            pass


def test_the_page_is_one_valid_file_with_its_images(tmp_path):
    path = tmp_path / 'worst.html'
    worst_images.write_page(str(path), 'Worst <images>', 'at a score of 0.5', [
        ('a&b.jpg', encode_image(), find_errors([SQUARE], [1])),
        ('c.jpg', encode_image(), find_errors([SQUARE, SQUARE], [1, 2]))], ['<cat>', 'dog'])
    text = path.read_text()
    assert '<title>Worst &lt;images&gt;</title>' in text
    assert 'src="http' not in text and 'href' not in text
    assert '<b>a&amp;b.jpg</b>: 1 error: &lt;cat&gt; missed' in text
    assert '<b>c.jpg</b>: 2 errors: &lt;cat&gt; missed; dog missed' in text
    images = [Image.open(io.BytesIO(base64.b64decode(encoded)))
              for encoded in re.findall(r'base64,([^"]+)"', text)]
    assert [image.size for image in images] == [(560, 373)] * 2
    parser = OpenTags()
    parser.feed(text)
    assert parser.tags == []


def test_page_without_errors(tmp_path):
    worst_images.write_page(str(tmp_path / 'worst.html'), 'Worst', '', [], ['cat'])
    assert 'No errors.' in (tmp_path / 'worst.html').read_text()
