"""Asks a model in llama.cpp and in gmai the same questions about a picture and compares the greedy answers.

    python scripts/check_llama_cpp.py GMAI_PROGRAM MODEL_FOLDER GGUF_FOLDER PICTURE.png|--text-only [QUESTION ...]

MODEL_FOLDER is what GGUF_FOLDER was converted from. The picture must have the size of a tile, so that neither program scales it.
llama.cpp builds that have its issue 25814 give CLIP's patches other positions: there only answers to text alone are equal.
Needs the package xllamacpp, which brings llama.cpp with mtmd.
"""
import base64
import json
import pathlib
import subprocess
import sys

import xllamacpp

TOKENS = 12
QUESTIONS = ["What does this image show?", "Which organ is this?", "这张图像显示了什么？"]


def server(folder):
    files = sorted(pathlib.Path(folder).glob("*.gguf"))
    parameters = xllamacpp.CommonParams()
    parameters.mmproj.path = str(next(file for file in files if file.name.startswith("mmproj-")))
    parameters.model.path = str(next(file for file in files if not file.name.startswith("mmproj-")))
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.mmproj_use_gpu = False
    parameters.warmup = False
    parameters.fit_params = False
    parameters.cpuparams.n_threads = 2
    parameters.verbosity = 1
    # As exact as llama.cpp computes: by default keys and values are kept in half precision.
    parameters.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(parameters)


def ask_llama_cpp(server, picture, question):
    content = question
    if picture:
        data = base64.b64encode(pathlib.Path(picture).read_bytes()).decode()
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        content = [image, {"type": "text", "text": question}]
    reply = server.handle_chat_completions(
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
    tokens = choice["logprobs"]["content"]
    return [token["id"] for token in tokens], [token["logprob"] for token in tokens], choice["message"]["content"]


def ask_gmai(program, folder, picture, question):
    command = [program, "chat", "--model", folder, "--max-tokens", str(TOKENS)]
    command += ["--image", picture] if picture else []
    command += ["--temperature", "0", "--logprobs", "2", "--json", question]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["answer"]
    tokens = answer["tokens"]
    return [token["chosen"]["id"] for token in tokens], [token["chosen"]["log_probability"] for token in tokens], answer["text"]


def main(program, folder, gguf, picture, *questions):
    running = server(gguf)
    picture = None if picture == "--text-only" else picture
    equal = 0
    questions = questions or QUESTIONS
    for question in questions:
        there = ask_llama_cpp(running, picture, question)
        here = ask_gmai(program, folder, picture, question)
        shorter = min(len(there[0]), len(here[0]))
        common = next((i for i in range(shorter) if there[0][i] != here[0][i]), shorter)
        # gmai also tells the token that ends the turn, and leaves out a space before the first word.
        same = common == shorter and there[2].strip() == here[2].strip()
        equal += same
        worst = max((abs(a - b) for a, b in zip(there[1][:common], here[1][:common])), default=float("nan"))
        print(f"{question}: {'equal' if same else 'different'}; {common} of {shorter} tokens alike, ", end="")
        print(f"log-probabilities differ by at most {worst:.4f}")
        print(f"  llama.cpp {there[2]!r}\n  gmai      {here[2]!r}")
    print(f"{equal} of {len(questions)} answers equal")
    sys.exit(equal != len(questions))


if __name__ == "__main__":
    main(*sys.argv[1:])
