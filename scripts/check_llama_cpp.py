"""Asks a model in llama.cpp and in gmai the same questions about pictures and compares the greedy answers.

    python scripts/check_llama_cpp.py GMAI_PROGRAM MODEL_FOLDER GGUF_FOLDER PICTURE.png ...|--text-only [QUESTION ...]

MODEL_FOLDER is what GGUF_FOLDER was converted from. Pictures must have the size of a tile, so that neither program scales them. llama.cpp comes with
one of two packages; both are asked when both are there:

    xllamacpp                  today's llama.cpp, pictures through its mtmd
    llama-cpp-python==0.3.8    llama.cpp of March 2025, pictures through its llava, before its change 13321

Builds that have llama.cpp's issue 25814 (since change 13321) give CLIP's patches other positions: there only answers to text alone are equal, and
those about pictures with SigLIP.
"""

import base64
import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import sys

TOKENS = 12
THREADS = 2
QUESTIONS = ["What does this image show?", "Which organ is this?", "这张图像显示了什么？"]
MARKER = "<picture>"


def files(folder):
    """The language model's file and mmproj's."""
    found = sorted(pathlib.Path(folder).glob("*.gguf"))
    language, vision = (next(f for f in found if f.name.startswith("mmproj-") == vision) for vision in (False, True))
    return str(language), str(vision)


class Mtmd:
    """The server inside xllamacpp."""

    def __init__(self, folder):
        import xllamacpp

        self.about = f"xllamacpp {getattr(xllamacpp, '__version__', 'of unknown version')}"
        parameters = xllamacpp.CommonParams()
        parameters.model.path, parameters.mmproj.path = files(folder)
        parameters.n_ctx = 2048
        parameters.n_parallel = 1
        parameters.n_gpu_layers = 0
        parameters.mmproj_use_gpu = False
        parameters.warmup = False
        parameters.fit_params = False
        parameters.cpuparams.n_threads = THREADS
        parameters.verbosity = 1
        # As exact as llama.cpp computes: by default keys and values are kept in half precision.
        parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.server = xllamacpp.Server(parameters)

    def ask(self, picture, question):
        content = question
        if picture:
            data = base64.b64encode(pathlib.Path(picture).read_bytes()).decode()
            image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
            # gmai sets a picture on a line of its own; the server puts nothing between a picture and a text.
            content = [image, {"type": "text", "text": f"\n{question}"}]
        reply = self.server.handle_chat_completions(
            {
                "messages": [{"role": "user", "content": content}],
                "max_tokens": TOKENS,
                "temperature": 0,
                "logprobs": True,
                "top_logprobs": 2,
                "cache_prompt": False,
            }
        )
        choice = reply["choices"][0]
        tokens = choice.get("logprobs", {"content": []})["content"]  # an empty answer has none
        return [token["id"] for token in tokens], [token["logprob"] for token in tokens], choice["message"]["content"]


