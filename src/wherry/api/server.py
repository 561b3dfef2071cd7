"""Puts the routes of every group together and serves them for one engine."""

from wherry.api import (
    archive,
    build,
    container_streams,
    containers,
    distribution,
    events,
    exec,
    images,
    networks,
    openapi,
    plugins,
    swarm,
    system,
    volumes,
)
from wherry.api.distribution import Registries
from wherry.api.router import Router
from wherry.engine.engine import Engine
from wherry.registry.client import RegistryClient


def routes(engine: Engine) -> Router:
    """Every endpoint, each group with the part of the engine that it works on."""
    router = Router()
    router.add(engine, system.ROUTES)
    router.add(engine.services, containers.ROUTES + container_streams.ROUTES + archive.ROUTES + exec.ROUTES)
    router.add(engine.images, images.ROUTES)
    router.add(engine.services, networks.ROUTES)
    router.add(Registries(engine.settings, RegistryClient(engine.settings)), distribution.ROUTES)
    router.add(engine.volumes, volumes.ROUTES)
    router.add(engine.events, events.ROUTES)
    router.add(None, swarm.ROUTES + plugins.ROUTES + build.ROUTES)
    router.add(router, openapi.ROUTES)
    return router
