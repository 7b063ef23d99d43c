"""Loop of all sides: execute the request of each line, answer with time and memory."""

import json
import os
import re
import sys
import time


def arguments():
    """Return what the side is given: model, stem, batch_size, image_size, precision, compile."""
    return json.loads(sys.argv[1])


def serve(**work):
    """Answer requests with the seconds and the peak memory of ``work[name]()``.

    The protocol is that of `paddle_resnet.io.child_process`, which is not there in the interpreter
    of another framework.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # frameworks print to standard output
    for line in sys.stdin:
        name = json.loads(line)["do"]
        began = time.perf_counter()
        work[name]()
        seconds = time.perf_counter() - began
        with open("/proc/self/status") as status:
            peak = 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read())[1])
        answers.write(json.dumps({"done": {"seconds": seconds, "memory": peak}}) + "\n")
        answers.flush()
