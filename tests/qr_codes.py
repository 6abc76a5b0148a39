"""Reads QR codes as a phone does: from the pixels of a picture, whatever drew them."""

import io
import re
from urllib.parse import unquote

import zxingcpp
from PIL import Image, ImageDraw


def read_pixels(png: bytes) -> list[str]:
    """The texts of all codes that are seen in a picture."""
    return [code.text for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))]


def read_address(address: str) -> str:
    """The text of the one code that a `data:` address of an SVG shows, drawn as a browser draws it."""
    head, _, svg = address.partition(",")
    assert head == "data:image/svg+xml;charset=utf-8"
    found = re.fullmatch(
        r"<svg xmlns='http://www.w3.org/2000/svg' width='(\d+)' height='\1'><g transform='scale\((\d+)\)'>"
        r"<path fill='#fff' d='M0 0h(\d+)v\3h-\3z'/><path stroke='#000' d='M([\d.]+ [\d.]+)(.+)'/></g></svg>",
        unquote(svg).strip(),
    )
    assert found, unquote(svg)
    assert int(found[1]) == int(found[2]) * int(found[3])
    image = Image.new("L", (int(found[3]), int(found[3])), 255)
    x, y = map(float, found[4].split())
    assert (x, y) == (4, 4.5)  # a quiet zone of four modules; lines are drawn along their middle
    for run, right, down in re.findall(r"h(\d+)|m(-?\d+) (\d+)", found[5]):
        if run:
            ImageDraw.Draw(image).line([(x, int(y)), (x + int(run) - 1, int(y))], fill=0)
            x += int(run)
        else:
            x, y = x + int(right), y + int(down)
    (code,) = zxingcpp.read_barcodes(image.resize((int(found[1]), int(found[1])), Image.Resampling.NEAREST))
    return code.text
