# SPDX-FileCopyrightText: the covirt authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a host is what its cluster demands."""

from collections.abc import Iterable

from covirt.engine.model.cluster import Architecture, Cluster, ClusterFeature
from covirt.engine.model.host import HostFacts


def unfitness(facts: HostFacts, cluster: Cluster, features: Iterable[ClusterFeature]) -> str:
    """Why the host cannot work in the cluster, as a sentence; empty when it can. ``features``: those that the cluster
    has enabled."""
    level = str(cluster.version)
    if level not in facts.cluster_levels:
        levels = ",".join(facts.cluster_levels) or "none"
        return (
            f"It is compatible with versions ({levels}) and cannot join Cluster {cluster.name} which is set to "
            f"version {level}."
        )
    unknown = Architecture.UNDEFINED
    if cluster.cpu_architecture not in (unknown, facts.architecture) and facts.architecture is not unknown:
        return (
            f"Its architecture is {facts.architecture}, and that of Cluster {cluster.name} is "
            f"{cluster.cpu_architecture}."
        )
    there = {feature.lower() for feature in facts.features}
    for feature in sorted(features, key=lambda feature: feature.name):
        if feature.name.lower() not in there:
            reason = facts.containers_reason if feature.name.lower() == "containers" else ""
            told = f": {reason}" if reason else ""
            return f"Cluster {cluster.name} demands the feature {feature.name}, which the host does not have{told}."
    return ""
