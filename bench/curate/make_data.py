"""Makes the files that bench/curate/run.py measures on, out of the shared data: copies with other pixels, patients and UIDs.

    pip install numpy pydicom nibabel Pillow pylibjpeg pylibjpeg-openjpeg pyjpegls
    python bench/curate/make_data.py DATA OUT [--count 1000]

DATA is the folder of shared sets. OUT gets a folder for each case, with config.toml and its files: CT slices of 512 x 512 as uncompressed,
JPEG 2000 and JPEG-LS DICOM; the same slices as volumes of 20 with their label map, as .nii and .nii.gz; JPEG and PNG pictures of 64 to
1024 pixels. A copy is its original rolled by some pixels, so that no two files have equal pixels and each costs what the original costs.
"""

import argparse
import io
import pathlib

import nibabel
import numpy
import pydicom
from PIL import Image
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, generate_uid

PICTURES = """[dataset]
name = "{name}"
seed = 1

[[source]]
name = "{name}"
root = "files"
licence = "see the shared sets"
department = "oncology"
modality = "{modality}"
kind = {{ class_folders = {{ images = "{{class}}/{{stem}}.{ending}" }} }}

[[source.attribute]]
key = "finding"
name = {{ en = "finding" }}
task = "disease_diagnosis"
from = "class"
values = [{{ is = "a", en = "first finding" }}, {{ is = "b", en = "second finding" }}]
"""

VOLUMES = """[dataset]
name = "{name}"
seed = 1

[[source]]
name = "{name}"
root = "files"
licence = "see the shared sets"
department = "oncology"
modality = "ct"

[source.kind.nifti_label_map]
volumes = "images/{{stem}}.{ending}"
labels = "labels/{{stem}}.{ending}"
instances = "whole"
slices = {{ every = 1, max_per_axis = 1000, axes = ["axial"], choose = "all", window = {{ fixed = {{ low = -160, high = 240 }} }} }}

[source.regions]
task = "disease_diagnosis"
exhaustive = false
unknown = ["*"]
terms = [{{ is = "1", en = "spleen" }}, {{ is = "5", en = "liver" }}, {{ is = "51", en = "heart" }}]
"""


def rolled(array, index):
    """The copy number `index`: rows and columns moved round."""
    return numpy.roll(array, (7 * index % array.shape[0], 13 * index % array.shape[1]), axis=(0, 1))


def start(out, name, config, **facts):
    folder = out / name
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config.format(name=name, **facts))
    return folder / "files"


def dicom(slices, files, count, syntax):
    for index in range(count):
        original = slices[index % len(slices)]
        copy = pydicom.Dataset()
        copy.update({element.tag: element for element in original if element.tag != 0x7FE00010})
        copy.file_meta = pydicom.dataset.FileMetaDataset()
        copy.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        copy.SOPClassUID = copy.file_meta.MediaStorageSOPClassUID = CTImageStorage
        uid = generate_uid(entropy_srcs=[str(index), syntax])
        copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = uid
        copy.PatientID = f"P{index // 20}"
        copy.StudyInstanceUID = generate_uid(entropy_srcs=[f"study {index // 20}"])
        copy.SeriesInstanceUID = generate_uid(entropy_srcs=[f"series {index // 20}"])
        copy.WindowCenter, copy.WindowWidth = 40, 400
        copy.PixelData = rolled(original.pixel_array, index).tobytes()
        copy["PixelData"].VR = "OW"
        if syntax != ExplicitVRLittleEndian:
            copy.compress(syntax, generate_instance_uid=False)
        path = files / "ab"[index % 2] / f"{index:06}.dcm"
        path.parent.mkdir(exist_ok=True)
        copy.save_as(path, enforce_file_format=True)


def volumes(slices, labels, files, count, ending):
    """Volumes of the slices in the label map's order."""
    stack = numpy.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices], axis=-1)
    stack = stack.transpose(1, 0, 2).astype(numpy.int16)
    marked = numpy.asarray(labels.dataobj).astype(numpy.uint8)
    for folder in ("images", "labels"):
        (files / folder).mkdir(exist_ok=True)
    for index in range(count):
        for folder, array in (("images", stack), ("labels", marked)):
            nibabel.save(nibabel.Nifti1Image(rolled(array, index), labels.affine), files / folder / f"{index:06}.{ending}")


def pictures(originals, files, count, ending):
    for index in range(count):
        image = Image.open(originals[index % len(originals)])
        image = image if image.mode in ("L", "RGB") else image.convert("RGB")
        path = files / "ab"[index % 2] / f"{index:06}.{ending}"
        path.parent.mkdir(exist_ok=True)
        encoded = io.BytesIO()
        options = {"quality": 90} if ending == "jpg" else {}
        Image.fromarray(rolled(numpy.asarray(image), index)).save(encoded, "JPEG" if ending == "jpg" else "PNG", **options)
        path.write_bytes(encoded.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=1000, help="pictures of each case; slices where they are of volumes")
    arguments = parser.parse_args()
    data, out, count = arguments.data, arguments.out, arguments.count
    series = data / "ct-mr-organ-segmentation"
    slices = [pydicom.dcmread(path) for path in sorted((series / "example_ct_dicom").iterdir())]
    slices = sorted((one for one in slices if "PixelData" in one), key=lambda one: one.ImagePositionPatient[2])
    for name, syntax in (("dicom", ExplicitVRLittleEndian), ("jpeg2000", JPEG2000Lossless), ("jpegls", JPEGLSLossless)):
        dicom(slices, start(out, name, PICTURES, modality="ct", ending="dcm"), count, syntax)
    labels = nibabel.load(series / "example_seg_dicom.nii.gz")
    for name, ending in (("nifti", "nii"), ("nifti_gz", "nii.gz")):
        volumes(slices, labels, start(out, name, VOLUMES, ending=ending), max(1, count // len(slices)), ending)
    photos = [*sorted((data / "isic2017-skin").rglob("*.jpg"))[:200], *sorted((data / "mednist").rglob("*.jpeg"))[:40]]
    pictures(photos, start(out, "jpeg", PICTURES, modality="dermoscopy", ending="jpg"), count, "jpg")
    drawn = [*sorted((data / "busi-breast-ultrasound").rglob("*.png"))[:100], *sorted((data / "nih-chestxray14-sample").rglob("*.png"))]
    pictures(drawn, start(out, "png", PICTURES, modality="x_ray", ending="png"), count, "png")


if __name__ == "__main__":
    main()
