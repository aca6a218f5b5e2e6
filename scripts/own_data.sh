#!/usr/bin/env bash
# docs/guide/own-data.md on made-up scans: from a folder of DICOM and a table to a checked dataset, its sheets and its exports.
#   scripts/own_data.sh FOLDER     FOLDER is of an earlier `gmai quickstart`
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --quiet
scans="$(cd "$1/scans" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

gmai() {
  echo
  echo "\$ gmai $*"
  "${CARGO_TARGET_DIR:-target}/release/gmai" "$@"
}

mkdir "$work/hospital"
cp -r "$scans/ct" "$work/hospital/dicom"
cp "$scans/ct_labels.csv" "$work/hospital/labels.csv"

# What is there, and a config that already runs; then what files cannot tell.
gmai inventory "$work/hospital" --out "$work/inventory"
sed -e 's/^seed = 1$/&\ndeidentify = { burned_in = "quarantine", names = "pseudonyms", key = "project.key" }/' \
  -e 's/licence = "not stated".*/licence = "CC0-1.0"/' \
  -e 's/department = .*/department = "gastroenterology_hepatology"/' \
  -e 's/^files = .*dicom.*/&\nslices = { max_per_axis = 3, window = "abdomen" }/' \
  -e 's/name = { en = "finding" }.*/name = { en = "finding", zh = "影像表现" }/' \
  -e 's/task = "attribute_recognition".*/task = "disease_diagnosis"/' \
  -e 's/en = "liver lesion" }/en = "liver lesion", zh = "肝脏病灶" }/' \
  -e 's/en = "normal" }/en = "no abnormality", zh = "未见异常" }/' \
  "$work/inventory/draft.toml" > "$work/hospital.toml"
if grep -n 'not stated\|attribute_recognition' "$work/hospital.toml"; then
  echo "the draft has other lines than the guide says" >&2
  exit 1
fi

gmai curate "$work/hospital.toml" --out "$work/dataset" --licence-policy redistributable
gmai dataset check "$work/dataset" --sheet "$work/check.html"
gmai dataset review "$work/dataset" --out "$work/review.html"
gmai dataset stats "$work/dataset" --out "$work/card.html"
for layout in llava sharegpt openai webdataset gmai-vl list; do
  gmai dataset export "$work/dataset" --to "$layout" --out "$work/$layout"
done

# An untouched export comes back as the very same dataset.
gmai dataset import "$work/sharegpt" --from sharegpt --out "$work/again"
cmp "$work/dataset/manifest.json" "$work/again/manifest.json"

# No folder name of a patient is left in the dataset.
if grep -rlE 'CT0[0-9][0-9]' "$work/dataset"; then
  echo "patients' folder names are in the dataset" >&2
  exit 1
fi

# The same scans without identifiers, for passing on; then nobody can lead them back.
gmai deid run "$work/hospital" --out "$work/clean" --key "$work/project.key"
gmai deid forget "$work/project.key"
[[ ! -e "$work/project.key" ]]