class Llava:
    """llama-cpp-python: the prompt is put together here, from the template in the file, because its handlers bring templates of their own."""

    def __init__(self, folder):
        import jinja2.sandbox
        import llama_cpp
        from llama_cpp import llava_cpp

        self.about = f"llama-cpp-python {llama_cpp.__version__}"
        language, vision = files(folder)
        self.llava = llava_cpp
        f32 = llama_cpp.GGML_TYPE_F32
        self.model = llama_cpp.Llama(
            language, n_ctx=2048, n_threads=THREADS, n_threads_batch=THREADS, type_k=f32, type_v=f32, flash_attn=False, verbose=False
        )
        with quiet():
            self.clip = llava_cpp.clip_model_load(vision.encode(), 0)
        if not self.clip:
            sys.exit(f"{vision}: llama.cpp cannot load it")
        keys = self.model.metadata
        self.template = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
            keys["tokenizer.chat_template"]
        )
        text = lambda key: self.model._model.token_get_text(int(keys[key])) if key in keys else ""
        self.tokens = {"bos_token": text("tokenizer.ggml.bos_token_id"), "eos_token": text("tokenizer.ggml.eos_token_id")}
        self.begins = keys.get("tokenizer.ggml.add_bos_token") == "true"
        self.ends = lambda token: llama_cpp.llama_token_is_eog(self.model._model.vocab, token)

    def ask(self, picture, question):
        import numpy

        content = f"{MARKER}\n{question}" if picture else question
        messages = [{"role": "user", "content": content}]
        prompt = self.template.render(messages=messages, add_generation_prompt=True, **self.tokens)
        self.model.reset()
        self.model._ctx.kv_cache_clear()
        for index, piece in enumerate(prompt.split(MARKER)):
            if index > 0:
                self.read_picture(picture)
            self.model.eval(self.model.tokenize(piece.encode(), add_bos=self.begins and index == 0, special=True))
        tokens, scores = [], []
        for _ in range(TOKENS):
            logits = numpy.ctypeslib.as_array(self.model._ctx.get_logits(), shape=(self.model.n_vocab(),)).astype(numpy.float64)
            token = int(logits.argmax())
            if self.ends(token):
                break
            tokens.append(token)
            scores.append(float(logits[token] - logits.max() - numpy.log(numpy.exp(logits - logits.max()).sum())))
            self.model.eval([token])
        return tokens, scores, self.model.detokenize(tokens).decode(errors="replace")

    def read_picture(self, picture):
        data = pathlib.Path(picture).read_bytes()
        bytes_ = (ctypes.c_ubyte * len(data)).from_buffer_copy(data)
        with quiet():
            embedded = self.llava.llava_image_embed_make_with_bytes(self.clip, THREADS, bytes_, len(data))
            past = ctypes.c_int(self.model.n_tokens)
            self.llava.llava_eval_image_embed(self.model.ctx, embedded, self.model.n_batch, ctypes.byref(past))
            self.llava.llava_image_embed_free(embedded)
        self.model.n_tokens = past.value


@contextlib.contextmanager
def quiet():
    """clip.cpp prints what it does, whatever it is told."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        for number, copy in zip((1, 2), kept):
            os.dup2(copy, number)
            os.close(copy)


def engines(folder):
    found = []
    for engine in (Llava, Mtmd):
        with contextlib.suppress(ImportError):
            found.append(engine(folder))
    return found or sys.exit("needs the package xllamacpp or llama-cpp-python")


def ask_gmai(program, folder, picture, question):
    command = [program, "chat", "--model", folder, "--max-tokens", str(TOKENS)]
    command += ["--image", picture] if picture else []
    command += ["--temperature", "0", "--logprobs", "2", "--json", question]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["answer"]
    tokens = answer["tokens"]
    return [token["chosen"]["id"] for token in tokens], [token["chosen"]["log_probability"] for token in tokens], answer["text"]


def compare(name, there, here):
    """Prints how two answers differ; whether they are the same."""
    shorter = min(len(there[0]), len(here[0]))
    common = next((i for i in range(shorter) if there[0][i] != here[0][i]), shorter)
    # gmai also tells the token that ends the turn, and leaves out a space before the first word.
    same = common == shorter and there[2].strip() == here[2].strip()
    worst = max((abs(a - b) for a, b in zip(there[1][:common], here[1][:common])), default=float("nan"))
    print(f"  {name}: {'equal' if same else 'different'}; {common} of {shorter} tokens alike, ", end="")
    print(f"log-probabilities differ by at most {worst:.4f}\n    {there[2]!r}")
    return same


def main(program, folder, gguf, *rest):
    pictures = [value for value in rest if pathlib.Path(value).is_file()]
    questions = [value for value in rest if value not in pictures and value != "--text-only"] or QUESTIONS
    if not pictures and "--text-only" not in rest:
        sys.exit("name a picture, or --text-only")
    running = engines(gguf)
    equal, asked = [0] * len(running), 0
    for picture in pictures or [None]:
        for question in questions:
            here = ask_gmai(program, folder, picture, question)
            asked += 1
            print(f"{picture or 'text'}: {question}\n  gmai\n    {here[2]!r}")
            for index, engine in enumerate(running):
                equal[index] += compare(engine.about, engine.ask(picture, question), here)
    for engine, count in zip(running, equal):
        print(f"{engine.about}: {count} of {asked} answers equal")
    sys.exit(any(count != asked for count in equal))


if __name__ == "__main__":
    main(*sys.argv[1:])
