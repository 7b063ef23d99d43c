"""What all sides share: do what a line says, answer with what it took."""

import json
import os
import re
import sys
import time


def arguments():
    """Return what the side is told: model, stem, batch_size, image_size, precision, compile."""
    return json.loads(sys.argv[1])


def serve(**work):
    """Do ``work[line]()`` for each line of standard input; answer with seconds and peak memory."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # frameworks print to standard output
    for line in sys.stdin:
        began = time.perf_counter()
        work[line.strip()]()
        seconds = time.perf_counter() - began
        with open("/proc/self/status") as status:
            peak = 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read())[1])
        answers.write(json.dumps({"seconds": seconds, "memory": peak}) + "\n")
        answers.flush()
