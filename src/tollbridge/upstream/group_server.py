"""The server of an environment's own group: its secret decrypted, its address guarded."""

from concurrent.futures import ThreadPoolExecutor

from tollbridge.access.cipher import Cipher, UnreadableSecretError
from tollbridge.app.group_directory import LOOP_HEADER
from tollbridge.app.ports import ModelServer
from tollbridge.config import GroupsConfig
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.routing.group import Group
from tollbridge.units import GROUP_LOOKUPS_MAX
from tollbridge.upstream.guard import check_base_url, public_lookup
from tollbridge.upstream.http_client import THREAD_PER_CONNECTION, HttpUpstream
from tollbridge.upstream.model_server import CredentialedServer
from tollbridge.upstream.resolve import Lookup, lookup_in


class GroupServers:
    """Opens the servers of groups; an `app.group_directory.OpenServer`.

    Their names are looked up in threads of their own: whoever names servers whose names take long
    keeps other tenants waiting, but not the operator's upstreams.
    """

    def __init__(
        self,
        config: GroupsConfig,
        cipher: Cipher,
        deployment: str,
        lookup: Lookup | None = None,
    ) -> None:
        if lookup is None:
            lookup = lookup_in(ThreadPoolExecutor(GROUP_LOOKUPS_MAX, "group-names"))
        self._config = config
        self._cipher = cipher
        self._more_headers = ((LOOP_HEADER, deployment),)
        self._lookup = lookup if config.allow_private else public_lookup(lookup)

    def __call__(self, group: Group) -> ModelServer:
        """A server that has not connected yet.

        Neither the environment's proxies are used nor redirects followed: both would lead to
        addresses that nobody has looked at.

        Raises:
            GatewayError: UPSTREAM_CREDENTIAL: its secret cannot be decrypted here, or its address
                is not allowed any more.
        """
        try:
            api_key = open_secret(group, self._cipher)
            check_base_url(group.base_url, self._config)
        except (UnreadableSecretError, ValueError) as error:
            raise GatewayError(
                ErrorCode.UPSTREAM_CREDENTIAL,
                f"Group {group.name!r} cannot be used: {error}. Its owner may add it again; the"
                " operator may see whether every replica has the same secrets_key.",
            ) from error
        upstream = HttpUpstream(
            group.base_url,
            connections_max=self._config.connections_max,
            keep_alive=group.dialect not in THREAD_PER_CONNECTION,
            lookup=self._lookup,
        )
        return CredentialedServer(
            upstream, group.protocol, group.dialect, api_key, self._more_headers
        )


def bound_to(env_id: str, name: str, base_url: str) -> tuple[str, ...]:
    """What the secret of a group is encrypted for: it is sent nowhere else."""
    return ("group", env_id, name, base_url)


def open_secret(group: Group, cipher: Cipher) -> str:
    """Its API key; empty: it needs none.

    Raises:
        UnreadableSecretError: it was encrypted under another key, or for another address.
    """
    if not group.secret:
        return ""
    return cipher.decrypt(group.secret, bound_to(group.env_id, group.name, group.base_url))
