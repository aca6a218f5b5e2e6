"""Makes small checkpoints with reference vectors for `gmai model parity`. Opt-in; no test needs it.

    python -m venv venv && venv/bin/pip install torch==2.15.0 transformers==4.46.3
    venv/bin/python scripts/reference_vectors.py OUT
    for folder in OUT/*; do gmai model parity $folder; done

With the GMAI-VL release beside it, checkpoints of its own model code are made too (needs einops==0.8.1):

    git clone https://github.com/uni-medical/GMAI-VL release && git -C release checkout 9f81a15
    venv/bin/python scripts/reference_vectors.py OUT release

Weights are random; nothing is downloaded. One CPU thread, float32, eager attention. Each folder holds a checkpoint as transformers
saves it, `vectors.safetensors` and `vectors.json`. Keys: `one.*` one picture in one row, `text.*` none, `batch.*` three rows
padded on the right (or, in one folder, on the left) with unequal numbers of pictures, `greedy.*` likeliest tokens with the whole row computed again for each,
`stageN.*` AdamW steps on that batch. `vision_hidden.N`: 0 the embeddings, then each block.
"""

import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, MistralConfig,
                          Qwen2Config, SiglipVisionConfig)

IMAGE, PAD, VOCABULARY = 90, 2, 96
CLIP = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=42, patch_size=14)
TEXT = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, pad_token_id=PAD, bos_token_id=1, eos_token_id=PAD)
SIGLIP = dict(CLIP, image_size=45)  # three pixels beyond the last whole patch
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

# name: vision config, text config, settings of the whole, how it is stored
CASES = {
    "clip_llama_llama3_rope": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT, rope_scaling=LLAMA3), {}, {}),
    "clip_llama_linear_rope_biases": (
        CLIPVisionConfig(**CLIP, hidden_act="gelu"),
        LlamaConfig(**TEXT, rope_scaling=dict(rope_type="linear", factor=4.0), attention_bias=True, mlp_bias=True), {}, {}),
    "clip_llama_dynamic_rope_beyond": (
        CLIPVisionConfig(**CLIP),
        LlamaConfig(**dict(TEXT, max_position_embeddings=24), rope_scaling=dict(rope_type="dynamic", factor=2.0)), {}, {}),
    "clip_llama_wide_heads": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT, head_dim=24), dict(vision_feature_layer=-1), {}),
    "clip_mistral_full": (CLIPVisionConfig(**CLIP), MistralConfig(**TEXT, sliding_window=None),
                          dict(vision_feature_select_strategy="full", vision_feature_layer=1), {}),
    "clip_qwen2_tied": (CLIPVisionConfig(**CLIP), Qwen2Config(**TEXT, tie_word_embeddings=True), {}, {}),
    "siglip_qwen2": (SiglipVisionConfig(**SIGLIP), Qwen2Config(**TEXT), dict(vision_feature_select_strategy="full"), {}),
    "siglip_llama_default": (SiglipVisionConfig(**SIGLIP), LlamaConfig(**TEXT), dict(vision_feature_layer=-3), {}),
    "clip_llama_tanh_projector": (CLIPVisionConfig(**CLIP, hidden_act="gelu_pytorch_tanh"), LlamaConfig(**TEXT, hidden_act="gelu"),
                                  dict(projector_hidden_act="gelu_pytorch_tanh"), {}),
    "clip_llama_bf16_shards": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT), {}, dict(dtype=torch.bfloat16, shard="40KB")),
    "clip_llama_f16": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT), {}, dict(dtype=torch.float16)),
    "clip_llama_padded_left": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT), {}, dict(left=True)),
    "clip_llama_many_pictures": (CLIPVisionConfig(**CLIP), LlamaConfig(**TEXT), {}, dict(counts=[1, 4, 2], label_all=True)),
}
INTERNLM2 = dict(TEXT, model_type="internlm2", attn_implementation="eager")
RELEASE_CASES = {
    "gmai_biases_linear_rope": (dict(INTERNLM2, bias=True, rope_scaling=dict(type="linear", factor=2.0)),
                                dict(vision_feature_layer=-1), {}),
    "gmai_dynamic_rope_beyond_full": (
        dict(INTERNLM2, bias=False, max_position_embeddings=24, rope_scaling=dict(type="dynamic", factor=2.0), num_key_value_heads=1),
        dict(vision_feature_select_strategy="full"), {}),
    "gmai_llama_text": (dict(TEXT, model_type="llama"), dict(vision_feature_layer=2), {}),
    "gmai_bf16_shards": (dict(INTERNLM2, bias=False), {}, dict(dtype=torch.bfloat16, shard="40KB")),
}
STAGES = {
    "stage1": (1e-3, ["multi_modal_projector"]),
    "stage2": (1e-4, ["multi_modal_projector", "vision_tower"]),
    "stage3": (1e-5, ["multi_modal_projector", "vision_tower", "language_model"]),
}


