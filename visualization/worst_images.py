"""A page of pictures with what is wrong in them; one HTML file that needs no other."""
import base64
import html

from common.files import write_atomically
from visualization import judged
from visualization.drawing import encode_jpeg

_STYLE = """
body { font: 15px sans-serif; margin: 2em; background: #fafafa; color: #222 }
main { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start }
figure { margin: 0; max-width: 560px; background: white; padding: .6em; border: 1px solid #ddd }
figcaption { margin-top: .4em; overflow-wrap: anywhere }
img { max-width: 100% }
li { display: inline-block; margin-right: 1.2em; white-space: nowrap }
li span { display: inline-block; width: 1.6em; height: 1em; vertical-align: -.15em; margin-right: .4em }
ul { padding: 0 }
"""


def write(path, title, text, entries, class_names):
    """Writes the page.

    title, text: what it is a page of, and how its mistakes were counted. entries: [(name, encoded picture,
    `Judgement`), ...] in their order on the page. class_names: label 1 first.
    """
    legend = ''.join(f'<li><span style="background: rgb{colour}"></span>{html.escape(name)}</li>'
                     for name, colour in judged.COLOURS.items())
    figures = '\n'.join(_figure(name, encoded, judgement, class_names) for name, encoded, judgement in entries)
    write_atomically(path, f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
                           f'</title><style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n'
                           f'<p>{html.escape(text)}</p>\n<ul>{legend}</ul>\n<main>\n{figures or "None."}\n</main>\n'
                           f'</body></html>\n')


def _figure(name, encoded, judgement, class_names):
    picture = base64.b64encode(encode_jpeg(judged.draw(encoded, judgement, class_names))).decode()
    count = judgement.num_wrong
    return (f'<figure><img src="data:image/jpeg;base64,{picture}" alt="{html.escape(name)}"><figcaption>'
            f'<b>{html.escape(name)}</b>: {count} mistake{"s" * (count != 1)}: '
            f'{html.escape(judged.why(judgement, class_names))}</figcaption></figure>')
