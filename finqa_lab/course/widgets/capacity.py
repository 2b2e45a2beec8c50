"""Cost and capacity: how busy instances are, how long requests wait, and what a day costs.

Waiting is that of :mod:`finqa_lab.cloud.capacity` (times that vary like an exponential, independent clients), the price
that of the dated table ``data/cloud/prices.yml``.
"""

import math
from dataclasses import dataclass

import ipywidgets

from finqa_lab.cloud.capacity import instances_for_rate, wait_percentile, waiting_chance
from finqa_lab.cloud.errors import InvalidRequest
from finqa_lab.cloud.prices import Price, price_of, price_table
from finqa_lab.course.drawings import Drawing, paragraph, table
from finqa_lab.course.exploring import explore
from finqa_lab.course.figures import PALETTE, axes
from finqa_lab.course.widgets.controls import choice, number, whole_number

REGION = "us-east-1"
ROUTINGS = ("random", "least")
MOST = 500
"""Instances of the controls."""
FLOOR = 0.01
"""Seconds at which shorter waits are drawn, because the logarithm of none has no end."""
NAMES = {"random": "chosen at random", "least": "least busy first"}


@dataclass(frozen=True)
class Day:
    """A load on some instances.

    Attributes:
        utilisation: share of the places that are busy; above 1 the queue grows without end.
        waits: chance that a request waits, by routing.
        p50: seconds of waiting, by routing; infinite when the instances are too few.
        p95: likewise.
        thumb: instances by the rule of thumb, each used to a half.
        dollars: for a day.
        price: of an instance.
    """

    utilisation: float
    waits: dict[str, float]
    p50: dict[str, float]
    p95: dict[str, float]
    thumb: int
    dollars: float
    price: Price

    def dollars_per_thousand(self, rate: float) -> float:
        """US dollars for a thousand requests at a rate of requests a second."""
        return self.dollars / (rate * 86_400) * 1000


def day(service_time: float, rate: float, at_once: int, instances: int, instance: str) -> Day:
    """A day of a steady load.

    Args:
        service_time: seconds that a request takes.
        rate: requests a second.
        at_once: requests that an instance works on at once.
        instances: in service.
        instance: SageMaker's name, a line of the price table.

    Raises:
        CourseError: when a number makes no sense or the price is not known.

    >>> found = day(0.73, rate=5.0, at_once=1, instances=8, instance="ml.g5.xlarge")
    >>> round(found.utilisation, 3), round(found.p95["random"], 2), round(found.dollars, 2)
    (0.456, 2.97, 270.34)
    """
    thumb = instances_for_rate(rate, service_time, at_once)
    if instances < 1:
        raise InvalidRequest(f"{instances} instances answer nothing; give at least one")
    price = price_of(instance, REGION)
    shares = {"random": (rate / instances, at_once), "least": (rate, instances * at_once)}
    return Day(
        rate * service_time / (instances * at_once),
        {name: waiting_chance(part, service_time, places) for name, (part, places) in shares.items()},
        {name: wait_percentile(rate, service_time, instances, 50, at_once, name) for name in ROUTINGS},
        {name: wait_percentile(rate, service_time, instances, 95, at_once, name) for name in ROUTINGS},
        thumb,
        price.cost(24, instances),
        price,
    )


def _plot(ax, settings: dict, labels: int) -> None:
    """The p95 of waiting over the number of instances, for both routings, with about ``labels`` numbers below."""
    chosen = settings["instances"]
    least = int(settings["rate"] * settings["service_time"] / settings["at_once"]) + 1
    low, high = max(1, min(least, chosen)), max(chosen + 3, min(least + 7, 2 * MOST))
    counts = sorted({round(low + (high - low) * step / 30) for step in range(31)} | {chosen})
    days = [day(**settings | {"instances": count}) for count in counts]
    for routing in ROUTINGS:
        waits = [max(found.p95[routing], FLOOR) for found in days]
        ax.plot(counts, [wait if math.isfinite(wait) else math.nan for wait in waits], label=NAMES[routing])
    ax.axvline(chosen, color=PALETTE[6], linestyle=":", marker="", label="this setting")
    shown = counts
    if len(counts) > labels:
        shown = [counts[round(step * (len(counts) - 1) / (labels - 1))] for step in range(labels)]
    dollars = dict(zip(counts, (found.dollars for found in days)))
    ax.set_xticks(shown, [f"{count}\n${dollars[count]:,.0f}" for count in shown], fontsize=9)
    ax.set(yscale="log", ylim=(FLOOR / 2, 300), xlabel="instances, and dollars a day")
    ax.minorticks_off()
    ax.set_yticks([FLOOR, 0.1, 1, 10, 100], ["10 ms or less", "0.1 s", "1 s", "10 s", "100 s"])