def sequence(generator, length, images):
    """Random ids with an end of text somewhere inside; pictures after the first ids, the last one alone at the end of the prompt."""
    ids = torch.randint(5, 80, (length,), generator=generator)
    ids[0] = 1
    ids[length - 3] = PAD
    for index in range(images):
        ids[2 + (index if index < images - 1 else index + 1)] = IMAGE
    return ids


def labels_of(ids, all_labels):
    labels = ids.clone()
    labels[(labels == IMAGE)] = -100
    if not all_labels:
        labels[: len(ids) // 2] = -100
    return labels


def batch(generator, counts, lengths, left, all_labels):
    longest = max(lengths)
    ids = torch.full((len(counts), longest), PAD)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (count, length) in enumerate(zip(counts, lengths)):
        place = slice(longest - length, longest) if left else slice(0, length)
        own = sequence(generator, length, count)
        ids[row, place], mask[row, place], labels[row, place] = own, 1, labels_of(own, all_labels)
    return ids, mask, labels


def rotary_reset(model):
    """The release's dynamic scaling never shrinks its frequencies again after a long row; each case starts anew."""
    buffers = [(module, module.inv_freq.clone()) for module in model.modules() if hasattr(module, "inv_freq")]

    def reset():
        for module, frequencies in buffers:
            module.inv_freq = frequencies.clone()

    return reset


def pictures(generator, count, size):
    return torch.randn(count, 3, size, size, generator=generator)


def vectors(model, generator, counts, left, all_labels):
    out, size = {}, model.config.vision_config.image_size
    ones = torch.ones_like
    reset = rotary_reset(model)
    ids, pixels = sequence(generator, 13, 1)[None], pictures(generator, 1, size)
    labels = labels_of(ids[0], all_labels)[None]
    with torch.no_grad():
        given = model(input_ids=ids, pixel_values=pixels, attention_mask=ones(ids), labels=labels)
        states = model.vision_tower(pixels, output_hidden_states=True).hidden_states
        selected = states[model.config.vision_feature_layer]
        if model.config.vision_feature_select_strategy == "default":
            selected = selected[:, 1:]
        features = model.multi_modal_projector(selected)
        text = torch.randint(5, 80, (1, 11), generator=generator)
        reset()
        text_logits = model.language_model(input_ids=text, attention_mask=ones(text)).logits
    out |= {"one.input_ids": ids, "one.pixel_values": pixels, "one.labels": labels, "one.logits": given.logits,
            "one.loss": given.loss, "one.image_features": features, "text.input_ids": text, "text.logits": text_logits}
    out |= {f"one.vision_hidden.{index}": state for index, state in enumerate(states)}

    reset()
    ids, mask, labels = batch(generator, counts, [12, 14, 9], left, all_labels)
    pixels = pictures(generator, sum(counts), size)
    inputs = dict(input_ids=ids, pixel_values=pixels, attention_mask=mask, labels=labels)
    out |= {f"batch.{name}": value for name, value in inputs.items()}
    given = model(**inputs)
    given.loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    norm = torch.nn.utils.get_total_norm(list(gradients.values()))
    out |= {"batch.logits": given.logits.detach(), "batch.loss": given.loss.detach(), "batch.grad_norm": norm}
    out |= {f"batch.grad.{name}": gradient.clone() for name, gradient in gradients.items()}
    model.zero_grad(set_to_none=True)

    start = {name: value.clone() for name, value in model.state_dict().items()}
    for stage, (rate, parts) in STAGES.items():
        model.load_state_dict(start)
        trained = [p for name, p in model.named_parameters() if name.split(".")[0] in parts]
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in trained:
            parameter.requires_grad_(True)
        optimizer = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
        losses, norms = [], []
        for _ in range(8):
            loss = model(**inputs).loss
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(trained, 1.0))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        out |= {f"{stage}.losses": torch.stack(losses), f"{stage}.grad_norms": torch.stack(norms)}
        name = "multi_modal_projector.linear_1.weight"
        out[f"{stage}.final.{name}"] = model.state_dict()[name].clone()
    model.load_state_dict(start)

    reset()
    ids, pixels = sequence(generator, 10, 1)[None], pictures(generator, 1, size)
    out |= {"greedy.input_ids": ids, "greedy.pixel_values": pixels}
    tokens, scores = [], []
    with torch.no_grad():
        for _ in range(24):
            logits = model(input_ids=ids, pixel_values=pixels, attention_mask=ones(ids)).logits[0, -1]
            masked = logits.clone()
            masked[IMAGE] = -torch.inf
            token = masked.argmax()
            tokens.append(token)
            scores.append(torch.log_softmax(logits, -1)[token])
            ids = torch.cat([ids, token[None, None]], 1)
    return out | {"greedy.tokens": torch.stack(tokens), "greedy.logprobs": torch.stack(scores)}


