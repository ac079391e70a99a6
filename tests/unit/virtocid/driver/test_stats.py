# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of many domains have an answer as long as there are domains, whatever list is asked for."""

from covirt.common.root import Root
from covirt.virtocid.dispatch import ClientFacts, Context
from covirt.virtocid.driver.domain import Domain
from covirt.virtocid.driver.handlers.stats import StatsHandlers
from covirt.wire import procedures as proc
from covirt.wire.structs_connect import ConnectGetAllDomainStatsArgs
from tests.support.fake_services import fake_host, write_image

STRANGER = ClientFacts(number=1, uid=65534, gid=65534, pid=1, readonly=True, connection_name="")


def test_a_list_full_of_one_domain(root_dir: Root) -> None:
    write_image(root_dir)
    with fake_host(root_dir) as host:
        one, two = host.define("one"), host.define("two")
        handlers = StatsHandlers(host.driver)

        def names(*domains: Domain) -> list[str]:
            args = ConnectGetAllDomainStatsArgs(doms=tuple(each.remote for each in domains), stats=1, flags=0)
            context = Context(client=STRANGER, procedure=proc.CONNECT_GET_ALL_DOMAIN_STATS)
            return [record.dom.name for record in handlers.all_domain_stats(context, args).ret_stats]

        assert names(two, two) == ["two", "two"]  # as libvirt answers it
        assert names(*[one] * 3000, two) == ["one", "two"]
