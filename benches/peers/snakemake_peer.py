"""The same chains as rules of Snakemake: a first run, and runs with nothing to do, as whole processes.

Reads {"chains", "length", "rounds", "jobs"} from standard input and answers {"version", "first", "noop"} in seconds, the best
of the rounds for the latter.
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time

RULE = """
rule s{index}:
    {input}output: "c{{c}}_s{index}"
    shell: "{shell}"
"""


def rules(chains: int, length: int) -> str:
    text = f'rule all:\n    input: expand("c{{c}}_s{length - 1}", c=range({chains}))\n'
    for index in range(length):
        before = f'input: "c{{c}}_s{index - 1}"\n    ' if index else ""
        shell = "echo $(( $(cat {input}) + 1 )) > {output}" if index else "echo 1 > {output}"
        text += RULE.format(index=index, input=before, shell=shell)
    return text


def main() -> None:
    version = importlib.metadata.version("snakemake")
    asked = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/Snakefile", "w", encoding="utf-8") as file:
            file.write(rules(asked["chains"], asked["length"]))

        def seconds() -> float:
            start = time.perf_counter()
            command = [sys.executable, "-m", "snakemake", "--cores", str(asked["jobs"]), "--quiet", "all"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            return time.perf_counter() - start

        first = seconds()
        noop = min(seconds() for _ in range(asked["rounds"]))
    print(json.dumps({"version": version, "first": first, "noop": noop}))


if __name__ == "__main__":
    main()
