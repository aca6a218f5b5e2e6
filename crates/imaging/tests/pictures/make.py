"""Makes the small pictures of this folder and `expected.txt`: name, size and SHA-256 of the RGB bytes that Pillow reads.

Run in an environment with Pillow 13.0.0 and simplejpeg 1.9.0: python make.py
"""

import hashlib
import io
import pathlib

import numpy
import simplejpeg
from PIL import Image

HERE = pathlib.Path(__file__).parent
SIDES = (37, 29)


def picture():
    """Smooth colours with an edge and some noise, the same on every run."""
    width, height = SIDES
    y, x = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(7).integers(0, 30, (height, width, 3))
    base = numpy.stack([6 * x, 8 * y, 255 - 4 * (x + y)], axis=2) + noise
    base[8:20, 10:25] = [200, 40, 90]
    return Image.fromarray(numpy.clip(base, 0, 255).astype(numpy.uint8))


def jpegs(rgb):
    grey, cmyk = rgb.convert("L"), Image.merge("CMYK", [*rgb.split(), rgb.convert("L").point(lambda v: v // 3)])
    yield "420.jpg", rgb, dict(subsampling=2)
    yield "422.jpg", rgb, dict(subsampling=1, quality=60)
    yield "444.jpg", rgb, dict(subsampling=0, quality=95, optimize=True)
    yield "420_progressive.jpg", rgb, dict(subsampling=2, progressive=True)
    yield "444_progressive.jpg", rgb, dict(subsampling=0, progressive=True, quality=30)
    yield "420_restarts.jpg", rgb, dict(subsampling=2, restart_marker_blocks=2)
    yield "rgb.jpg", rgb, dict(keep_rgb=True)
    yield "grey.jpg", grey, dict()
    yield "grey_progressive.jpg", grey, dict(progressive=True, quality=50)
    yield "cmyk.jpg", cmyk, dict()
    yield "two_columns.jpg", rgb.crop((0, 0, 2, 9)), dict(subsampling=2)


def others(rgb):
    grey = rgb.convert("L")
    yield "palette.tif", rgb.quantize(40), dict()
    yield "palette_4bit.tif", rgb.quantize(9), dict(compression="tiff_lzw")
    yield "cmyk.tif", Image.merge("CMYK", [*rgb.split(), grey]), dict()
    yield "grey_alpha.tif", Image.merge("LA", [grey, grey]), dict()
    yield "bits.tif", rgb.convert("1"), dict()
    yield "turned.tif", rgb, dict(tiffinfo={274: 6})
    yield "deep.png", Image.fromarray(numpy.asarray(grey).astype(numpy.uint16) * 3), dict()
    yield "transparent_palette.png", rgb.quantize(40), dict(transparency=bytes(range(40)))
    yield "turned.jpg", rgb, dict(exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")


def main():
    rgb = picture()
    for name, image, options in [*jpegs(rgb), *others(rgb)]:
        image.save(HERE / name, **options)
    pixels = numpy.ascontiguousarray(numpy.asarray(rgb))
    for sampling in ("440", "411"):
        data = simplejpeg.encode_jpeg(pixels, quality=80, colorspace="RGB", colorsubsampling=sampling)
        (HERE / f"{sampling}.jpg").write_bytes(data)
    # Pillow writes no YCCK; the same data with another transform in its Adobe segment is read as such.
    data = bytearray((HERE / "cmyk.jpg").read_bytes())
    data[data.index(b"Adobe") + 11] = 2
    (HERE / "ycck.jpg").write_bytes(data)
    lines = []
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".jpg", ".tif", ".png"):
            read = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
            lines.append(f"{path.name} {read.width} {read.height} {hashlib.sha256(read.tobytes()).hexdigest()}\n")
    (HERE / "expected.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
