"""HTML page of the images with the most errors: a single file without links to others."""
import base64
import html

from common.files import write_atomically
from visualization import error_images
from visualization.drawing import encode_jpeg

_STYLE = """
body { font: 15px sans-serif; margin: 2em; background: #fafafa; color: #222 }
main { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start }
figure { margin: 0; max-width: 560px; background: white; padding: .6em; border: 1px solid #ddd }
figcaption { margin-top: .4em; overflow-wrap: anywhere }
img { max-width: 100% }
li { display: inline-block; margin-right: 1.2em; white-space: nowrap }
li span { display: inline-block; width: 1.6em; height: 1em; margin-right: .4em }
li span { vertical-align: -.15em }
ul { padding: 0 }
"""


def write_page(path, title, text, entries, class_names):
    """Write the page, atomically.

    Args:
        path: the HTML file.
        title: title and heading of the page.
        text: paragraph below the heading.
        entries: [(image name, encoded image, `ImageErrors`), ...] in the order of the page.
        class_names: names of the classes, label 1 first.
    """
    legend = ''.join(f'<li><span style="background: rgb{color}"></span>{html.escape(outcome)}</li>'
                     for outcome, color in error_images.COLORS.items())
    figures = '\n'.join(_figure(*entry, class_names) for entry in entries)
    title, text = html.escape(title), html.escape(text)
    write_atomically(path, (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n<p>{text}</p>\n'
        f'<ul>{legend}</ul>\n<main>\n{figures or "No errors."}\n</main>\n</body></html>\n'))


def _figure(name, encoded, errors, class_names):
    """Return the HTML of one image with its caption."""
    jpeg = encode_jpeg(error_images.draw(encoded, errors, class_names))
    name, count = html.escape(name), errors.num_errors
    return (f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" '
            f'alt="{name}"><figcaption><b>{name}</b>: {count} error{"s" * (count != 1)}: '
            f'{html.escape(error_images.describe_errors(errors, class_names))}'
            '</figcaption></figure>')
