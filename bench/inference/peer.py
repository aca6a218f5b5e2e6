"""PyTorch and transformers behind the protocol of bench/inference/run.py; started by it, once for each way to compute attention.

    python bench/inference/peer.py MODEL_FOLDER sdpa|eager THREADS

Reads one command a line, answers one JSON line: see crates/infer/examples/inference_speed.rs, which takes the same commands.
"""

import json
import sys
import time

import numpy
import torch
import transformers
from transformers import DynamicCache, LlavaForConditionalGeneration


class Peer:
    def __init__(self, folder, attention):
        self.model = LlavaForConditionalGeneration.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation=attention)
        self.model.eval()
        config = self.model.config
        self.layer, self.strategy = config.vision_feature_layer, config.vision_feature_select_strategy
        self.image_token = config.image_token_index
        self.all_blocks = self.model.vision_tower.vision_model.encoder.layers

    def load(self, command):
        """The input: pixels of one picture and a prompt with places for its features."""
        size = self.model.config.vision_config.image_size
        pixels = numpy.fromfile(command["pixels"], dtype="<f4").reshape(1, 3, size, size)
        self.pixels = torch.from_numpy(pixels)
        self.input_ids = torch.tensor([command["input_ids"]])
        self.features = self.encode()
        return {}

    def encode(self):
        """What transformers does: all blocks, of whose states one is taken."""
        return self.model.get_image_features(
            pixel_values=self.pixels, vision_feature_layer=self.layer, vision_feature_select_strategy=self.strategy
        )

    def encode_needed(self):
        """The same without the blocks behind the one whose state is taken: not what transformers does, but the same work as gmai's."""
        encoder = self.model.vision_tower.vision_model.encoder
        encoder.layers = self.all_blocks[: len(self.all_blocks) + 1 + self.layer]
        hidden = self.model.vision_tower.vision_model.embeddings(self.pixels)
        hidden = encoder(self.model.vision_tower.vision_model.pre_layrnorm(hidden)).last_hidden_state
        encoder.layers = self.all_blocks
        return self.model.multi_modal_projector(hidden[:, 1:] if self.strategy == "default" else hidden)

    def prefill(self):
        """Logits of the last position, and the cache."""
        embedded = self.model.get_input_embeddings()(self.input_ids)
        places = (self.input_ids == self.image_token).unsqueeze(-1).expand_as(embedded)
        embedded = embedded.masked_scatter(places, self.features)
        out = self.model.language_model(
            inputs_embeds=embedded, past_key_values=DynamicCache(), use_cache=True, num_logits_to_keep=1
        )
        return out.logits[0, -1], out.past_key_values

    def decode(self, logits, cache, count):
        """Greedy tokens, each read with the cache."""
        tokens = []
        for _ in range(count):
            token = logits.argmax()
            tokens.append(int(token))
            out = self.model.language_model(input_ids=token.view(1, 1), past_key_values=cache, use_cache=True, num_logits_to_keep=1)
            logits, cache = out.logits[0, -1], out.past_key_values
        return tokens, logits

    def outputs(self, command):
        features = self.encode()
        logits, cache = self.prefill()
        first = logits.clone()
        tokens, last = self.decode(logits, cache, command["tokens"])
        for name, value in dict(features=features, prefill=first, last=last).items():
            value.float().numpy().astype("<f4").tofile(f"{command['out']}.{name}")
        return {"tokens": tokens}

    def time(self, command):
        kind = command["kind"]
        if kind == "decode":
            logits, cache = self.prefill()
            run = lambda: self.decode(logits, cache, command["tokens"])
        else:
            run = {"encode": self.encode, "encode_needed": self.encode_needed, "prefill": self.prefill}[kind]
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main(folder, attention, threads):
    torch.set_num_threads(int(threads))
    started = time.perf_counter()
    peer = Peer(folder, attention)
    ready = {"name": f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {attention}"}
    print(json.dumps(ready | {"load_seconds": time.perf_counter() - started}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            command = json.loads(line)
            print(json.dumps(getattr(peer, command["do"])(command)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
