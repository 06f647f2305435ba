"""Open files and connections: as many as the system lets this process have."""

from __future__ import annotations

ENOUGH = 65_536  # visitors' connections may be 900, and each upload has files open


def allow_more() -> None:
    """Raise the soft limit, often 1,024, up to the hard one. Where it cannot be, it stays."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
