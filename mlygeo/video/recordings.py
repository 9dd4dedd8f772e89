"""
Which videos are chapters of one recording, and when each of several videos begins.

A camera cuts a long recording into files, and many cameras write the start of the recording into each of them. Such
files follow one another by their lengths. Two other videos of one camera cannot have been recorded at the same time,
so that where they seem to, one of their times is wrong.
"""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import times
from mlygeo.formats.chapters import are_sides, named_chapter, possible_chapters
from mlygeo.places import natural_key
from mlygeo.readers.sampled import SAME_TIME
from mlygeo.video.sampling import Clip, Start, clip_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mlygeo.video.sampling import Sampling

SAME_START_S = 2.0
"""Seconds by which chapters that carry the start of their recording may differ, and videos may overlap."""

FOLLOWS_S = 5.0
"""Seconds by which a chapter with a time of its own may miss the end of the chapter before."""

NO_TIME = "the video does not say when it was recorded"

LOCAL_TIME = "its camera writes the creation time by its own clock, whose time zone is unknown, taken as UTC"


class _Facts(NamedTuple):
    """What is known of a video without its frames; `camera` is make and model, `shape` the size of its pictures."""

    video: Path
    length_s: float
    created_ms: int | None
    gps_ms: int | None
    camera: tuple[str | None, str | None]
    shape: tuple[str, int, int]


def starts_of(videos: Sequence[Path], sampling: Sampling, clip: Callable[[Path], Clip]) -> dict[Path, Start]:
    """
    Return when each of several videos begins.

    1. `start_time_ms` of the sampling is the start of the first chapter of the one recording that is given.
    2. Where a video has a GPS, its time counts; for its other chapters it is the nearest fixed point.
    3. Otherwise the first chapter's creation time counts, and the others follow by the lengths of those before,
       which are looked for in the same folder where they are not among the videos.
    4. Otherwise the time is unknown, but how long after the first chapter each begins is known.

    Parameters
    ----------
    videos
        The videos. Those that cannot be read have no start.
    sampling
        How they are sampled.
    clip
        Reads a video; see `clip_of`.

    Raises
    ------
    InputError
        If there is one start for videos of several recordings.
    """
    facts = _all_facts(videos, clip)
    recordings = _recordings(facts, set(videos))
    if sampling.start_time_ms is not None and len(recordings) > 1:
        names = [recording[0].facts.video.name for recording in recordings]
        raise InputError(
            f"`video_start_time` is the start of one recording, and these are {len(names)}: {', '.join(names[:4])}"
            f"{', …' if len(names) > 4 else ''}",
            hint="sample each with its own, or let the GPS or the creation times in the files count",
        )
    found: dict[Path, Start] = {}
    for recording in recordings:
        found |= _starts(recording, sampling, set(videos))
    return _with_overlaps(found, {one.video: one for one in facts}, sampling.duration_ratio)


def recordings_of(videos: Sequence[Path]) -> int:
    """
    Return how many recordings some videos are; those that cannot be read are none.

    Parameters
    ----------
    videos
        The videos.
    """
    return len(_recordings(_all_facts(videos, clip_of), set(videos)))


class _Chapter(NamedTuple):
    """A video, its number in the recording, and how long after that it begins; `doubt` where that is a guess."""

    facts: _Facts
    number: int
    after_s: float = 0.0
    doubt: str | None = None


def _all_facts(videos: Sequence[Path], clip: Callable[[Path], Clip]) -> list[_Facts]:
    """Return the facts of videos and of the chapters before them in their folders."""
    found: dict[Path, _Facts | None] = {}

    def facts(video: Path) -> _Facts | None:
        if video not in found:
            try:
                read = clip(video)
            except (FileError, FormatError):
                found[video] = None
            else:
                start = read.info.start_time
                found[video] = _Facts(
                    video, read.table.length_s, None if start is None else round(start.timestamp() * 1000),
                    read.gps_ms, (read.info.make, read.info.model),
                    (read.info.codec, read.info.width, read.info.height),
                )  # fmt: skip
        return found[video]

    for video in videos:
        one = facts(video)
        if one is None or one.gps_ms is not None:
            continue
        if (chapter := named_chapter(video.stem)) is not None:
            if chapter.number:
                for other in _beside(video):
                    earlier = named_chapter(other.stem)
                    if earlier is not None and earlier.recording == chapter.recording:
                        facts(other)
        elif one.created_ms is not None:
            for before in _numbered_before(video):
                earlier_one = facts(before)
                if earlier_one is None or not _alike(earlier_one, one):
                    found.pop(before, None) if before not in videos else None
                    break
    return [one for one in found.values() if one is not None]


