"""Compares what gmai decodes from DICOM files with pydicom and its decoders, sample by sample, and prints a table.

    pip install pydicom==3.0.2 pylibjpeg==2.1.0 pylibjpeg-libjpeg pylibjpeg-openjpeg pylibjpeg-rle python-gdcm pyjpegls imagecodecs numpy
    cargo build --release -p gmai-imaging --example stored
    python bench/imaging/compare_decoders.py FOLDER... --program target/release/examples/stored

Every file below the folders that pydicom can parse and that has pixels is compared; each of pydicom's plugins for the transfer syntax is
tried. `equal` means that some plugin gives the same shape and the same numbers; otherwise the largest difference to the nearest one is
shown. Colour is compared as RGB, palette images as indices. Exit code 1 when a file differs or is refused by gmai alone.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import imagecodecs
import numpy as np
import pydicom
from pydicom.pixels import get_decoder, pixel_array

# Colour by the cosine transform: decoders differ in how they round and interpolate.
CLOSE = 2


def files_below(folders):
    for folder in folders:
        path = pathlib.Path(folder)
        yield from sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())


def reference(path):
    """The transfer syntax, and for each plugin its array or the words with which it refused."""
    dataset = pydicom.dcmread(path, force=True)
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return None
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        dataset.file_meta = getattr(dataset, "file_meta", None) or pydicom.dataset.FileMetaDataset()
        is_implicit = dataset.original_encoding[0]
        syntax = pydicom.uid.ImplicitVRLittleEndian if is_implicit else pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    arrays = {}
    try:
        plugins = get_decoder(syntax).available_plugins if syntax.is_compressed else ("",)
    except NotImplementedError:
        plugins = ("",)
    for plugin in plugins or ("",):
        try:
            arrays[plugin or "numpy"] = pixel_array(dataset, decoding_plugin=plugin)
        except Exception as error:  # Whatever a plugin raises is its answer.
            arrays[plugin or "numpy"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if syntax == pydicom.uid.JPEGExtended12Bit and dataset.get("NumberOfFrames", 1) in (1, None):
        # pydicom's plugins round 12 bits in other ways or refuse; libjpeg-turbo is what the rest of the field decodes by.
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        arrays["libjpeg-turbo"] = imagecodecs.jpeg_decode(frame)
    return syntax, arrays


def shaped(array, shape):
    """An array in the shape (frames, rows, columns, channels), or None."""
    return array.reshape(shape) if array.size == np.prod(shape) else None


def judge(ours, folder, arrays):
    """One word or more on a file, and whether it is fine."""
    decoded = {name: array for name, array in arrays.items() if not isinstance(array, str)}
    if "refused" in ours:
        return (f"REFUSED ({ours['refused']})", False) if decoded else (f"both refuse ({ours['refused']})", True)
    if not decoded:
        return f"only gmai reads it ({'; '.join(arrays.values())})", True
    values = np.fromfile(folder / ours["values"], dtype="<f4").reshape(ours["shape"])
    nearest = None
    for name, array in decoded.items():
        array = shaped(array, ours["shape"])
        if array is None:
            continue
        difference = np.abs(array.astype(np.float64) - values)
        if array.dtype.itemsize >= 4:
            # Our numbers are 32-bit floats.
            difference = np.abs(array.astype(np.float32) - values)
        worst = float(np.nanmax(difference))
        if nearest is None or worst < nearest[0]:
            nearest = (worst, name, float((difference > 0).mean()))
    if nearest is None:
        return f"DIFFERENT SHAPE {ours['shape']}, {[array.shape for array in decoded.values()]}", False
    worst, name, share = nearest
    if worst == 0:
        return f"equal ({name})", True
    word = "close" if worst <= CLOSE else "DIFFERENT"
    return f"{word}: up to {worst:g} in {share:.2%} of samples ({name})", worst <= CLOSE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--program", required=True, help="the built example `stored`")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = []
    for path in files_below(arguments.folders):
        try:
            found = reference(path)
        except Exception as error:
            print(f"{path}: not read by pydicom ({type(error).__name__})")
            continue
        if found is not None:
            cases.append((path, *found))
    counts = collections.defaultdict(collections.Counter)
    is_fine = True
    with tempfile.TemporaryDirectory() as out:
        command = [arguments.program, out, *(str(path) for path, _, _ in cases)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        for (path, syntax, arrays), line in zip(cases, lines, strict=True):
            words, fine = judge(json.loads(line), pathlib.Path(out), arrays)
            counts[f"{syntax} {syntax.name}"][words.split(" (")[0].split(":")[0].split(" [")[0]] += 1
            is_fine &= fine
            print(f"{path}: {words}")
    print()
    for syntax, outcomes in sorted(counts.items()):
        print(f"{syntax}: " + ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items())))
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
