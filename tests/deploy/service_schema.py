"""The service against its own description: schemathesis makes requests that fit it, or just not.

As a command, with schemathesis in an environment of its own:
`python tests/deploy/service_schema.py FILE.onnx --schemathesis PATH --examples 2000`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from service_process import Service

#: Statuses that reject a request which the description forbids: schemathesis's own and 411, 413.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 405, 411, 413, 415]
[checks.positive_data_acceptance]
expected-statuses = [200, 503]
"""


def run(service, program, examples, seed):
    """Return schemathesis's exit code and what it printed."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "schemathesis.toml"
        config.write_text(CONFIG)
        command = [program, "--config-file", str(config), "run"]
        command += [f"http://127.0.0.1:{service.port}/openapi.json", "--max-examples"]
        command += [str(examples), "--seed", str(seed), "--continue-on-failure"]
        paths = [str(here), os.environ.get("PYTHONPATH", "")]
        done = subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            },
            capture_output=True,
            text=True,
        )
    return done.returncode, done.stdout + done.stderr


def statuses(service):
    """Return how many requests of /predict had each status."""
    _, _, content = service.request("GET", "/metrics")
    found = re.findall(rb'requests_total\{status="(\d+)"\} ([\d.]+)', content)
    return {int(status): int(float(count)) for status, count in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--schemathesis", default="schemathesis", metavar="PATH")
    parser.add_argument("--examples", type=int, default=2000, help="of each path")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with Service(arguments.file) as service:
        code, printed = run(service, arguments.schemathesis, arguments.examples, arguments.seed)
        print(printed)
        print(f"/predict: {statuses(service)}")
        stopped, err = service.stop()
    print(f"exit codes: schemathesis {code}, service {stopped} {err}")
    return code or stopped


if __name__ == "__main__":
    sys.exit(main())
