"""Here: who makes the inputs: Hypothesis from examples and words, Atheris guided by the code that they reach. Not here: what is checked."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.targets import Target

_AT_ONCE = 2000
"""Examples of one Hypothesis run: it remembers all of a run to repeat none."""

Try = Callable[[bytes], None]


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Examples of the target with a few pieces cut, repeated, changed or replaced by its words; and any bytes at all."""
    piece = st.one_of(st.sampled_from(target.words or (b"\0",)), st.binary(max_size=6))
    edit = st.tuples(st.floats(0, 1), st.integers(0, 12), piece, st.integers(0, 3))

    def edited(example: bytes, edits: list[tuple[float, int, bytes, int]]) -> bytes:
        for place, cut, new, repeat in edits:
            at = int(place * len(example))
            example = example[:at] + new * (1 if repeat < 3 else 40) + example[at + cut :]
        return example[: target.max_bytes]

    return st.one_of(
        st.builds(edited, st.sampled_from(target.seeds()), st.lists(edit, max_size=3)),
        st.binary(max_size=200),
    )


def by_property(target: Target, attempt: Try, *, n_inputs: int, start: int) -> None:
    """Give the target so many inputs that Hypothesis draws; the same ones for the same start."""
    strategy = inputs(target)
    for number, done in enumerate(range(0, n_inputs, _AT_ONCE)):

        @seed(start * 1_000_000 + number)
        @settings(
            max_examples=min(_AT_ONCE, n_inputs - done),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def run(data: bytes) -> None:
            attempt(data)

        run()


def by_coverage(target: Target, attempt: Try, *, n_inputs: int, start: int) -> None:
    """Give the target inputs that libFuzzer changes towards new code; this never returns, so ``attempt`` must end the process."""
    import atheris

    with tempfile.TemporaryDirectory(prefix="ecg-fuzz-") as folder:
        for number, example in enumerate(target.seeds()):
            Path(folder, f"{number:04d}").write_bytes(example)
        words = Path(folder, "words.dict")
        words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
        options = [
            f"-max_len={target.max_bytes}",
            f"-seed={start + 1}",
            "-timeout=3600",
            "-rss_limit_mb=0",
            "-print_final_stats=0",
            "-verbosity=0",
        ]
        if target.words:
            options.append(f"-dict={words}")
        os.chdir(folder)  # libFuzzer writes its findings where it stands; ours are written by the attempt
        Path("corpus").mkdir()
        for example_file in Path().glob("[0-9]*"):
            example_file.rename(Path("corpus", example_file.name))
        atheris.Setup(["fuzz", *options, "corpus"], attempt)
        atheris.Fuzz()
