"""Makes the checkpoint that bench/inference/run.py measures: a LLaVA folder with random float32 weights.

    python bench/inference/make_model.py OUT [--seed 1] [--size base|tiny]

`base` is CLIP ViT-B/16 at 336 pixels (768 wide, 12 blocks, 441 patches), a two-layer projector and a Llama decoder of 150 million parameters
(768 wide, 16 blocks, 12 heads on 4 key-value heads, 2048 in the MLP, 32 000 words). `tiny` tries the harness out. Needs torch, transformers 4.46.3.
Tokenizer, template and processor files are there too, so that `gmai chat` and `gmai eval` take the folder.
"""

import argparse
import json
import pathlib

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

SPECIAL = ["<pad>", "<s>", "</s>", "<image>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SIZES = {
    "base": (
        dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, image_size=336, patch_size=16),
        dict(hidden_size=768, intermediate_size=2048, num_hidden_layers=16, num_attention_heads=12, num_key_value_heads=4, vocab_size=32000),
    ),
    "tiny": (
        dict(hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4, image_size=84, patch_size=14),
        dict(hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, vocab_size=400),
    ),
}


def tokenizer():
    """Bytes as words, and the special tokens behind them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={text: index for index, text in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    return made


def randomise(model, seed):
    """Every weight its own values: matrices that keep the scale of what passes, norms near 1, embeddings of the size of a hidden state."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.1 * noise)
            elif name.endswith("embed_tokens.weight"):
                parameter.copy_(noise)
            elif parameter.dim() > 1 and "embed" not in name:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_(0.02 * noise)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=SIZES, default="base")
    options = parser.parse_args()
    vision, text = SIZES[options.size]
    words = tokenizer()
    ids = {token: words.token_to_id(token) for token in SPECIAL}
    text = LlamaConfig(
        **text, max_position_embeddings=2048, pad_token_id=ids["<pad>"], bos_token_id=ids["<s>"], eos_token_id=ids["</s>"]
    )
    config = LlavaConfig(CLIPVisionConfig(**vision), text, image_token_index=ids["<image>"], pad_token_id=ids["<pad>"])
    model = LlavaForConditionalGeneration(config)
    randomise(model, options.seed)
    model.save_pretrained(options.out)

    words.save(str(options.out / "tokenizer.json"))
    write = lambda name, value: (options.out / name).write_text(json.dumps(value, indent=2) + "\n")
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
        "add_bos_token": False, "chat_template": TEMPLATE,
    })
    write("processor_config.json", {
        "processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": vision["patch_size"],
        "vision_feature_select_strategy": "default",
    })
    size = vision["image_size"]
    CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size}).save_pretrained(options.out)

    count = lambda part: sum(parameter.numel() for parameter in part.parameters()) / 1e6
    print(
        f"{options.out}: {count(model):.1f} million parameters: vision {count(model.vision_tower):.1f}, "
        f"projector {count(model.multi_modal_projector):.1f}, language {count(model.language_model):.1f}"
    )


if __name__ == "__main__":
    main()