def _beside(video: Path) -> list[Path]:
    """Return the videos of the same kind in a video's folder."""
    ending = video.suffix.lower()
    return sorted(path for path in video.parent.iterdir() if path.suffix.lower() == ending and path.is_file())


def _numbered_before(video: Path) -> Iterable[Path]:
    """Yield the videos beside one whose names differ in one number only, which counts down."""
    for match in re.finditer(r"\d{1,6}(?!\d)", video.stem):
        for number in range(int(match[0]) - 1, -1, -1):
            name = f"{video.stem[: match.start()]}{number:0{len(match[0])}d}{video.stem[match.end() :]}{video.suffix}"
            path = video.with_name(name)
            if not path.is_file():
                break
            yield path


def _alike(one: _Facts, other: _Facts) -> bool:
    """Return whether two videos whose names differ in a number carry the start of one recording."""
    is_known = one.created_ms is not None and one.created_ms == other.created_ms
    return is_known and one.camera == other.camera and one.shape == other.shape


def _recordings(facts: list[_Facts], wanted: set[Path]) -> list[list[_Chapter]]:
    """Return the videos of each recording in order, of those in which a wanted one is."""
    groups: dict[tuple[object, Path], list[_Chapter]] = {}
    others: list[_Facts] = []
    for one in facts:
        chapter = named_chapter(one.video.stem)
        if chapter is None:
            others.append(one)
        else:
            key = (chapter.recording, one.video.suffix.lower(), one.shape)
            groups.setdefault((key, one.video.parent), []).append(_Chapter(one, chapter.number))
    recordings = [part for group in _across_folders(groups) for part in _consistent(group)]
    recordings += _by_number(others)
    return sorted(
        (recording for recording in recordings if any(one.facts.video in wanted for one in recording)),
        key=lambda recording: natural_key(recording[0].facts.video),
    )


def _across_folders(groups: dict[tuple[object, Path], list[_Chapter]]) -> list[list[_Chapter]]:
    """Join the chapters that a camera, or who copied its card, has put into several folders."""
    joined: dict[object, list[list[_Chapter]]] = {}
    for (key, _), group in groups.items():
        others = joined.setdefault(key, [])
        numbers = {one.number for one in group}
        created = {one.facts.created_ms for one in group}
        for place, other in enumerate(others):
            is_known = None not in created and created == {one.facts.created_ms for one in other}
            # A chapter without a fix may not tell its camera.
            cameras = [{one.facts.camera[place] for one in group + other} - {None} for place in (0, 1)]
            is_one = all(len(names) <= 1 for names in cameras)
            if is_known and is_one and not numbers & {one.number for one in other}:
                others[place] = other + group
                break
        else:
            others.append(group)
    return [group for groups_of_one_name in joined.values() for group in groups_of_one_name]


def _consistent(chapters: list[_Chapter]) -> list[list[_Chapter]]:
    """Return chapters in order with where each begins, cut where the times in the files contradict that they follow."""
    parts: list[list[_Chapter]] = []
    for chapter in sorted(chapters, key=lambda one: one.number):
        if parts and (follower := _following(parts[-1], chapter)) is not None:
            parts[-1].append(follower)
        else:
            parts.append([chapter])
    return parts


def _following(chapters: list[_Chapter], chapter: _Chapter) -> _Chapter | None:
    """Return a chapter with where it begins; None where it is of another recording."""
    first, last = chapters[0], chapters[-1]
    missing = chapter.number - last.number - 1
    after_s = last.after_s + (missing + 1) * last.facts.length_s
    has_own = False
    if first.facts.created_ms is not None and chapter.facts.created_ms is not None:
        apart_s = (chapter.facts.created_ms - first.facts.created_ms) / 1000
        if abs(apart_s) > SAME_START_S and abs(apart_s - after_s) > FOLLOWS_S + missing * last.facts.length_s:
            return None
        has_own = abs(apart_s) > SAME_START_S
        after_s = apart_s if missing and has_own else after_s
    doubt = None
    if missing and not has_own:
        words = "a chapter before it is" if missing == 1 else f"{missing} chapters before it are"
        doubt = f"{words} missing, taken to be as long as {last.facts.video.name}"
    return chapter._replace(after_s=after_s, doubt=None if missing and has_own else doubt or last.doubt)


