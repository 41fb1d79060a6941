"""How long made-up recordings take from the inbox of a running stack to their report: ``python -m benchmarks.drop_to_answer [N]``.

The stack is that of ``ECG_HOME``, started with ``ECG_DECIDE=at_once``. Each run of this makes other recordings.
"""

import json
import os
import sys
import time

from deploy.embedded import Stack, processes

SECONDS = 10.0
"""Of each recording, as ``signals.sample_drop`` makes them."""


def main(n_recordings: int) -> None:
    """Drop them, wait until each is in a report, and print what it took as JSON."""
    from ecg_tasks.actions.inbox import put_in_order
    from ecg_tasks.queries.answers import accounts, answers
    from ecg_tasks.queries.store import open_store
    from ecg_tasks.signals.sample_drop import sample_drop

    stack = Stack()
    os.environ.update(stack.environment())
    made = sample_drop(seed=time.time_ns(), n_patients=n_recordings, recordings_per_patient=1)
    files = {name: data for name, data in made.items() if name.endswith((".hea", ".dat")) and "copy_of" not in name}
    store = open_store()
    before, load, cpu, began = accounts(store), os.getloadavg(), cpu_seconds(stack), time.monotonic()
    n_files = put_in_order(list(files.items()))
    put = time.monotonic() - began
    while not (found := answers(store, files, before=before)).is_whole or not found.found:
        time.sleep(0.5)
    print(
        json.dumps(
            {
                "recordings": len(found.found),
                "files": n_files,
                "put_s": round(put, 1),
                "answered_s": round(time.monotonic() - began, 1),
                "cpu_s_of_the_stack": round(cpu_seconds(stack) - cpu, 1),
                "load_before": load,
                "load_after": os.getloadavg(),
                "answers": found.sentence,
            }
        )
    )


def cpu_seconds(stack: Stack) -> float:
    """Return the processor time of all processes of a stack, with those that ended and were waited for."""
    return sum(sum(process.cpu_times()[:4]) for process in processes.of_stack(stack.home))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
