"""Here: what is shown of a record besides its decision: faults, repairs, and what was not read. Not here: finding them."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType


class Flag(StrEnum):
    """What is wrong with a window or a recording, or was done to it. The values are stored and shown, so they never change."""

    FLAT = "flat"
    """The signal does not move."""
    CLIPPED = "clipped"
    """The signal stays at its highest or lowest value: the amplifier or the converter was at its limit."""
    BASELINE_WANDER = "baseline_wander"
    """The baseline moves, with breathing or with the electrodes."""
    NOISE = "noise"
    """Muscle activity or other noise covers the small waves."""
    MAINS = "mains"
    """Hum of the mains, 50 or 60 Hz, covers the small waves."""
    LEAD_OFF = "lead_off"
    """A lead has no signal while others do."""
    NO_BEATS = "no_beats"
    """No beat was found in the recording, so it has no window at all."""
    DERIVED_LEADS = "derived_leads"
    """Limb leads were computed from two others."""
    TURNED_LEAD = "turned_lead"
    """A lead that is stored upside down was turned."""
    INTERPOLATED = "interpolated"
    """Short gaps were filled."""
    GAP = "gap"
    """A longer gap cost the seconds around it."""
    PADDED = "padded"
    """The recording is up to a hundredth shorter than a window."""
    SHORT = "short"
    """The recording, or its longest stretch without a gap, is shorter than a window."""
    PARTLY_READ = "partly_read"
    """Some seconds were not read."""
    LARGE_AMPLITUDE = "large_amplitude"
    """The amplitude is several times that of an ECG."""
    LEADS_DISAGREE = "leads_disagree"
    """The limb leads are not in scale with one another."""
    LEADS_CONTRADICT = "leads_contradict"
    """A limb lead is upside down, exchanged, or not of this recording."""
    COPIED_LEAD = "copied_lead"
    """Two leads hold the same signal."""
    SUSPECTED_REVERSAL = "suspected_reversal"
    """Limb electrodes are probably exchanged."""
    AGE_OUTSIDE = "age_outside"
    """The person is younger or older than those that the version was trained on."""


SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        Flag.FLAT: "The signal does not change for a part of the time.",
        Flag.CLIPPED: "The signal is cut off at its highest or lowest value.",
        Flag.BASELINE_WANDER: "The baseline moves by several millivolts.",
        Flag.NOISE: "Noise covers the small waves.",
        Flag.MAINS: "Hum of the mains, 50 or 60 Hz, covers the small waves.",
        Flag.LEAD_OFF: "A lead has no signal.",
        Flag.NO_BEATS: "No heartbeat was found.",
        Flag.DERIVED_LEADS: "Limb leads that the file does not have were computed from two others.",
        Flag.TURNED_LEAD: "A lead that is stored upside down (such as -aVR) was turned.",
        Flag.INTERPOLATED: "Gaps of at most 40 ms were filled with a straight line.",
        Flag.GAP: "A gap of more than 40 ms was found; the seconds around it were not read.",
        Flag.PADDED: "The recording is up to 1 % shorter than ten seconds; its last value was repeated to the end.",
        Flag.SHORT: "Less than ten seconds could be used: the decision is less certain than on ten seconds.",
        Flag.PARTLY_READ: "A part of the recording was not read.",
        Flag.LARGE_AMPLITUDE: "The amplitude is several times higher than in an ECG: check the gain and the unit.",
        Flag.LEADS_DISAGREE: "The limb leads do not add up (such as III = II - I): their scales differ.",
        Flag.LEADS_CONTRADICT: (
            "The limb leads contradict one another (such as III = II - I): one is inverted, exchanged, or from another recording."
        ),
        Flag.COPIED_LEAD: "Two leads have the same signal: one of them is a copy.",
        Flag.SUSPECTED_REVERSAL: "The limb leads do not fit the chest leads: limb electrodes are probably exchanged.",
        Flag.AGE_OUTSIDE: "The person is younger or older than the people that the version was trained on: it is not meant for this age.",
    }
)
"""What each flag says to a person."""


@lru_cache(maxsize=4096)
def join_flags(*flags: str) -> str:
    """Return all flags of several comma-joined texts, each once, in the order of ``Flag``.

    >>> join_flags("noise", "", "flat,noise")
    'flat,noise'
    """
    found = {name for text in flags for name in text.split(",") if name}
    return ",".join(flag for flag in Flag if flag in found)


def words(flags: str) -> list[str]:
    """Return comma-joined flags as words for people.

    >>> words("baseline_wander,noise")
    ['baseline wander', 'noise']
    """
    return [flag.strip().replace("_", " ") for flag in flags.split(",") if flag.strip()]


def sentences(flags: str) -> list[str]:
    """Return comma-joined flags as sentences, one each; an unknown flag is named.

    >>> sentences("no_beats,of_another_version")
    ['No heartbeat was found.', 'of another version']
    """
    return [SENTENCES.get(flag, flag.replace("_", " ")) for flag in map(str.strip, flags.split(",")) if flag]