def _by_number(others: list[_Facts]) -> list[list[_Chapter]]:
    """Return the recordings among videos whose names alone tell no chapters, but a number and the same start."""
    groups: dict[object, list[_Chapter]] = {}
    for one in others:
        if one.created_ms is not None:
            for chapter in possible_chapters(one.video.stem):
                key = (one.video.parent, chapter.recording, one.camera, one.shape, one.created_ms)
                groups.setdefault(key, []).append(_Chapter(one, chapter.number))
    recordings: list[list[_Chapter]] = []
    taken: set[Path] = set()
    for found in sorted(groups.values(), key=len, reverse=True):
        group = sorted((one for one in found if one.facts.video not in taken), key=lambda one: one.number)
        is_row = all(later.number - one.number == 1 for one, later in pairwise(group))
        if len(group) > 1 and is_row:
            recordings += _consistent([one._replace(number=one.number - group[0].number) for one in group])
            taken |= {one.facts.video for one in group}
    return recordings + [[_Chapter(one, 0)] for one in others if one.video not in taken]


def _starts(recording: list[_Chapter], sampling: Sampling, wanted: set[Path]) -> dict[Path, Start]:
    """Return when the wanted chapters of a recording begin."""
    ratio = sampling.duration_ratio
    name = str(recording[0].facts.video)
    chosen = [chapter for chapter in recording if chapter.facts.video in wanted]
    with_gps = [chapter for chapter in recording if chapter.facts.gps_ms is not None]
    found = {}
    for chapter in chosen:
        warnings = [chapter.doubt] if chapter.doubt else []
        after_s = chapter.after_s * ratio
        if sampling.start_time_ms is not None:
            base, source = sampling.start_time_ms - round(chosen[0].after_s * ratio * 1000), "option"
            warnings += _doubts_of_given(base + round(after_s * 1000), chapter.facts.gps_ms)
        elif with_gps:
            nearest = min(with_gps, key=lambda one: abs(one.number - chapter.number))
            base, source = (nearest.facts.gps_ms or 0) - round(nearest.after_s * ratio * 1000), "gps"
            # A guess counts where it lies between the two.
            doubt = chapter.doubt or nearest.doubt
            warnings = [doubt] if doubt and chapter.doubt != nearest.doubt else []
        else:
            known = [one.facts.created_ms for one in recording if one.facts.created_ms is not None]
            if not known:
                found[chapter.facts.video] = Start(None, None, after_s, name, (*warnings, NO_TIME))
                continue
            base, source = known[0], "creation_time"
            if recording[0].number:
                warnings.append(
                    f"the chapters before {recording[0].facts.video.name} are missing, so that it began later"
                    " if its creation time is that of the recording"
                )
            if chapter.facts.camera[0] == "GoPro":
                warnings.append(LOCAL_TIME)
        found[chapter.facts.video] = Start(base + round(after_s * 1000), source, after_s, name, tuple(warnings))
    return found


def _doubts_of_given(start_ms: int, gps_ms: int | None) -> list[str]:
    """Return what is in doubt about a start that the user gave."""
    why = times.implausible(start_ms * 1000, time.time_ns() // 1000, is_utc=True)
    if why is not None:  # seconds for milliseconds are a time in 1970
        return [f"the start that was given, {times.shown(start_ms * 1000)}, is {why}"]
    if gps_ms is not None and abs(start_ms - gps_ms) * 1000 > times.AGREES_US:
        return [f"its GPS says that it began at {times.shown(gps_ms * 1000)}Z; the start that was given counts"]
    return []


def _with_overlaps(found: dict[Path, Start], facts: dict[Path, _Facts], ratio: float) -> dict[Path, Start]:
    """Return starts with a warning where two videos of one camera seem to be recorded at the same time."""
    known = sorted(
        ((start.ms, video) for video, start in found.items() if start.ms is not None),
        key=lambda one: (facts[one[1]].camera != (None, None), str(facts[one[1]].camera), one[0]),
    )
    warnings: dict[Path, list[str]] = {}
    for place, (start_ms, video) in enumerate(known):
        length_s = facts[video].length_s * ratio
        # Most creation times are whole seconds.
        end_ms = start_ms + 1000 * (length_s - min(SAME_START_S, length_s / 2))
        for other_ms, other in known[place + 1 :]:
            if facts[other].camera != facts[video].camera or other_ms >= end_ms:
                break
            if not are_sides(video.stem, other.stem):
                for one, two in ((video, other), (other, video)):
                    warnings.setdefault(one, []).append(SAME_TIME.format(two.name))
    return {
        video: start._replace(warnings=(*start.warnings, *warnings.get(video, [])[:3]))
        for video, start in found.items()
    }
