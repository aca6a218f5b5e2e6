"""gmai beside PyTorch with transformers on the CPU, in turns on the same model, picture and prompt: time and memory of answering.

    cargo build --release -p gmai-infer --example inference_speed
    python bench/inference/make_model.py MODEL
    python bench/inference/run.py MODEL --python PYTHON [--rounds 5] [--out FILE.json]

PYTHON has torch and transformers 4.46.3. Three processes stay loaded: gmai, PyTorch with `sdpa`, PyTorch with `eager` attention. First their
image features, logits and greedy tokens are compared; if they differ by more than float32 rounding nothing is measured. Then each round measures every
quantity in every process, beginning with another one each time. A ratio is gmai's time over the faster PyTorch's of the same round; below 1 gmai is
faster. The median of the rounds is printed with its range.

encode         one picture through tower and projector
encode_needed  the same; PyTorch too leaves out the blocks behind the one whose state is taken, which transformers computes
prefill        the prompt with the picture's features in place; logits of its last position
decode         greedy tokens one by one, with the cache of the prefill
memory         highest resident size from the first measurement to the last, weights included

A measurement begins when the rest of the machine leaves the processors alone (--idle), or after ten seconds; what others took meanwhile is told.
Needs NumPy and Linux' /proc.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

KINDS = ("encode", "encode_needed", "prefill", "decode")
TICK = os.sysconf("SC_CLK_TCK")
FEATURES, LOGITS = 2e-4, 2e-3  # of the largest value: rounding of float32 through all blocks


def busy_seconds():
    """Processor time that the whole machine has used."""
    fields = open("/proc/stat").readline().split()[1:9]
    user, nice, system, _idle, _wait, interrupt, soft, stolen = map(int, fields)
    return (user + nice + system + interrupt + soft + stolen) / TICK


def wait_for_quiet(limit, patience=10.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = busy_seconds()
        time.sleep(0.2)
        if (busy_seconds() - before) / 0.2 <= limit:
            return


class Process:
    """One engine behind the protocol."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def used(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def measure(self, kind, tokens):
        busy, own = busy_seconds(), self.used()
        taken = self.ask(do="time", kind=kind, tokens=tokens)
        taken["others"] = max(0.0, busy_seconds() - busy - (self.used() - own))
        return taken

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak_bytes(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def prompt(config, num_tokens):
    """Some text, the picture, some text: ids that depend on nothing but the config."""
    vision, text = config["vision_config"], config["text_config"]
    places = (vision["image_size"] // vision["patch_size"]) ** 2
    if num_tokens <= places:
        sys.exit(f"the picture takes {places} places, --prompt must be longer")
    generator = numpy.random.default_rng(5)
    words = [int(word) for word in generator.integers(0, min(250, text["vocab_size"]), num_tokens - places)]
    return words[:8] + [config["image_token_index"]] * places + words[8:]


def compare(outputs, folder, ours, theirs):
    """The largest differences as shares of the largest value; sys.exit where the engines do not compute the same."""
    found = {}
    for name, limit in (("features", FEATURES), ("prefill", LOGITS), ("last", LOGITS)):
        a, b = (numpy.fromfile(folder / f"{who}.{name}", dtype="<f4") for who in (ours, theirs))
        if a.shape != b.shape:
            sys.exit(f"{name}: {a.shape} values, {theirs} has {b.shape}")
        found[name] = float(numpy.abs(a - b).max() / numpy.abs(b).max())
        if not found[name] <= limit:
            sys.exit(f"{name} differ from {theirs} by {found[name]:.2e} of the largest value, more than {limit}")
    if outputs[ours]["tokens"] != outputs[theirs]["tokens"]:
        sys.exit(f"tokens differ: {outputs[ours]['tokens']}, {theirs} {outputs[theirs]['tokens']}")
    return found


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def report(rounds, memory, peers):
    """A table for people, and the same numbers for a file."""
    result = {}
    heads = ("", "gmai, s", "PyTorch, s", "gmai / PyTorch", "processor time", "others")
    print(f"{heads[0]:14} {heads[1]:>26} {heads[2]:>26} {heads[3]:>22} {heads[4]:>22} {heads[5]:>7}")
    for kind in KINDS:
        of = lambda who, what: [one[kind][who][what] for one in rounds]
        fastest = min(peers, key=lambda who: statistics.median(of(who, "wall")))
        ratio = [a / min(one[kind][who]["wall"] for who in peers) for one, a in zip(rounds, of("gmai", "wall"))]
        cpu = [a / b for a, b in zip(of("gmai", "cpu"), of(fastest, "cpu"))]
        others = max(one[kind][who]["others"] / (one[kind][who]["wall"] * os.cpu_count()) for one in rounds for who in one[kind])
        print(
            f"{kind:14} {spread(of('gmai', 'wall'), 3):>26} {spread(of(fastest, 'wall'), 3):>26} {spread(ratio):>22} {spread(cpu):>22} "
            f"{others:>6.0%}  ({fastest})"
        )
        result[kind] = {
            "seconds": {who: of(who, "wall") for who in rounds[0][kind]},
            "processor_seconds": {who: of(who, "cpu") for who in rounds[0][kind]},
            "faster_peer": fastest, "ratios": ratio, "ratio": statistics.median(ratio), "others": others,
        }
    least = min(peers, key=memory.get)
    ratio = memory["gmai"] / memory[least]
    print(f"{'memory, MB':14} {memory['gmai'] / 1e6:>26.0f} {memory[least] / 1e6:>26.0f} {ratio:>22.2f} {'':>30}  ({least})")
    return result | {"memory": {"bytes": memory, "faster_peer": least, "ratio": ratio}}


def start(options):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENBLAS_", "OMP_", "MKL_", "GOMP_"))}
    threads = str(options.threads)
    processes = {"gmai": Process([options.program, options.model], environment | {"RAYON_NUM_THREADS": threads})}
    script = pathlib.Path(__file__).with_name("peer.py")
    for attention in ("sdpa", "eager"):
        processes[attention] = Process([options.python, script, options.model, attention, threads], environment)
    return processes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--python", required=True, help="the Python that has torch and transformers")
    parser.add_argument("--program", type=pathlib.Path, default="target/release/examples/inference_speed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=600, help="tokens of the prompt, the picture's included")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to decode")
    parser.add_argument("--idle", type=float, default=0.2, help="processors that others may use when a measurement begins")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()

    config = json.loads((options.model / "config.json").read_text())
    processes = start(options)
    peers = [who for who in processes if who != "gmai"]
    for who, process in processes.items():
        print(f"{who}: {process.about['name']}, loaded in {process.about['load_seconds']:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        size = config["vision_config"]["image_size"]
        pixels = numpy.random.default_rng(4).standard_normal((3, size, size), dtype="<f4")
        pixels.tofile(folder / "pixels")
        outputs = {}
        for who, process in processes.items():
            process.ask(do="load", pixels=str(folder / "pixels"), input_ids=prompt(config, options.prompt))
            outputs[who] = process.ask(do="outputs", tokens=options.tokens, out=str(folder / who))
        differences = {who: compare(outputs, folder, "gmai", who) for who in peers}
    distinct = len(set(outputs["gmai"]["tokens"]))
    print(f"same outputs: {options.tokens} tokens ({distinct} different ones); largest differences as shares of the largest value:")
    for who in peers:
        print(f"  {who}: " + ", ".join(f"{name} {value:.1e}" for name, value in differences[who].items()))

    for process in processes.values():
        process.reset_peak()
    rounds, order = [], list(processes)
    for number in range(options.rounds):
        order = order[1:] + order[:1]
        one = {}
        for kind in KINDS:
            one[kind] = {}
            for who in order:
                wait_for_quiet(options.idle)
                asked = "encode" if who == "gmai" and kind == "encode_needed" else kind
                one[kind][who] = processes[who].measure(asked, options.tokens)
        rounds.append(one)
        print(f"round {number + 1}: " + ", ".join(f"{kind} {one[kind]['gmai']['wall']:.3f}" for kind in KINDS), file=sys.stderr)
    memory = {who: process.peak_bytes() for who, process in processes.items()}
    result = report(rounds, memory, peers)
    for process in processes.values():
        process.close()
    if options.out:
        about = {who: process.about for who, process in processes.items()}
        setting = {"prompt": options.prompt, "tokens": options.tokens, "threads": options.threads, "machine": platform.processor() or platform.machine()}
        document = {"engines": about, "setting": setting, "differences": differences, "results": result}
        options.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
