"""What a request may ask of the application it came to, and who sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from flask import current_app, g, request

from api.elsewhere import Elsewhere
from api.start import Start
from lambdaqueue.administration import Administration
from lambdaqueue.authentication import Authentication
from lambdaqueue.callbacks import Callbacks
from lambdaqueue.config import Settings
from lambdaqueue.connection import Redis, connect, scripts_of
from lambdaqueue.executing import Executions
from lambdaqueue.finding import Finding
from lambdaqueue.first_answers import FirstAnswers
from lambdaqueue.identity import Actor, Identity
from lambdaqueue.overview import Overviews
from lambdaqueue.purging import Purging
from lambdaqueue.replaying import Replaying
from lambdaqueue.scheduling import Scheduling
from lambdaqueue.service import Service
from lambdaqueue.services import ServiceJobs
from lambdaqueue.signing_in import SigningIn
from lambdaqueue.targets import TargetRules
from lambdaqueue.timers import Timers
from lambdaqueue.waiting import Waiters

__all__ = [
    "EXTENSION",
    "Parts",
    "actor",
    "address",
    "administration",
    "environment",
    "executions",
    "identity",
    "parts",
    "purging",
    "replaying",
    "scheduling",
    "service",
    "service_jobs",
    "timers",
    "try_out",
    "waiters",
]

EXTENSION = "lambdaqueue"
"""The name under which an app keeps its parts."""

MAX_ADDRESS = 45
"""Characters of the longest spelling of an IP address. A proxy may pass on anything."""


# Each is equal to itself only: what is remembered for one app is not meant for another.
@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What an application is made of, on one connection pool."""

    settings: Settings
    service: Service
    purging: Purging
    replaying: Replaying
    waiters: Waiters
    scheduling: Scheduling
    first_answers: FirstAnswers
    administration: Administration
    authentication: Authentication
    signing_in: SigningIn
    elsewhere: Elsewhere
    targets: TargetRules
    timers: Timers
    service_jobs: ServiceJobs
    executions: Executions
    callbacks: Callbacks
    finding: Finding
    overviews: Overviews
    start: Start
    client: Redis

    @classmethod
    def of(cls, settings: Settings) -> Parts:
        """Make them; nothing is dialled yet.

        Raises:
            ConfigurationError: LQ_MASTER_KEYS is missing or malformed.
        """
        client = connect(settings)
        administration = Administration(client, settings)
        elsewhere = Elsewhere()
        signing_in = SigningIn(client, elsewhere)
        return cls(
            settings=settings,
            service=Service(client),
            purging=Purging(client),
            replaying=Replaying(client),
            waiters=Waiters(client),
            scheduling=Scheduling(client),
            first_answers=FirstAnswers(client),
            administration=administration,
            authentication=Authentication(client),
            signing_in=signing_in,
            elsewhere=elsewhere,
            targets=settings.targets,
            timers=Timers(client),
            service_jobs=ServiceJobs(client),
            executions=Executions(client),
            callbacks=Callbacks(client),
            finding=Finding(client),
            overviews=Overviews(client),
            start=Start(administration, settings.public_url),
            client=client,
        )

    def close(self) -> None:
        """Close its connections to Redis, for whoever makes more than one app in a process."""
        self.waiters.close()
        self.elsewhere.close()
        scripts_of(self.client).close()
        self.client.close()


def try_out(env: Mapping[str, str]) -> None:
    """Do what the start of an app does, and close everything again.

    Raises:
        ConfigurationError: no app can start with these settings.
    """
    made = Parts.of(Settings.from_env(env))
    try:
        made.start.begin()
    finally:
        made.close()


def parts() -> Parts:
    """Return what this app was built of."""
    return cast(Parts, current_app.extensions[EXTENSION])


def service() -> Service:
    """Return this app's service."""
    return parts().service


def purging() -> Purging:
    """Return what deletes a queue's jobs and entries for this app."""
    return parts().purging


def replaying() -> Replaying:
    """Return what pushes ended jobs again for this app."""
    return parts().replaying


def waiters() -> Waiters:
    """Return those who wait in this process for a job to end."""
    return parts().waiters


def timers() -> Timers:
    """Return what this app knows of timers."""
    return parts().timers


def service_jobs() -> ServiceJobs:
    """Return what this app knows of service jobs."""
    return parts().service_jobs


def executions() -> Executions:
    """Return what this app asks about executions."""
    return parts().executions


def scheduling() -> Scheduling:
    """Return what this app asks about schedules."""
    return parts().scheduling


def administration() -> Administration:
    """Return this app's administration."""
    return parts().administration


def identity() -> Identity:
    """Return whom the request's token stands for."""
    return cast(Identity, g.identity)


def environment() -> str:
    """Return the environment that the request's token belongs to."""
    return identity().environment


def actor() -> Actor:
    """Return whom the audit names for what this request does."""
    return Actor(environment(), identity().token_name, address())


def address() -> str:
    """Return where the request came from, as far as proxies are trusted; "" where nobody knows."""
    return (request.remote_addr or "")[:MAX_ADDRESS]
