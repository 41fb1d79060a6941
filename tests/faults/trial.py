"""Here: one night with its breaks, from an empty bucket to what was found. Not here: the faults (``faults``), the table (``__main__``)."""

import time
from dataclasses import dataclass

from tests.faults import breaks
from tests.faults.bench import Bench, wait_until
from tests.faults.checks import faults_of
from tests.faults.faults import Fault
from tests.faults.night import Night, Nights, Work, at_rest


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One break that happened.

    Parameters
    ----------
    retried_s, ended_s : seconds from it to the next try of its task, and to the end of its run. None where there was none, or where the
        clock that tells them was set back itself
    """

    what: str
    where: str
    retried_s: float | None
    ended_s: float | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of one night.

    Parameters
    ----------
    took_s : the whole night
    faults : promises that did not hold
    not_tried : why, where it was not
    """

    name: str
    broken: tuple[Broken, ...] = ()
    took_s: float = 0.0
    faults: tuple[str, ...] = ()
    not_tried: str = ""


def reference(bench: Bench, work: Work) -> Night:
    """An unbroken night, which must be well by itself."""
    at_rest(bench, work)
    bench.empty()
    nights = Nights(bench)
    night = nights.run(work)
    if found := faults_of(bench, night, night, nights.runs):
        raise RuntimeError(f"an unbroken night is not well: {found}")
    return night


def trial(bench: Bench, name: str, fault: Fault, *, unbroken: Night) -> Trial:
    """Break things during a night, and look at what came of it."""
    bench.clock.set_back(0)
    wait_until(bench.is_healthy, "a healthy stack")
    at_rest(bench, fault.work)
    bench.empty()
    rules = [(one, one.rule(bench)) for one in fault.breaks]
    bench.proxy.rules = [rule for _, rule in rules]
    asked_at: list[float] = []

    def while_asked() -> None:
        asked_at.append(time.time())
        for component in fault.while_asked:
            breaks.kill_component(bench, component)

    nights = Nights(bench, while_asked=while_asked)
    found: list[str] = []
    began = time.monotonic()
    try:
        night = nights.run(fault.work)
        took_s = time.monotonic() - began
        wait_until(bench.is_healthy, "a healthy stack")
        found += faults_of(bench, night, unbroken, nights.runs)
    except Exception as error:  # noqa: BLE001 - whatever ends a night is what was looked for
        took_s = time.monotonic() - began
        found.append(f"{type(error).__name__}: {error}")
    fired = [(one, rule.fired_at) for one, rule in rules if rule.fired_at]
    found += [f"not broken: {one.task} at {one.method} {one.pattern}" for one, rule in rules if not rule.fired_at]
    broken = [
        Broken(
            what=one.what,
            where=f"{one.dag}.{one.task}",
            retried_s=None if fault.own_clock else nights.retried_after(one.dag, one.task, at),
            ended_s=None if fault.own_clock else nights.ended_after(one.dag, at),
        )
        for one, at in fired
    ]
    if asked_at and fault.while_asked:
        dag, what = "retrain_model", f"{', '.join(fault.while_asked)} killed at once"
        broken.insert(0, Broken(what=what, where=f"{dag}.approval", retried_s=None, ended_s=nights.ended_after(dag, asked_at[0])))
    return Trial(name=name, broken=tuple(broken), took_s=took_s, faults=tuple(found))
