"""A worker for the pool's tests: sleeps, takes memory, dies or answers, as the task says."""

import json
import os
import sys
import time

import engine.core.device
from engine.core.device import gpus

if not os.environ.get("KINDRED_NO_GPU"):
    engine.core.device.gpus = gpus = lambda: ("cuda",)  # the stand-in: a machine with a GPU
sys.stdout.write('{"ready": true}\n')
sys.stdout.flush()
for line in sys.stdin:
    task = json.loads(line)
    held = bytearray(task.get("mib", 0) * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(task.get("sleep", 0))
    if task.get("killed"):
        os.kill(os.getpid(), 9)  # as the system does when memory runs out
    if task.get("die"):
        sys.stderr.write("the reason it died\n")
        sys.stderr.flush()
        os._exit(9)
    answer = (
        {"reason": task["fail"], "left_out": True}
        if "fail" in task
        else {"threads": os.environ["OMP_NUM_THREADS"], "pid": os.getpid(), "gpus": gpus()}
    )
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
