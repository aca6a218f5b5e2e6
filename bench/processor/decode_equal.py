"""Says for each picture file below a folder whether our pixels are Pillow's: python bench/processor/decode_equal.py FOLDER...

    cargo build --release -p gmai-imaging --example decode_picture

Exits 1 when a picture differs, or when one of the two reads what the other refuses. Needs Pillow and NumPy.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

EXAMPLE = pathlib.Path(os.environ.get("EXAMPLES", "target/release/examples")) / "decode_picture"
HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"RIFF", b"BM")


def pictures(folders):
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    if file.read(8).startswith(HEADS):
                        yield path


def main():
    paths = list(pictures(sys.argv[1:]))
    counts = {"equal": 0, "refused by both": 0, "different": 0}
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(paths), 100):
            chunk = paths[start : start + 100]
            out = subprocess.run([EXAMPLE, folder, *chunk], capture_output=True, text=True, check=True).stdout
            for index, (path, line) in enumerate(zip(chunk, out.splitlines())):
                try:
                    theirs = numpy.asarray(Image.open(path).convert("RGB"))
                except (OSError, SyntaxError, ValueError):
                    theirs = None
                if line.startswith("error"):
                    kind = "refused by both" if theirs is None else "different"
                else:
                    width, height = map(int, line.split()[1:3])
                    ours = numpy.fromfile(pathlib.Path(folder) / f"{index}.rgb", dtype=numpy.uint8)
                    same = theirs is not None and theirs.shape == (height, width, 3) and (ours == theirs.ravel()).all()
                    kind = "equal" if same else "different"
                counts[kind] += 1
                if kind == "different":
                    print(path, line)
    print(counts)
    sys.exit(counts["different"] > 0)


if __name__ == "__main__":
    main()