def randomise(model, generator):
    """Larger weights than a fresh model's, norms and biases too: every setting must leave its mark on the numbers."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name and name.endswith("weight")
            parameter.copy_(1 + 0.1 * noise if is_norm else 0.12 * noise)
        model.tie_weights()


def make(folder, model, seed, stored):
    generator = torch.Generator().manual_seed(seed)
    randomise(model, generator)
    dtype = stored.get("dtype", torch.float32)
    for parameter in model.parameters():  # vectors are computed in f32 from the values that are stored
        parameter.data = parameter.data.to(dtype).to(torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    found = vectors(model, generator, stored.get("counts", [1, 2, 1]), stored.get("left", False), stored.get("label_all", False))
    model.to(dtype).save_pretrained(folder, max_shard_size=stored.get("shard", "5GB"))
    save_file({key: value.contiguous() for key, value in found.items()}, folder / "vectors.safetensors")
    stages = {stage: dict(lr=rate, trainable=parts, steps=8, max_grad_norm=1.0,
                          optimizer="AdamW betas 0.9 0.999 eps 1e-8 weight_decay 0, constant lr")
              for stage, (rate, parts) in STAGES.items()}
    (folder / "vectors.json").write_text(json.dumps({"stages": stages}, indent=2))
    print(folder.name)


def release_classes(checkout):
    """The release's model code, its four files side by side as they lie in a published checkpoint."""
    package = Path(tempfile.mkdtemp()) / "release_code"
    package.mkdir()
    (package / "__init__.py").touch()
    for part in ("llava", "internlm2"):
        for kind in ("configuration", "modeling"):
            shutil.copy(checkout / "xtuner/_lite/modelings" / part / f"{kind}_{part}.py", package)
    sys.path.insert(0, str(package.parent))
    config = importlib.import_module("release_code.configuration_llava").EnhancedLlavaConfig
    return config, importlib.import_module("release_code.modeling_llava").LlavaForConditionalGeneration


def main(out, checkout=None):
    torch.set_num_threads(1)
    for seed, (name, (vision, text, whole, stored)) in enumerate(CASES.items()):
        config = LlavaConfig(vision, text, image_token_index=IMAGE, pad_token_id=PAD, **whole)
        make(Path(out) / name, LlavaForConditionalGeneration._from_config(config, attn_implementation="eager"), seed, stored)
    if checkout is None:
        return
    config_class, model_class = release_classes(Path(checkout))
    for seed, (name, (text, whole, stored)) in enumerate(RELEASE_CASES.items()):
        config = config_class(dict(CLIP), dict(text), image_token_index=IMAGE, pad_token_id=PAD, **whole)
        config._attn_implementation = "eager"
        make(Path(out) / name, model_class(config), 100 + seed, stored)


if __name__ == "__main__":
    main(*sys.argv[1:])
