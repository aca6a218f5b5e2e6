#!/usr/bin/env bash
# The whole system in order, on made-up scans: what each command says of what the one before it made.
#   scripts/tour.sh            runs gmai quickstart first
#   scripts/tour.sh FOLDER     looks at the folder of an earlier quickstart
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --quiet
folder="${1:-out/tour}"

gmai() {
  echo
  echo "\$ gmai $*"
  "${CARGO_TARGET_DIR:-target}/release/gmai" "$@"
}

gmai doctor
[[ -f "$folder/dataset/manifest.json" && -f "$folder/eval/summary.json" ]] || gmai quickstart --out "$folder"

# Datasets in: what lies there, and the pairs that were made of it.
gmai inventory "$folder/scans"
gmai curate "$folder/curate.toml" --out "$folder/dataset"
gmai dataset check "$folder/dataset"
gmai dataset stats "$folder/dataset"
gmai dataset sample "$folder/dataset" --form multiple_choice --count 2

# A trained, measured model.
gmai model info "$folder/run"
gmai eval score "$folder/eval"

# An answer, with the probability of each option.
picture="$(find "$folder/scans/ultrasound/images" -name '*.png' | sort | sed -n 1p)"
gmai chat --model "$folder/run" --image "$picture" "What is the imaging modality of this image?" --option CT --option ultrasound
