"""Restart policies, in Docker's words (moby ``api/types/container/hostconfig.go`` ValidateRestartPolicy)."""

from wherry.containers.config import RestartPolicy
from wherry.errors import InvalidParameter

POLICIES = ("", "no", "always", "unless-stopped", "on-failure")


def check_restart_policy(policy: RestartPolicy) -> None:
    """Raise InvalidParameter for an unknown policy or a count where none is meant."""
    if policy.name not in POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'"
        )
    if policy.name == "on-failure":
        if policy.maximum_retry_count < 0:
            raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
    elif policy.maximum_retry_count != 0:
        raise InvalidParameter(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
            + (" and cannot be negative" if policy.maximum_retry_count < 0 else "")
        )


def restarts(policy: RestartPolicy) -> bool:
    """Whether the policy ever restarts."""
    return policy.name not in ("", "no")
