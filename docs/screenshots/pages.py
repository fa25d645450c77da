"""Which pages have pictures, and in which looks: the one list that all else goes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DESKTOP", "FOLDER", "LOOKS", "PAGES", "WITHOUT", "Look", "Page", "pictures"]

FOLDER = Path(__file__).parent

E = "/admin/e/default"
RQ_LIST = "<queue_name>/<registry_name>/<per_page>/<order>/<page>"


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at; `suffix` ends the name of the picture. Sizes are CSS pixels."""

    suffix: str
    width: int = 1_280
    dark: bool = False


DESKTOP = Look("")
LOOKS = (DESKTOP, Look("-dark", dark=True), Look("-360", width=360))
ALONE = (DESKTOP,)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its picture's name, its address with ids of the demo in braces, and its looks.

    `route` is its rule in the application, below /admin and with `E` for an environment, as in
    tests/api/admin/routes.py; empty for what isn't the panel's. Those that are `open` are for
    people who haven't signed in.
    """

    name: str
    path: str
    route: str = ""
    looks: tuple[Look, ...] = ALONE
    open: bool = False
    longest: int = 1_800
    """Pixels of its height that are shown at most."""


PAGES = (
    Page("first-account", "{first}", "/first", open=True),
    Page("sign-in", "/admin/sign-in", "/sign-in", open=True),
    Page("overview", f"{E}/overview", "E/overview", LOOKS),
    Page("queues", f"{E}/queues", "E/queues"),
    Page("queue", f"{E}/queues/thumbnails", "E/queues/<queue:queue>", LOOKS),
    Page("queue-resting", f"{E}/queues/webhooks/globex", "E/queues/<queue:queue>"),
    Page("queue-items", f"{E}/queues/mail/items", "E/queues/<queue:queue>/items"),
    Page(
        "queue-history", f"{E}/queues/mail/history", "E/queues/<queue:queue>/history", longest=900
    ),
    Page("queue-settings", f"{E}/queue-settings/payments", "E/queue-settings/<queue:queue>"),
    Page("item", f"{E}/items/{{retrying}}", "E/items/<item_id>", LOOKS),
    Page("item-waiting", f"{E}/items/{{waiting}}", "E/items/<item_id>"),
    Page("item-edit", f"{E}/items/{{waiting}}/edit", "E/items/<item_id>/edit"),
    Page(
        "history-entry",
        f"{E}/queues/stock-sync/history/{{entry}}",
        "E/queues/<queue:queue>/history/<entry>",
    ),
    Page("schedules", f"{E}/schedules", "E/schedules"),
    Page("schedule", f"{E}/schedules/{{schedule}}", "E/schedules/<schedule_id>"),
    Page("services", f"{E}/services", "E/services"),
    Page("service", f"{E}/services/{{service}}/{{job}}", "E/services/<service>/<job>"),
    Page("execution", f"{E}/executions/{{execution}}", "E/executions/<name>", LOOKS),
    Page("search", f"{E}/search?state=FAILED", "E/search"),
    Page("search-named", f"{E}/search?q=webhooks", "E/search"),
    Page("settings", f"{E}/settings", "E/settings"),
    Page("audit", f"{E}/audit", "E/audit"),
    Page("environments", "/admin/environments", "/environments"),
    Page("empty", "/admin/e/staging/overview", "E/overview"),
    Page("account", "/admin/account", "/account"),
    Page("accounts", "/admin/accounts", "/accounts"),
    Page("account-of-another", "/admin/accounts/eva", "/accounts/<account>"),
    Page("prove", "/admin/prove", "/prove"),
    Page("rq-queues", "/admin/rq/0/view/queues", "/rq/0/view/queues"),
    Page("rq-workers", "/admin/rq/0/view/workers", "/rq/0/view/workers"),
    Page("rq-jobs", "/admin/rq/0/view/jobs{rq_list}", f"/rq/0/view/jobs/{RQ_LIST}"),
    Page("rq-job", "/admin/rq/0/view/job/{rq_job}", "/rq/0/view/job/<job_id>"),
    Page("api-docs", "/docs", longest=1_000),
)
"""In this order: the first account is what the others are looked at with."""

WITHOUT = frozenset(
    {
        "",
        "/",
        "E",
        "E/",
        "/rq",
        "/rq/",
        "/rq/0/view/jobs",
        "/static/<filename>",
        "/<path:rest>",
    }
)
"""What has no picture, beside data: ways to pages that have one, files, and what isn't there."""


def pictures() -> Iterator[tuple[Page, Look, Path]]:
    """Yield every picture: of what, how, and its file."""
    for page in PAGES:
        for look in page.looks:
            yield page, look, FOLDER / f"{page.name}{look.suffix}.png"
