"""Cron expressions at random, each with what it means, for both grammars."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from hypothesis import strategies as st

from lambdaqueue.cron_fields import MONTHS, WEEKDAYS
from lambdaqueue.instants import parse_instant
from lambdaqueue.timetable import MAX_LENGTH
from tests.unit.minute_walk import NIGHTS, DayTest, Pattern, month_of

__all__ = ["aws_patterns", "five_fields", "windows"]

Numbers = tuple[str, frozenset[int]]


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, int, int]:
    """A zone, and two days around one of its nights, from and to in Unix ms."""
    zone, instant = draw(st.sampled_from(NIGHTS))
    middle = parse_instant(instant)
    return zone, middle - 86_400_000, middle + 86_400_000


@st.composite
def numbers(
    draw: st.DrawFn, low: int, high: int, wraps: bool, names: tuple[str, ...] = ()
) -> Numbers:
    """A list of terms, and the numbers that they mean; `names` belong to the numbers from `low`."""
    texts, chosen = [], set[int]()
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        text, meant = draw(_terms(low, high, wraps, names))
        texts.append(text)
        chosen |= meant
    return ",".join(texts), frozenset(chosen)


@st.composite
def _terms(
    draw: st.DrawFn, low: int, high: int, wraps: bool, names: tuple[str, ...]
) -> tuple[str, set[int]]:
    everything = list(range(low, high + 1))
    step = draw(st.integers(1, len(everything)) | st.integers(1, 7).map(lambda n: min(n, high)))
    first, last = draw(st.sampled_from(everything)), draw(st.sampled_from(everything))
    if not wraps:
        first, last = sorted((first, last))
    in_range = [first]
    while in_range[-1] != last:
        in_range.append(in_range[-1] + 1 if in_range[-1] < high else low)
    one, other = (draw(_spellings(number, low, names)) for number in (first, last))
    forms = {
        "*": set(everything),
        f"*/{step}": set(everything[::step]),
        one: {first},
        f"{one}-{other}": set(in_range),
        f"{one}-{other}/{step}": set(in_range[::step]),
    }
    if wraps:
        forms[f"{one}/{step}"] = set(range(first, high + 1, step))
    text = draw(st.sampled_from(list(forms)))
    return text, forms[text]


def _spellings(number: int, low: int, names: tuple[str, ...]) -> st.SearchStrategy[str]:
    spellings = [str(number), f"0{number}"]
    if number - low < len(names):
        name = names[number - low]
        spellings += [name, name.lower(), name.title()]
    return st.sampled_from(spellings)


def every(low: int, high: int) -> st.SearchStrategy[Numbers]:
    return st.just(("*", frozenset(range(low, high + 1))))


def hours(wraps: bool) -> st.SearchStrategy[Numbers]:
    """Often those at which clocks are moved, without a star."""
    by_night = st.sets(st.integers(0, 3), min_size=1).map(
        lambda chosen: (",".join(map(str, chosen)), frozenset(chosen))
    )
    return numbers(0, 23, wraps) | by_night


@st.composite
def any_five_fields(draw: st.DrawFn) -> Pattern:
    minute, minutes = draw(numbers(0, 59, wraps=False))
    hour, its_hours = draw(hours(wraps=False))
    day, days = draw(every(1, 31) | numbers(1, 31, wraps=False))
    month, months = draw(every(1, 12) | numbers(1, 12, False, MONTHS))
    # 0 to 7 are eight numbers, but a week has seven days to step over.
    of_week = numbers(0, 7, False, WEEKDAYS).filter(lambda weekday: "/8" not in weekday[0])
    weekday, weekdays = draw(every(0, 7) | of_week)
    either = "*" not in day.split(",") and "*" not in weekday.split(",")

    def fits_day(today: date) -> bool:
        fits_weekday = bool(weekdays & {today.isoweekday(), today.isoweekday() % 7})
        fits = {today.day in days, fits_weekday}
        return today.month in months and (any(fits) if either else all(fits))

    return Pattern(
        text=f"{minute} {hour} {day} {month} {weekday}",
        minutes=minutes,
        hours=its_hours,
        fits_day=fits_day,
        runs_twice="*" in minute or "*" in hour,
        makes_up=its_hours != frozenset(range(24)),
    )


def in_month(pick: Callable[[tuple[date, ...]], list[date]]) -> DayTest:
    """Whether a day is among those that `pick` takes of its month."""
    return lambda today: today in pick(month_of(today.year, today.month))


def working_days(month: tuple[date, ...]) -> list[date]:
    return [day for day in month if day.isoweekday() <= 5]


def nearest(month: tuple[date, ...], number: int) -> list[date]:
    if number > len(month):
        return []
    return [min(working_days(month), key=lambda day: abs(day.day - number))]


def aws_number(day: date) -> int:
    return day.isoweekday() % 7 + 1


def of_weekday(month: tuple[date, ...], number: int) -> list[date]:
    return [day for day in month if aws_number(day) == number]


@st.composite
def special_days(draw: st.DrawFn) -> tuple[str, DayTest]:
    n = draw(st.integers(1, 30))
    forms: dict[str, DayTest] = {
        "L": in_month(lambda month: [month[-1]]),
        f"L-{n}": in_month(lambda month: [month[-1 - n]] if n < len(month) else []),
        "LW": in_month(lambda month: [working_days(month)[-1]]),
        f"{n + 1}W": in_month(lambda month: nearest(month, n + 1)),
        "1W": in_month(lambda month: nearest(month, 1)),
    }
    text = draw(st.sampled_from(list(forms)))
    return text, forms[text]


@st.composite
def aws_days(draw: st.DrawFn) -> tuple[str, DayTest]:
    """A day of month: numbers, and what only AWS has, in one list."""
    text, days = draw(every(1, 31) | numbers(1, 31, wraps=True))
    specials: list[tuple[str, DayTest]] = draw(st.lists(special_days(), max_size=2))
    only_specials = draw(st.booleans())
    texts = [text, *(special for special, _ in specials)]
    if specials and only_specials:
        texts, days = texts[1:], frozenset()
    return ",".join(
        texts
    ), lambda today: today.day in days or any(fits(today) for _, fits in specials)


@st.composite
def aws_weekdays(draw: st.DrawFn) -> tuple[str, DayTest]:
    text, chosen = draw(numbers(1, 7, True, WEEKDAYS))
    number, nth = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    name = draw(st.sampled_from([str(number), WEEKDAYS[number - 1]]))
    last = in_month(lambda month: of_weekday(month, number)[-1:])
    forms: dict[str, DayTest] = {
        text: lambda today: aws_number(today) in chosen,
        "L": lambda today: today.isoweekday() == 6,
        f"{name}L": last,
        f"{name}#{nth}": in_month(lambda month: of_weekday(month, number)[nth - 1 : nth]),
        f"{text},{name}L": lambda today: aws_number(today) in chosen or last(today),
    }
    form = draw(st.sampled_from(list(forms)))
    return form, forms[form]


@st.composite
def any_aws_patterns(draw: st.DrawFn) -> Pattern:
    minute, minutes = draw(numbers(0, 59, wraps=True))
    hour, its_hours = draw(hours(wraps=True))
    is_day = draw(st.booleans())
    day, fits_field = draw(aws_days() if is_day else aws_weekdays())
    month, months = draw(every(1, 12) | numbers(1, 12, True, MONTHS))
    year, years = draw(every(1970, 2199) | numbers(1970, 2199, wraps=True))
    both = f"{day} {month} ?" if is_day else f"? {month} {day}"

    def fits_day(today: date) -> bool:
        return today.year in years and today.month in months and fits_field(today)

    terms = f"{minute},{hour}".split(",")
    return Pattern(
        text=f"cron({minute} {hour} {both} {year})",
        minutes=minutes,
        hours=its_hours,
        fits_day=fits_day,
        runs_twice=any("*" in term or ("/" in term and "-" not in term) for term in terms),
        makes_up=False,
    )


def fits_length(pattern: Pattern) -> bool:
    return len(pattern.text) <= MAX_LENGTH


five_fields = any_five_fields().filter(fits_length)
aws_patterns = any_aws_patterns().filter(fits_length)
