"""Kill -9 at any moment: what was told is kept, nothing half-written shows, and the work goes on to the same end.

`activities` says what is done and what must hold, `zygote` does it in processes that it kills, `rounds` plays the
rounds. `make faults` kills 200 times, the ordinary tests 20 times.
"""
