"""Compares what gmai reads from NIfTI, NRRD, MetaImage, slides and DICOM pictures with nibabel, pynrrd, SimpleITK, tifffile and pydicom.

    pip install nibabel==5.4.2 pynrrd==1.1.3 tifffile==2026.3.3 imagecodecs SimpleITK pydicom==3.0.2 numpy
    cargo build --release -p gmai-imaging --example shown
    python bench/imaging/compare_readers.py FOLDER... --program target/release/examples/shown

Volumes: values and affine of the first volume in the nearest RAS order. Slides: every level and associated picture. DICOM: grey pictures
through pydicom's modality and VOI transformations, palettes through its colour tables. Exit code 1 when something differs.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import nibabel
import nrrd
import numpy as np
import pydicom
import tifffile
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def canonical(array, affine):
    """Values and affine in the nearest RAS order."""
    while array.ndim < 3:
        array = array[..., None]
    array = array[(slice(None),) * 3 + (0,) * (array.ndim - 3)]
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(array, dtype=np.float64), affine))
    return image.get_fdata(), image.affine


def volume_reference(path, kind):
    if kind == "nifti":
        image = nibabel.load(path)
        return canonical(np.asarray(image.dataobj), image.affine)
    if kind == "nrrd":
        array, header = nrrd.read(str(path))
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(header["space directions"]).T
        affine[:3, 3] = header["space origin"]
        return canonical(array, LPS_TO_RAS @ affine)
    if kind == "metaimage":
        import SimpleITK

        image = SimpleITK.ReadImage(str(path))
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
        affine[:3, 3] = image.GetOrigin()
        return canonical(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), LPS_TO_RAS @ affine)
    return None


def judge_volume(path, line, folder):
    reference = volume_reference(path, line["kind"])
    if reference is None:
        return None
    values, affine = reference
    ours = np.fromfile(folder / line["volume"]["values"], dtype="<f4").reshape(line["volume"]["dims"], order="F")
    if ours.shape != values.shape:
        return f"DIFFERENT SHAPE {ours.shape} {values.shape}"
    worst = np.nanmax(np.abs(values.astype(np.float32) - ours))
    turned = np.abs(np.asarray(line["volume"]["affine"]) - affine[:3]).max()
    if worst > 1e-5 * max(1.0, np.nanmax(np.abs(values))):
        return f"DIFFERENT values by up to {worst:g}"
    return "equal" if turned < 1e-3 else f"DIFFERENT affine by up to {turned:g}"


def judge_picture(path, line, folder):
    """DICOM pictures as pydicom shows them."""
    dataset = pydicom.dcmread(path, force=True)
    width, height = line["picture"]["size"]
    ours = np.fromfile(folder / line["picture"]["pixels"], dtype=np.uint8).reshape(height, width, 3).astype(int)
    if any("FrameVOILUTSequence" in item for item in dataset.get("SharedFunctionalGroupsSequence", [])):
        return None  # The window stands in a functional group, which pydicom does not apply.
    array = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        array = apply_color_lut(array[0] if array.ndim == 3 else array, dataset)
        theirs = (array >> 8) if array.max() > 255 else array
    elif dataset.PhotometricInterpretation.startswith("MONOCHROME"):
        values = apply_modality_lut(array, dataset).astype(float)
        if "WindowWidth" in dataset:
            shown = apply_windowing(values, dataset)
            low, high = window_range(values, dataset)
        elif "VOILUTSequence" in dataset:
            shown = apply_voi_lut(array, dataset).astype(float)
            low, high = 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
        else:
            shown = values
            counted = values[array != dataset.PixelPaddingValue] if "PixelPaddingValue" in dataset else values
            low, high = counted.min(), counted.max()
        share = np.clip((shown - low) / max(high - low, 1e-9), 0, 1)
        theirs = np.floor(share * 255 + 0.5)[..., None]
        theirs = 255 - theirs if dataset.PhotometricInterpretation == "MONOCHROME1" else theirs
    else:
        return None
    worst = np.abs(ours - theirs).max()
    return "equal" if worst == 0 else "close: up to 1" if worst <= 1 else f"DIFFERENT by up to {worst:g}"


def window_range(values, dataset):
    """What pydicom's windowing gives below and above the window."""
    ends = np.array([[-1e9, 1e9]])
    shown = apply_windowing(ends, dataset)
    return shown.min(), shown.max()


def judge_slide(path, line, folder):
    pages = tifffile.TiffFile(path).pages
    verdicts = []
    # Levels come first, then the other pictures; sizes tell which page each is.
    for part in line["slide"]:
        if "refused" in part:
            verdicts.append(f"REFUSED {part['refused']}")
            continue
        width, height = part["size"]
        page = next(page for page in pages if page.shape[:2] == (height, width))
        ours = np.fromfile(folder / part["pixels"], dtype=np.uint8).reshape(height, width, 3).astype(int)
        worst = np.abs(ours - page.asarray()[..., :3]).max()
        verdicts.append("equal" if worst == 0 else f"DIFFERENT by up to {worst}")
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--program", required=True, help="the built example `shown`")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    paths = [path for folder in arguments.folders for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]
    counts = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as out:
        command = [arguments.program, out, *map(str, paths)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        for path, line in zip(paths, map(json.loads, lines), strict=True):
            verdicts = []
            try:
                if line["slide"]:
                    verdicts += [("slide", verdict) for verdict in judge_slide(path, line, pathlib.Path(out))]
                if "volume" in line:
                    verdicts.append((line["kind"], judge_volume(path, line, pathlib.Path(out))))
                if line.get("kind") == "dicom" and "picture" in line:
                    verdicts.append(("dicom picture", judge_picture(path, line, pathlib.Path(out))))
            except Exception as error:  # What the other reader cannot read is counted, not judged.
                verdicts.append((line.get("kind", "?"), f"not read by the other ({type(error).__name__}: {error})"))
            for kind, verdict in verdicts:
                if verdict is not None:
                    counts[kind][verdict.split(" by ")[0].split(" (")[0]] += 1
                    if verdict != "equal":
                        print(f"{path}: {kind} {verdict}")
    for kind, outcomes in sorted(counts.items()):
        print(f"{kind}: " + ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items())))
    return int(any("DIFFERENT" in word or "REFUSED" in word for outcomes in counts.values() for word in outcomes))


if __name__ == "__main__":
    sys.exit(main())
