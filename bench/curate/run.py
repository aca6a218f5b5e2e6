"""`gmai curate` beside the same job in Python on the same files, in turns.

    pip install numpy pydicom nibabel Pillow pylibjpeg pylibjpeg-openjpeg pyjpegls
    cargo build --release -p gmai-curate --example curate_speed --example read_speed
    python bench/curate/make_data.py DATA FILES
    python bench/curate/run.py FILES [--rounds 3] [--cases dicom,nifti] [--out FILE.json]

FILES has a folder for each case (make_data.py). A round runs every case once with every program, one after the other: gmai with its decoding
processes, gmai --in-process, the pipeline of peer.py, and both programs' decoding alone. Two threads or worker processes each.

The measure is pictures per second of processor time, summed over all processes of a program: what a core gives, whoever else uses the
machine. gmai's start is counted, Python's imports are not. A ratio is taken within a round; the median is printed with its range.
Needs Linux' wait4.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = ("gmai", "gmai --in-process", "python", "gmai decode", "python decode")


def used(command):
    """Output, wall time and processor time of a command with all the processes that it waits for."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}:\n{errors.decode()}")
    return output, time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def gmai(arguments, case, out, in_process):
    command = [arguments.gmai, case / "config.toml", out, "2"]
    output, wall, processor, peak = used([*map(str, command), *(["--in-process"] if in_process else [])])
    manifest = json.loads(output)
    images = manifest["sources"][0]["images"]
    return {
        "pictures": images["used"],
        "refused": images["quarantined"] + sum(images["skipped"].values()),
        "bytes": sum(shard["bytes"] for shard in manifest["shards"]),
        "wall": wall,
        "processor": processor,
        "peak_mib": peak,
    }


def measure(program, arguments, case, out):
    if program.startswith("gmai decode"):
        paths = [str(path) for path in sorted((case / "files").rglob("*")) if path.is_file()]
        pathlib.Path(out).mkdir()
        listed = pathlib.Path(out) / "paths"
        listed.write_text("\n".join(paths))
        output, wall, processor, peak = used([str(arguments.read_speed), str(listed), "2"])
        return json.loads(output) | {"wall": wall, "processor": processor, "peak_mib": peak}
    if program.startswith("gmai"):
        return gmai(arguments, case, out, "--in-process" in program)
    command = [sys.executable, str(pathlib.Path(__file__).with_name("peer.py")), str(case), str(out)]
    output, *_ = used([*command, *(["--decode-only"] if "decode" in program else [])])
    return json.loads(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", help="names with commas between; all by default")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="which of them to run")
    parser.add_argument("--gmai", type=pathlib.Path, default=pathlib.Path("target/release/examples/curate_speed"))
    parser.add_argument("--read-speed", type=pathlib.Path, default=pathlib.Path("target/release/examples/read_speed"))
    parser.add_argument("--out", type=pathlib.Path, help="all figures as JSON")
    arguments = parser.parse_args()
    cases = sorted(path.parent for path in arguments.files.glob("*/config.toml"))
    if arguments.cases:
        cases = [arguments.files / name for name in arguments.cases.split(",")]
    programs = arguments.programs.split(",")
    figures = {case.name: {program: [] for program in programs} for case in cases}
    with tempfile.TemporaryDirectory(prefix="bench-curate-", dir=arguments.files) as folder:
        for turn in range(arguments.rounds):
            for case in cases:
                for shift in range(len(programs)):
                    program = programs[(turn + shift) % len(programs)]
                    out = pathlib.Path(folder) / "out"
                    figures[case.name][program].append(measure(program, arguments, case, out))
                    shutil.rmtree(out)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    for case, measured in figures.items():
        rate = {name: [one["pictures"] / one["processor"] for one in runs] for name, runs in measured.items()}
        print(f"\n{case}: {measured[programs[0]][0]['pictures']} pictures")
        for program, runs in measured.items():
            walls = statistics.median(one["pictures"] / one["wall"] for one in runs)
            extra = "".join(f", {one} {runs[0][one]:.0f}" for one in ("bytes", "refused", "peak_mib") if one in runs[0])
            print(f"  {program:18} {statistics.median(rate[program]):8.0f} pictures per processor second, {walls:6.0f} per second{extra}")
        for program in programs:
            if program.startswith("gmai"):
                other = "python decode" if "decode" in program else "python"
                if other in rate:
                    ratios = [ours / theirs for ours, theirs in zip(rate[program], rate[other])]
                    print(f"  {program} / {other}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        for program, alone in (("gmai", "gmai decode"), ("gmai --in-process", "gmai decode"), ("python", "python decode")):
            if program in rate and alone in rate:
                share = statistics.median(ours / theirs for ours, theirs in zip(rate[program], rate[alone]))
                print(f"  {program}: {share:.2f} of the rate of decoding alone")
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