def seconds(wait: float) -> str:
    """A wait in words.

    >>> seconds(2.996), seconds(0.004), seconds(math.inf)
    ('3.00 s', '0.00 s', 'grows without end')
    """
    return f"{wait:.2f} s" if math.isfinite(wait) else "grows without end"


def draw(**settings) -> Drawing:
    """One setting: waiting over the number of instances, and what a day costs; arguments as of :func:`day`."""
    found = day(**settings)
    fig, ax = axes(height=3.4)
    _plot(ax, settings, labels=9)
    ax.set(ylabel="p95 of the wait")
    fig.legend(loc="outside upper center", ncols=3)
    many = f"{settings['instances']} instance" + ("" if settings["instances"] == 1 else "s")
    if found.utilisation >= 1:
        state = f"{many} can answer {1 / found.utilisation:.0%} of this load: the queue grows without end."
    else:
        verb = "is" if settings["instances"] == 1 else "are"
        state = (
            f"{many} {verb} busy to {found.utilisation:.0%}; 95% of requests wait at most "
            f"{seconds(found.p95['random'])} when instances are chosen at random, {seconds(found.p95['least'])} when "
            "the least busy one is."
        )
    words = f"{state} A day costs {found.dollars:,.2f} USD."
    price, dollars = found.price, found.dollars_per_thousand(settings["rate"])
    waits = [
        (name, *(seconds(wait[routing]) for routing in ROUTINGS))
        for name, wait in (("p50 of the wait", found.p50), ("p95 of the wait", found.p95))
    ]
    rows = [("chance of waiting", *(f"{found.waits[routing]:.1%}" for routing in ROUTINGS)), *waits]
    others = (
        f"Used to a half, by the rule of thumb, {found.thumb} would be needed. 1,000 requests cost {dollars:.3f} USD. "
        f"The price of {price.instance} in {price.region} was {price.usd_per_hour} USD an hour on {price.as_of}; look "
        "it up before money is spent."
    )
    return Drawing(
        fig,
        caption=f"Waiting before a request is worked on, {settings['rate']:g} requests a second of "
        f"{settings['service_time']:g} s, {settings['at_once']} at once on an instance.",
        alt=f"Two falling lines over the number of instances, random choice above the least busy one. {words}",
        above=paragraph(words),
        below=table(("quantity", *(f"{NAMES[routing]}:" for routing in ROUTINGS)), rows) + paragraph(others),
    )


def still() -> Drawing:
    """Three loads of the reference's request of 0.73 s on ml.g5.xlarge, one at a time, at the rule of thumb."""
    fig, places = axes(1, 3, width=8.4, height=3.3, sharey=True)
    said = []
    for ax, rate in zip(places, (1.0, 5.0, 20.0)):
        settings = {"service_time": 0.73, "rate": rate, "at_once": 1, "instance": "ml.g5.xlarge"}
        settings["instances"] = instances_for_rate(rate, 0.73)
        found = day(**settings)
        _plot(ax, settings, labels=4)
        ax.set_title(f"{rate:g} a second: {settings['instances']} by the rule", fontsize=10)
        said.append(
            f"{rate:g} a second, {settings['instances']} instances, {found.dollars:,.0f} dollars a day: p95 "
            f"{seconds(found.p95['random'])} at random, {seconds(found.p95['least'])} with the least busy"
        )
    places[0].set(ylabel="p95 of the wait")
    handles, labels = places[0].get_legend_handles_labels()
    fig.legend(handles, [*labels[:2], "rule of thumb"], loc="outside upper center", ncols=3)
    return Drawing(
        fig,
        caption="Waiting over the number of instances for 1, 5 and 20 requests a second of 0.73 s, one at a time, on "
        f"ml.g5.xlarge (price of {found.price.as_of}; data/cloud/prices.yml has its source). The rule of thumb uses "
        "each instance to a half.",
        alt="Three panels with two falling lines each. At the rule of thumb the wait of random choice grows a little "
        f"with the load, that of the least busy one vanishes. {'; '.join(said)}.",
    )


def widget() -> ipywidgets.VBox:
    """The controls, and the drawing of their values."""
    here = [price.instance for price in price_table() if price.region == REGION]
    return explore(
        draw,
        service_time=number("seconds a request", 0.73, 0.001, 600, 0.05),
        rate=number("requests a second", 5, 0.01, 10_000, 0.5),
        at_once=whole_number("at once on an instance", 1, 1, 64),
        instances=whole_number("instances", 8, 1, MOST),
        instance=choice("instance", here, "ml.g5.xlarge"),
    )
