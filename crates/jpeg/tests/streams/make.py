"""Makes small streams of every kind that `decode_samples` and `decode_jpeg_ls` read, with libjpeg-turbo and CharLS, and writes what those
libraries decode from them to expected.txt: name, columns, rows, channels, sha256 of the samples as little-endian words.

    pip install imagecodecs==2026.3.6 pyjpegls==1.5.1 numpy && python make.py
"""
import hashlib
import pathlib

import imagecodecs
import jpeg_ls
import numpy as np

FOLDER = pathlib.Path(__file__).parent
ROWS, COLUMNS = 23, 37


def picture(bits, channels, seed):
    """A ramp with a flat part (runs), edges and noise, over the whole range."""
    random = np.random.default_rng(seed)
    top = 2**bits - 1
    x, y = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    planes = []
    for channel in range(channels):
        plane = top * (x + (channel + 1) * y) / (COLUMNS + channels * ROWS)
        plane += random.normal(0, top / 60, plane.shape)
        plane[4:9, 5:30] = top
        plane[10:20, 12:] = top // 3
        plane[12:14, 20:22] = 0
        planes.append(np.clip(np.round(plane), 0, top))
    array = np.stack(planes, axis=-1).astype(np.uint8 if bits <= 8 else np.uint16)
    return array[..., 0] if channels == 1 else array


def keep(lines, name, stream, decoded):
    (FOLDER / name).write_bytes(stream)
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    digest = hashlib.sha256(np.ascontiguousarray(decoded).astype("<u2").tobytes()).hexdigest()
    lines.append(f"{name} {decoded.shape[1]} {decoded.shape[0]} {channels} {digest}")


def lossless(lines):
    for predictor in range(1, 8):
        for bits in (8, 12, 16):
            array = picture(bits, 1, predictor)
            stream = imagecodecs.jpeg_encode(array, lossless=True, predictor=predictor, bitspersample=bits)
            assert np.array_equal(imagecodecs.jpeg_decode(stream), array)
            keep(lines, f"lossless_p{predictor}_{bits}.jpg", stream, array)
    array = picture(8, 3, 8)
    stream = imagecodecs.jpeg_encode(array, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB")
    assert np.array_equal(imagecodecs.jpeg_decode(stream), array)
    keep(lines, "lossless_rgb.jpg", stream, array)


def twelve_bits(lines):
    for level in (40, 95):
        stream = imagecodecs.jpeg_encode(picture(12, 1, level), level=level, bitspersample=12)
        keep(lines, f"grey12_q{level}.jpg", stream, imagecodecs.jpeg_decode(stream))


def jpeg_ls_streams(lines):
    for bits in (8, 10, 12, 16):
        for near in (0, 3):
            array = picture(bits, 1, bits)
            # The largest value in use decides how many bits CharLS gives a sample.
            stream = bytes(jpeg_ls.encode_array(array, lossy_error=near))
            keep(lines, f"grey{bits}_near{near}.jls", stream, imagecodecs.jpegls_decode(stream))
    for interleave in (1, 2):
        for bits in (8, 16):
            for near in (0, 2):
                array = picture(bits, 3, interleave)
                stream = bytes(jpeg_ls.encode_array(array, lossy_error=near, interleave_mode=interleave))
                keep(lines, f"rgb{bits}_ilv{interleave}_near{near}.jls", stream, imagecodecs.jpegls_decode(stream))


if __name__ == "__main__":
    lines = []
    lossless(lines)
    twelve_bits(lines)
    jpeg_ls_streams(lines)
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")
