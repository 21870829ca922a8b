"""Upstreams of environments: one function, one part of a transaction."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from tollbridge.routing.group import Group
from tollbridge.storage.control import raise_generation, require_environment
from tollbridge.storage.session import Row, Session
from tollbridge.units import EnvId


def find(session: Session, env_id: EnvId, name: str) -> tuple[int, Group | None]:
    """One statement, so that the group and the generation are of one moment."""
    rows = session.rows("find_group", env_id, name)
    if not rows:
        return 0, None
    generation = rows[0][0]
    group = None if rows[0][1] is None else _read([row[1:] for row in rows])
    return generation, group


def put(session: Session, group: Group, *, replace: bool) -> bool:
    """False: there is one, and it was not to be replaced."""
    key = (group.env_id, group.name)
    raise_generation(session, group.env_id)
    if not replace and session.row("has_group", *key) is not None:
        return False
    session.write("delete_group_models", key)
    session.write(
        "put_group",
        (
            *(*key, group.base_url, group.protocol, group.dialect, group.output_limit),
            *(group.secret, group.hint, group.created_at),
        ),
    )
    session.write("insert_group_model", *((*key, model) for model in group.models))
    return True


def remove(session: Session, env_id: EnvId, name: str) -> bool:
    """False: there is none."""
    raise_generation(session, env_id)
    if session.row("has_group", env_id, name) is None:
        return False
    session.write("delete_group_models", (env_id, name))
    session.write("delete_group", (env_id, name))
    return True


def listed(session: Session, env_id: EnvId | None) -> list[Group]:
    """Of one environment or of all, by environment and name."""
    if env_id is not None:
        require_environment(session, env_id)
    rows = session.rows("groups", env_id)
    return [_read(list(of_one)) for _, of_one in groupby(rows, itemgetter(0, 1))]


def _read(rows: Sequence[Row]) -> Group:
    """From a row for each of its models, or one without a model."""
    env_id, name, base_url, protocol, dialect, output_limit, secret, hint, created_at, _ = rows[0]
    return Group(
        env_id=env_id,
        name=name,
        base_url=base_url,
        protocol=protocol,
        dialect=dialect,
        models=tuple(row[-1] for row in rows if row[-1] is not None),
        output_limit=output_limit,
        secret=bytes(secret),
        hint=hint,
        created_at=created_at,
    )
