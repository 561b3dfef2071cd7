"""/events: what happens, as it happens."""

import time

from wherry.api.event_filter import matches
from wherry.api.filters import parse_filters
from wherry.api.request import Request
from wherry.api.router import Route
from wherry.api.streams import JsonStream
from wherry.containers.times import parse_time_ns
from wherry.errors import InvalidParameter
from wherry.events.bus import EventBus, SubscriptionOverflow


def _events(bus: EventBus, request: Request) -> None:
    query = request.query
    since, until = _moment(query.text("since")), _moment(query.text("until"))
    if since is not None and until is not None and since > until:
        raise InvalidParameter(
            f"`since` time ({query.text('since')}) cannot be after `until` time ({query.text('until')})"
        )
    filters = parse_filters(query.text("filters"))
    # Subscribed before the history is read: what happens between is in both, and told once.
    with bus.subscribe() as subscription, JsonStream(request) as stream:
        stream.start()
        request.disconnected.on_set(subscription.close)
        last_ns = 0
        if since is not None or until is not None:
            for past in bus.history(since or 0, until):
                last_ns = past["timeNano"]
                if matches(past, filters):
                    stream.write(past)
        while not request.disconnected.is_set():
            left = None if until is None else (until - time.time_ns()) / 1e9
            if left is not None and left <= 0:
                return
            try:
                event = subscription.get(left)
            except SubscriptionOverflow:
                return  # too slow a reader (R30): its stream ends, it may come back with `since`
            if event is not None and event["timeNano"] > last_ns and matches(event, filters):
                stream.write(event)


def _moment(text: str) -> int | None:
    return parse_time_ns(text, time.time_ns()) if text else None


ROUTES: tuple[Route[EventBus], ...] = (Route("GET", "/events", _events),)
