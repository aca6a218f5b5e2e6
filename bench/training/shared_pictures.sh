#!/usr/bin/env bash
# The same conversations of instruction tuning with pictures computed anew for each, and shared by several: in turns, three times.
#   bench/training/shared_pictures.sh MODEL DATASET [SHARED [MAX_LENGTH [EPOCHS]]]
# e.g. with the model of a quickstart before its last stage:
#   bench/training/shared_pictures.sh out/quickstart/run/checkpoints/04-deep_alignment out/quickstart/dataset
set -euo pipefail
model="$(cd "$1" && pwd)"
dataset="$(cd "$2" && pwd)"
cd "$(dirname "$0")/../.."
many="${3:-4}"
max_length="${4:-256}"
epochs="${5:-1.0}"
cargo build --release --quiet
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
for shared in 1 "$many"; do
  cat > "$scratch/$shared.toml" <<TOML
name = "shared_pictures"
seed = 7
max_length = $max_length
model = { start_from = "$model" }
[[stage]]
name = "instruction_tuning"
objective = "instruction"
trainable = ["vision", "projector", "language"]
learning_rate = 1e-3
epochs = $epochs
batch_rows = 6
conversations_per_image = $shared
TOML
done
for round in 1 2 3; do
  for shared in 1 "$many"; do
    rm -rf "$scratch/run"
    "${CARGO_TARGET_DIR:-target}/release/gmai" train "$scratch/$shared.toml" --data "$dataset" --out "$scratch/run" 2>&1 |
      grep -a "train instruction_tuning: .* in " | tail -n 1 | sed "s/^ */round $round, $shared to a picture: /"
  done
done
