"""Loads a converted folder in transformers and compares its logits with reference vectors.

    python scripts/check_hf_llava.py CONVERTED_FOLDER VECTORS.safetensors

Needs torch, transformers and safetensors. Ids hold one image token per picture; it is expanded here, as LlavaProcessor does.
"""
import sys

import torch
from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

TOLERANCE = 2e-4


def expanded(ids, token, count):
    out = []
    for value in ids.flatten().tolist():
        out += [value] * (count if value == token else 1)
    return torch.tensor([out])


def main(folder, vectors):
    model, loading = LlavaForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True, torch_dtype=torch.float32, attn_implementation="eager"
    )
    model.eval()
    problems = {key: value for key, value in loading.items() if value}
    assert not problems, problems
    vectors = load_file(vectors)
    config = model.config
    token = config.image_token_index if hasattr(config, "image_token_index") else config.image_token_id
    worst = 0.0
    with torch.no_grad():
        for case in ("one", "text"):
            ids = expanded(vectors[f"{case}.input_ids"].long(), token, config.image_seq_length)
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if f"{case}.pixel_values" in vectors:
                inputs["pixel_values"] = vectors[f"{case}.pixel_values"]
            # Before 4.48 LLaVA fails on a text without a picture; its language model does not.
            alone = case == "text" and hasattr(model.language_model, "lm_head")
            logits = (model.language_model if alone else model)(**inputs).logits
            wanted = vectors[f"{case}.logits"]
            difference = (logits.reshape(wanted.shape) - wanted).abs().max().item()
            print(f"{case}.logits {tuple(wanted.shape)}: largest difference {difference:.2e}")
            worst = max(worst, difference)
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main(*sys.argv[1:])
