"""Detections drawn onto a picture."""
import colorsys
import io

from PIL import Image, ImageDraw, ImageFont

_GOLDEN = .618034   # steps of this share around the colour circle keep any number of classes apart


def colour_of(label):
    """RGB of a class, the same in every picture."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(label * _GOLDEN % 1., .75, .95))


def draw_detections(image, boxes, captions, labels, scale=1.):
    """A copy of a PIL image with boxes [D, 4] (relative), a caption and a class colour for each.

    Best detection first; it is drawn last, on top. scale: of lines and text, which grow with the picture.
    """
    return draw_boxes(image, boxes, captions, [colour_of(label) for label in labels], scale)


def draw_boxes(image, boxes, captions, colours, scale=1.):
    """As `draw_detections`, with an RGB colour for each box. A box with the caption '' has none."""
    image = image.convert('RGB')
    size = scale * max(image.size)
    line, font = max(2, round(size / 250)), ImageFont.load_default(max(10, round(size / 38)))
    drawing = ImageDraw.Draw(image)
    for box, caption, colour in reversed(list(zip(boxes, captions, colours, strict=True))):
        ymin, xmin, ymax, xmax = (round(float(edge) * side)
                                  for edge, side in zip(box, (image.height, image.width) * 2, strict=True))
        drawing.rectangle([xmin, ymin, max(xmax - 1, xmin), max(ymax - 1, ymin)], outline=colour, width=line)
        if caption:
            _caption(drawing, image.size, (xmin, ymin), caption, colour, font)
    return image


def _caption(drawing, image_size, corner, caption, colour, font):
    """A filled label above the box, or inside it where there is no room above, never outside the picture."""
    left, top, right, bottom = drawing.textbbox((0, 0), caption, font=font)
    pad = max(1, (bottom - top) // 5)
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    x = max(0, min(corner[0], image_size[0] - width))
    y = corner[1] - height if corner[1] >= height else corner[1]
    drawing.rectangle([x, y, x + width - 1, y + height - 1], fill=colour)
    brightness = .3 * colour[0] + .59 * colour[1] + .11 * colour[2]
    drawing.text((x + pad - left, y + pad - top), caption, font=font, fill='black' if brightness > 120 else 'white')


def as_jpeg(image, quality=92):
    """The bytes of a PIL image as a JPEG."""
    encoded = io.BytesIO()
    image.save(encoded, 'JPEG', quality=quality)
    return encoded.getvalue()


def contact_sheet(images, columns, cell, margin=6):
    """PIL images side by side, each fitted into a square cell of so many pixels."""
    rows = -(-len(images) // columns)
    step = cell + margin
    sheet = Image.new('RGB', (columns * step + margin, rows * step + margin), 'white')
    for index, image in enumerate(images):
        fitted = image.copy()
        fitted.thumbnail((cell, cell), Image.LANCZOS)
        sheet.paste(fitted, (margin + index % columns * step + (cell - fitted.width) // 2,
                             margin + index // columns * step + (cell - fitted.height) // 2))
    return sheet
