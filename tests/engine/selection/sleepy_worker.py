"""A worker for the pool's tests: sleeps, takes memory, dies or answers, as the task says."""

import json
import os
import sys
import time

sys.stdout.write('{"ready": true}\n')
sys.stdout.flush()
for line in sys.stdin:
    task = json.loads(line)
    held = bytearray(task.get("mib", 0) * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(task.get("sleep", 0))
    if task.get("die"):
        sys.stderr.write("the reason it died\n")
        sys.stderr.flush()
        os._exit(9)
    answer = (
        {"reason": task["fail"]} if "fail" in task else {"threads": os.environ["OMP_NUM_THREADS"], "pid": os.getpid()}
    )
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
