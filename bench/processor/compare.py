"""Pictures of 2048 x 2500 pixels, ours and Pillow's in turns: decode, and resize with crop, for a CLIP tile of 336 pixels.

    cargo build --release -p gmai-processor --example resize_speed
    cargo build --release -p gmai-imaging --example decode_picture
    python bench/processor/compare.py [--rounds 7] [--examples target/release/examples]

Needs Pillow and NumPy. Each round measures ours on one thread, Pillow (one thread), ours on all threads; a round's figure is the median of its
15 repetitions, the ratio is taken within the round, and the median over rounds is printed with its range. With transformers installed its
CLIPImageProcessor (resize, crop, rescale, normalise, in NumPy) is measured too.
"""

import argparse
import io
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy
from PIL import Image

WIDTH, HEIGHT, TILE, REPEATS = 2048, 2500, 336, 15


def picture():
    """A smooth picture with texture: what a photograph costs a decoder."""
    generator = numpy.random.default_rng(3)
    coarse = Image.fromarray(generator.integers(0, 256, (40, 32, 3), dtype=numpy.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC)
    noise = generator.integers(-6, 7, (HEIGHT, WIDTH, 3))
    return Image.fromarray(numpy.clip(numpy.asarray(coarse).astype(int) + noise, 0, 255).astype(numpy.uint8))


def median_ms(action):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def pillow_tile(image):
    """What CLIPImageProcessor asks of Pillow, and the centre cut out."""
    height = TILE * HEIGHT // WIDTH
    top = (height - TILE) // 2
    return numpy.asarray(image.resize((TILE, height), Image.BICUBIC))[top : top + TILE]


def ours_tile(examples, raw, threads):
    environment = dict(os.environ)
    if threads:
        environment["RAYON_NUM_THREADS"] = str(threads)
    out = subprocess.run([examples / "resize_speed", raw], env=environment, capture_output=True, text=True, check=True)
    lines = [line.split() for line in out.stdout.splitlines()]
    return {line[0]: (float(line[2]), float(line[5])) for line in lines}


def ours_decode(examples, folder, files):
    times = {}
    for name, path in files.items():
        arguments = [examples / "decode_picture", folder] + [path] * 5
        out = subprocess.run(arguments, capture_output=True, text=True, check=True)
        times[name] = statistics.median(float(line.split()[3]) for line in out.stdout.splitlines())
    return times


def show(name, ours, theirs):
    ratios = [t / o for o, t in zip(ours, theirs)]
    print(
        f"{name:34} ours {statistics.median(ours):7.2f} ms   theirs {statistics.median(theirs):7.2f} ms   "
        f"ratio {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--examples", type=pathlib.Path, default=pathlib.Path("target/release/examples"))
    options = parser.parse_args()
    image = picture()
    try:
        from transformers import CLIPImageProcessor

        clip = CLIPImageProcessor(size={"shortest_edge": TILE}, crop_size=TILE)
    except ImportError:
        clip = None
    columns = {key: [] for key in ("one", "all", "padded", "normalize", "pillow", "clip")}
    decode = {key: [] for key in ("jpeg", "jpeg_ours", "png", "png_ours")}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        raw = folder / "picture.rgb"
        raw.write_bytes(image.tobytes())
        files = {"jpeg": folder / "picture.jpg", "png": folder / "picture.png"}
        for path in files.values():
            image.save(path)
        for _ in range(options.rounds):
            one = ours_tile(options.examples, raw, 1)
            columns["one"].append(one["None"][0])
            columns["padded"].append(one["Square"][0])
            columns["normalize"].append(one["None"][1])
            columns["pillow"].append(median_ms(lambda: pillow_tile(image)))
            columns["all"].append(ours_tile(options.examples, raw, None)["None"][0])
            if clip:
                columns["clip"].append(median_ms(lambda: clip(image, return_tensors="np")))
            times = ours_decode(options.examples, folder, files)
            for name, path in files.items():
                decode[name + "_ours"].append(times[name])
                data = path.read_bytes()
                decode[name].append(median_ms(lambda: Image.open(io.BytesIO(data)).convert("RGB")))
    show("resize and crop, one thread", columns["one"], columns["pillow"])
    show("resize and crop, all threads", columns["all"], columns["pillow"])
    if clip:
        total = [a + b for a, b in zip(columns["one"], columns["normalize"])]
        show("whole CLIPImageProcessor, one thread", total, columns["clip"])
    show("decode JPEG", decode["jpeg_ours"], decode["jpeg"])
    show("decode PNG", decode["png_ours"], decode["png"])
    print(f"padded to a square: {statistics.median(columns['padded']):.2f} ms; normalise: {statistics.median(columns['normalize']):.2f} ms")


if __name__ == "__main__":
    main()
