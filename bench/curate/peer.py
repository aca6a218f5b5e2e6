"""The same job in Python: pydicom, nibabel, Pillow and multiprocessing. run.py starts it; prints one JSON line.

    python bench/curate/peer.py CASE_FOLDER OUT [--workers 2] [--decode-only]

Each worker takes every n-th file: reads it, hashes it, makes 8-bit pictures (window, square pixels, at most 1024 pixels a side), encodes
them (PNG at level 1, Pillow's fastest; JPEG and PNG files stay as they are once they were decoded), and writes them with labels, boxes and
a text to a WebDataset tar of its own, so that no picture passes between processes. What gmai does beyond that is not asked of it:
fingerprints, comparison of all pictures, splits by patient, several conversations a picture, hashes of shards, a manifest.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import pathlib
import resource
import sys
import tarfile
import time

import nibabel
import numpy
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_windowing

MAX_SIDE = 1024
LOW, HIGH = -160.0, 240.0
CLASSES = {1: "spleen", 5: "liver", 51: "heart"}


def png(array):
    encoded = io.BytesIO()
    image = Image.fromarray(array)
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    image.save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def of_dicom(path, content, decode_only):
    dataset = pydicom.dcmread(io.BytesIO(content))
    stored = dataset.pixel_array
    if decode_only:
        return
    values = apply_windowing(apply_modality_lut(stored, dataset), dataset)
    low, high = apply_windowing(numpy.array([-1e9, 1e9]), dataset)
    grey = ((values - low) * (255 / (high - low)) + 0.5).astype(numpy.uint8)
    yield "png", png(grey), {"patient": dataset.PatientID, "label": path.parent.name}


def of_volume(path, content, decode_only):
    image = nibabel.as_closest_canonical(nibabel.load(path))
    values = numpy.asarray(image.dataobj, dtype=numpy.float32)
    label_path = path.parent.parent / "labels" / path.name
    labels = numpy.asarray(nibabel.as_closest_canonical(nibabel.load(label_path)).dataobj)
    if decode_only:
        yield from ((None, b"", {}) for _ in range(values.shape[2]))
        return
    grey = (numpy.clip((values - LOW) / (HIGH - LOW), 0, 1) * 255 + 0.5).astype(numpy.uint8)
    for index in range(grey.shape[2]):
        shown, marked = (numpy.ascontiguousarray(array[::-1, ::-1, index].T) for array in (grey, labels))
        boxes = {}
        for number, name in CLASSES.items():
            inside = marked == number
            rows, columns = numpy.flatnonzero(inside.any(1)), numpy.flatnonzero(inside.any(0))
            if len(rows):
                boxes[name] = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        yield "png", png(shown), {"slice": index, "boxes": boxes}


def of_picture(path, content, decode_only):
    image = Image.open(io.BytesIO(content))
    image.load()
    if decode_only:
        return
    facts = {"label": path.parent.name}
    if max(image.size) > MAX_SIDE:
        yield "png", png(numpy.asarray(image)), facts
    else:
        yield path.suffix[1:], content, facts


def reader(path):
    if path.suffix == ".dcm":
        return of_dicom
    return of_volume if ".nii" in path.name else of_picture


def work(task):
    number, workers, paths, out, decode_only = task
    pictures = written = 0
    archive = None if decode_only else tarfile.open(out / f"train-{number:05}.tar", "w")

    def add(name, content):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))

    for index in range(number, len(paths), workers):
        path = paths[index]
        content = path.read_bytes()
        file_hash = None if decode_only else hashlib.sha256(content).hexdigest()
        made = list(reader(path)(path, content, decode_only))
        pictures += len(made) if made else 1
        for place, (ending, encoded, facts) in enumerate(made if archive else []):
            facts |= {"file": path.name, "sha256": file_hash, "picture": hashlib.sha256(encoded).hexdigest()}
            text = f"<image>\nWhat does the picture show? It shows {facts.get('label') or facts.get('boxes')}."
            key = f"{index:06}_{place:04}"
            add(f"{key}.{ending}", encoded)
            add(f"{key}.json", json.dumps(facts | {"text": text}).encode())
            written += len(encoded)
    if archive:
        archive.close()
    return pictures, written


def seconds():
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, children))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--decode-only", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = arguments.case / "files"
    paths = sorted(path for path in files.rglob("*") if path.is_file() and "labels" not in path.parts)
    tasks = [(number, arguments.workers, paths, arguments.out, arguments.decode_only) for number in range(arguments.workers)]
    # What imports take is not counted.
    wall, processor = time.monotonic(), seconds()
    with multiprocessing.Pool(arguments.workers) as pool:
        results = pool.map(work, tasks, chunksize=1)
        pool.close()
        pool.join()
    wall, processor = time.monotonic() - wall, seconds() - processor
    print(json.dumps({"pictures": sum(one for one, _ in results), "bytes": sum(size for _, size in results), "wall": wall, "processor": processor}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
