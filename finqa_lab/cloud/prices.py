"""What an hour costs: one dated table, ``data/cloud/prices.yml``; no price stands in code.

Every price has a region, a day and a source. A price that is not in the table is an error, not a guess: a plan without
a price cannot be confirmed.
"""

import datetime
import math
from dataclasses import dataclass

from finqa_lab.cloud.errors import InstanceUnavailable
from finqa_lab.errors import CourseError
from finqa_lab.files import data_path, data_root, register_data

PRICES_FILE = "cloud/prices.yml"
HOURS_A_MONTH = 730


@dataclass(frozen=True)
class Price:
    """What one instance costs.

    Attributes:
        instance: SageMaker's name, ``ml.g5.xlarge``.
        region: of the price.
        usd_per_hour: on demand, for hosting.
        as_of: the day on which the price was looked up.
        source: where.
        gpu: what it computes on, as text; empty for none.
    """

    instance: str
    region: str
    usd_per_hour: float
    as_of: datetime.date
    source: str
    gpu: str = ""

    def cost(self, hours: float, instances: int = 1) -> float:
        """US dollars for a number of instances over some hours; the service bills by the second."""
        return self.usd_per_hour * hours * instances

    def age_days(self, today: datetime.date) -> int:
        """Days since the price was looked up."""
        return (today - self.as_of).days


def price_table() -> list[Price]:
    """All prices that are known.

    Raises:
        CourseError: when the table is damaged, or an entry lacks a field or has a price that is none.
    """
    import yaml

    path = data_path(PRICES_FILE)
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["prices"]
        table = [Price(**entry) for entry in entries]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CourseError(f"the price table {path} cannot be read: {error}; restore it from version control") from None
    for price in table:
        good = isinstance(price.usd_per_hour, int | float) and 0 < price.usd_per_hour < math.inf
        if not (good and isinstance(price.as_of, datetime.date) and price.source):
            raise CourseError(f"the price of {price.instance} in {path} needs a positive price, a day and a source")
    return table


def price_of(instance: str, region: str) -> Price:
    """The price of an instance in a region.

    >>> price_of("ml.g5.xlarge", "us-east-1").cost(hours=2)
    2.816

    Raises:
        InstanceUnavailable: when the table has no such line.
    """
    table = price_table()
    for price in table:
        if (price.instance, price.region) == (instance, region):
            return price
    regions = sorted({price.region for price in table if price.instance == instance})
    if regions:
        raise InstanceUnavailable(
            f"the price table has {instance} in {', '.join(regions)}, not in {region}; look the price up, see that the "
            f"region has the instance, and add a line to data/{PRICES_FILE}"
        )
    here = ", ".join(sorted(price.instance for price in table if price.region == region)) or "none"
    raise InstanceUnavailable(f"the price table has no {instance}; in {region} it has {here}")


def main() -> None:
    """Check the table after an edit and note its SHA-256 in the manifest."""
    path = data_root() / PRICES_FILE
    print(register_data(PRICES_FILE, path.read_bytes(), "python -m finqa_lab.cloud.prices"))
    for price in price_table():
        print(f"{price.instance} in {price.region}: {price.usd_per_hour} USD an hour on {price.as_of}")


if __name__ == "__main__":
    main()
