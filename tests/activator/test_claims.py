"""Who has which host, whatever comes and goes in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from activator.claims import Claimant, Claims, Sort
from activator.routing import Compiled, Destination, HostRoutes, Table
from core.resources.meta import ObjectKey
from core.stats import RevisionKey

HOSTS = (b"a.test", b"b.test", b"c.test")
CREATED = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")


def routes(name: str) -> HostRoutes:
    return HostRoutes((), only=Destination(RevisionKey("default", name)))


def claimant(sort: Sort, name: str) -> Claimant:
    return sort, ObjectKey("default", name)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from([claimant(sort, name) for sort in Sort for name in "xyz"]),
        st.sampled_from(CREATED),
        st.sets(st.sampled_from(HOSTS)),
    ),
    max_size=30,
)


@given(CHANGES)
def test_the_table_is_what_all_of_them_make(changes: list[tuple[Claimant, str, set[bytes]]]) -> None:
    table = Table()
    claims = Claims(table.hosts)
    there: dict[Claimant, tuple[str, Compiled]] = {}
    for number, (who, created, hosts) in enumerate(changes):
        created = there[who][0] if who in there else created  # it never changes while an object lives
        compiled = {host: routes(str(number)) for host in hosts}
        changed = claims.put(who, created, compiled)
        before = dict(table.hosts)
        table.change(changed)
        there.pop(who, None)
        if compiled:
            there[who] = (created, compiled)
        expected: dict[bytes, HostRoutes] = {}
        for who_, _ in sorted(there.items(), key=lambda each: (each[0][0], each[1][0], str(each[0][1]))):
            for host, found in there[who_][1].items():
                expected.setdefault(host, found)
        assert table.hosts == expected
        assert {host for host in HOSTS if before.get(host) is not table.hosts.get(host)} <= set(changed)


def test_a_change_costs_its_own_hosts_only() -> None:
    table = Table()
    claims = Claims(table.hosts)
    for number in range(100):
        name = f"s{number}"
        changes = claims.put(claimant(Sort.INGRESS, name), CREATED[0], {name.encode(): routes(name)})
        table.change(changes)
        assert list(changes) == [name.encode()]
    assert list(claims.put(claimant(Sort.INGRESS, "s7"), CREATED[0], {})) == [b"s7"]
