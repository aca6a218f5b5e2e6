"""Reads a dataset folder and its exports with programs that know nothing of gmai: datasets, duckdb, webdataset. Opt-in, not part of any test.

    pip install datasets duckdb pillow webdataset
    python scripts/check_readable.py out/open-data [--gmai target/release/gmai]

Last run with datasets 5.2, duckdb 2.0, webdataset 1.0 on the quickstart's dataset: all equal (versions are printed). Ends with `all equal`, or with the first difference.
With --gmai, the exports are made in a temporary folder and read, too.
"""

import argparse
import hashlib
import io
import json
import pathlib
import subprocess
import tempfile
import zipfile

import datasets
import duckdb
from PIL import Image


def open_picture(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture.size


def by_datasets(folder, manifest):
    """Rows by split as `datasets` gives them: conversations, and pictures decoded by its Image feature."""
    files = {}
    for shard in manifest["shards"]:
        files.setdefault(shard["split"], []).append(str(folder / shard["file"]))
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=tempfile.mkdtemp())
    rows = {}
    for split, table in loaded.items():
        feature = table.features["images"]
        inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
        assert isinstance(inner, datasets.Image), f"images is {feature}, not a list of Image"
        for row in table:
            sizes = [picture.size for picture in row["images"]]
            rows[row["id"]] = (split, [(turn["from"], turn["value"]) for turn in row["conversations"]], sizes)
        assert table.num_rows == sum(shard["rows"] for shard in manifest["shards"] if shard["split"] == split)
    return rows


def by_duckdb(folder):
    """The same rows by DuckDB, pictures decoded by Pillow from the bytes column."""
    rows = {}
    query = f"select id, split, conversations, images from read_parquet('{folder}/*.parquet')"
    cursor = duckdb.connect().execute(query)
    while batch := cursor.fetchmany(100):
        for identity, split, turns, images in batch:
            for image in images:
                assert hashlib.sha256(image["bytes"]).hexdigest() == image["path"].split(".")[0], image["path"]
            sizes = [open_picture(image["bytes"]) for image in images]
            rows[identity] = (split, [(turn["from"], turn["value"]) for turn in turns], sizes)
    return rows


def check(name, expected, found):
    assert len(expected) == len(found), f"{name}: {len(found)} rows, expected {len(expected)}"
    for identity, row in expected.items():
        assert found[identity] == row, f"{name}: row {identity}\n  expected {row}\n  found    {found[identity]}"
    print(f"{name}: {len(found)} rows equal")


def llava_row(folder, record, split, archives=None):
    images = record.get("image", [])
    images = [images] if isinstance(images, str) else images
    data = [archives(image) if archives else (folder / image).read_bytes() for image in images]
    turns = [(turn["from"], turn["value"]) for turn in record["conversations"]]
    return json.loads(record["gmai"])["conversation"]["id"], (split, turns, [open_picture(item) for item in data])


def exports(gmai, folder, expected):
    with tempfile.TemporaryDirectory() as scratch:
        out = {}
        for kind in ["llava", "sharegpt", "openai", "webdataset", "gmai-vl", "list"]:
            out[kind] = pathlib.Path(scratch) / kind
            subprocess.run([gmai, "dataset", "export", folder, "--to", kind, "--out", out[kind]], check=True, capture_output=True)
        rows = {}
        for path in out["llava"].glob("*.json"):
            if path.stem in ("train", "validation", "test"):
                rows.update(llava_row(out["llava"], record, path.stem) for record in json.loads(path.read_text()))
        check("llava", expected, rows)

        # As LLaMA-Factory: columns and tags from dataset_info.json, the file through datasets' JSON reader.
        rows = {}
        for entry in json.loads((out["sharegpt"] / "dataset_info.json").read_text()).values():
            columns, tags = entry["columns"], entry["tags"]
            path = out["sharegpt"] / entry["file_name"]
            table = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=tempfile.mkdtemp())
            for row in table:
                turns = [(turn[tags["role_tag"]], turn[tags["content_tag"]]) for turn in row[columns["messages"]]]
                system = [("system", row[columns["system"]])] if row[columns["system"]] else []
                sizes = [open_picture((out["sharegpt"] / image).read_bytes()) for image in row[columns["images"]]]
                assert sum(text.count("<image>") for _, text in turns) == len(sizes)
                rows[row["id"]] = (path.stem, system + turns, sizes)
        check("sharegpt", expected, rows)

        names = {"user": "human", "assistant": "gpt", "system": "system"}
        rows = {}
        for path in out["openai"].glob("*.jsonl"):
            if path.stem not in ("train", "validation", "test"):
                continue
            for line in path.read_text().splitlines():
                record, turns, sizes = json.loads(line), [], []
                for message in record["messages"]:
                    parts = message["content"]
                    parts = [{"type": "text", "text": parts}] if isinstance(parts, str) else parts
                    text = "".join(part["text"] if part["type"] == "text" else "<image>" for part in parts)
                    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
                    sizes += [open_picture((out["openai"] / url).read_bytes()) for url in urls]
                    turns.append((names[message["role"]], text))
                rows[record["id"]] = (path.stem, turns, sizes)
        check("openai", expected, rows)

        import webdataset

        rows = {}
        for path in sorted(out["webdataset"].glob("*.tar")):
            for sample in webdataset.WebDataset(str(path), shardshuffle=False):
                record = json.loads(sample["json"])
                pictures = [sample[key] for key in sorted(sample) if key.split(".")[-1] in ("png", "jpg")]
                turns = [(turn["from"], turn["value"]) for turn in record["conversations"]]
                rows[record["id"]] = (path.name.split("-")[0], turns, [open_picture(data) for data in pictures])
        check("webdataset", expected, rows)

        zips = [zipfile.ZipFile(path) for path in sorted((out["gmai-vl"] / "zips").glob("*.zip"))]
        where = {name: archive for archive in zips for name in archive.namelist()}
        member = lambda image: where[image.removeprefix("images/")].read(image.removeprefix("images/"))
        rows = {}
        for path in (out["gmai-vl"] / "annotations").glob("*.jsonl"):
            lines = map(json.loads, path.read_text().splitlines())
            rows.update(llava_row(out["gmai-vl"], record, path.name.split("_part_")[0], member) for record in lines)
        check("gmai-vl", expected, rows)

        rows = {}
        for split, name in [("train", "list.json"), ("validation", "list.validation.json"), ("test", "list.test.json")]:
            path = out["list"] / name
            for entry in json.loads(path.read_text()).values() if path.exists() else []:
                lines = (out["list"] / entry["annotations"]).read_text().splitlines()
                assert len(lines) == entry["length"]
                root = out["list"] / entry["image_dir"]
                rows.update(llava_row(root, json.loads(line), split) for line in lines)
        check("list", expected, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--gmai", help="the program, to check its exports, too")
    arguments = parser.parse_args()
    print("datasets", datasets.__version__, "duckdb", duckdb.__version__)
    manifest = json.loads((arguments.folder / "manifest.json").read_text())
    expected = by_datasets(arguments.folder, manifest)
    check("duckdb", expected, by_duckdb(arguments.folder))
    if arguments.gmai:
        exports(arguments.gmai, arguments.folder, expected)
    print("all equal")


if __name__ == "__main__":
    main()
