"""Where the line is between policies that restrict and policies that are open to everybody; pure.

What policies let in together is open when on nearly every port of a protocol one of three crowds
gets in nearly whole:

- IPv4 or IPv6: less than one in 256 of the family's unicast addresses is kept out. All but one
  address is open; all but 10.0.0.0/8 or fd00::/8, the addresses of a site, is not. Multicast,
  loopback, link-local and reserved addresses do not count: no connection comes from there.
- the pods of the cluster: a pod without labels gets in from every namespace that exists but the
  policies' own; or from half of them and from a namespace that nobody has made yet, for then the
  selector keeps some out and names none that may come in.

A port counts likewise: less than one in 256 kept out is nearly every port, so that 1 to 8079 and
8081 to 65535 are open, 1024 to 65535 are not. Named ports are single ports.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pytest_readiness.targets.kubernetes.facts import Namespace
from pytest_readiness.targets.kubernetes.reach import (
    FAMILIES,
    PORTS,
    PROTOCOLS,
    Entry,
    Interval,
    Intervals,
    Pod,
    block,
    length,
    merged,
    without,
)

NAMESPACE_NAME = "kubernetes.io/metadata.name"  # the API server itself gives it to each namespace
_LEAST = 256  # one in so many kept out is a restriction
_UNICAST: Mapping[int, Intervals] = {
    4: merged(block(f"{first}.0.0.0/8")[1] for first in range(1, 224) if first != 127),
    6: merged(block(cidr)[1] for cidr in ("2000::/3", "fc00::/7")),
}
_NEWCOMER = "-"  # no namespace can be called so
_Share = str | None  # how much of a crowd gets in: `every`, `nearly every`, or too little to say


class Crowds(NamedTuple):
    """How much of each crowd gets in."""

    four: _Share
    six: _Share
    pods: _Share


def strangers(namespaces: Iterable[Namespace], own: str) -> tuple[Pod, ...]:
    """Return a pod without labels of each namespace but `own`, the first of one yet to be made."""
    return (
        Pod(_NEWCOMER, {NAMESPACE_NAME: _NEWCOMER}, {}),
        *(Pod(n.name, n.labels, {}) for n in namespaces if n.name != own),
    )


def opening(admitted: Iterable[Entry], outside: Sequence[Pod]) -> str | None:
    """Say for whom the policies that let this in are open and on which ports, None for nobody.

    admitted: entries that share no port. outside: the `strangers` against which they were made.
    """
    admitted = tuple(admitted)
    said: dict[tuple[str, str], list[str]] = {}
    for protocol in PROTOCOLS:
        ranges = [
            (entry.at, _crowds(entry, len(outside)))
            for entry in admitted
            if entry.protocol == protocol and not isinstance(entry.at, str)
        ]
        found = [_over_ports(ranges, crowd) for crowd in range(3)]
        who = _who(Crowds(*(share for share, _ in found)))
        if who:
            most = "nearly every" if any(nearly for share, nearly in found if share) else "every"
            said.setdefault((who, most), []).append(protocol)
    parts = [f"{who} in on {_port_words(most, of)}" for (who, most), of in said.items()]
    return f"lets {', and '.join(parts)}" if parts else None


def _over_ports(ranges: Sequence[tuple[Interval, Crowds]], crowd: int) -> tuple[_Share, bool]:
    """Return the share of a crowd that gets in on nearly every port, and whether some are shut."""
    there = [(at, share) for at, crowds in ranges if (share := crowds[crowd]) is not None]
    shut = length([PORTS]) - length(at for at, _ in there)
    if not _is_few(shut, length([PORTS])):
        return None, False
    return min((share for _, share in there), key=["nearly every", "every"].index), shut > 0


def _crowds(entry: Entry, pods: int) -> Crowds:
    sources = entry.sources
    return Crowds(
        _of_family(4, sources.four), _of_family(6, sources.six), _of_pods(sources.pods, pods)
    )


def _of_family(family: int, let_in: Intervals) -> _Share:
    if let_in == (FAMILIES[family],):
        return "every"
    unicast = _UNICAST[family]
    return "nearly every" if _is_few(length(without(unicast, let_in)), length(unicast)) else None


def _of_pods(let_in: frozenset[int], pods: int) -> _Share:
    """Return the share of the strangers; the one at 0 is the newcomer."""
    exist = pods - 1
    newcomer, others = 0 in let_in, len(let_in - {0})
    if others == exist and (newcomer or exist):
        return "every"
    return "nearly every" if newcomer and 2 * others >= exist else None


def _is_few(kept_out: int, of: int) -> bool:
    return kept_out * _LEAST < of


def _who(crowds: Crowds) -> str:
    if set(crowds) == {"every"}:
        return "everybody"
    said = []
    for share in ("every", "nearly every"):
        families = ((crowds.four, "0.0.0.0/0"), (crowds.six, "::/0"))
        blocks = [cidr for found, cidr in families if found == share]
        if blocks:
            said.append(f"{share} address of {' and '.join(blocks)}")
    if crowds.pods:
        said.append(f"{crowds.pods} pod of every namespace")
    return " and ".join(said)


def _port_words(most: str, protocols: Sequence[str]) -> str:
    return f"{most} {'' if len(protocols) == len(PROTOCOLS) else ' and '.join(protocols) + ' '}port"
