"""A call graph in GraphML, as networkx writes it."""

from __future__ import annotations

from lorelint.model.graph import Graph


def graphml(graph: Graph) -> str:
    """The text; attributes carry the names of `Node` and `Edge`."""
    import networkx as nx

    made: nx.MultiDiGraph[str] = nx.MultiDiGraph(title=graph.title, tree=graph.tree)
    for node in graph.nodes:
        made.add_node(
            node.id,
            kind=node.kind.value,
            name=node.name,
            path=node.path,
            line=node.line,
            part=node.part,
            root=node.root,
            api=node.api,
            entry=node.entry,
            note=node.note,
        )
    for at, edge in enumerate(graph.edges):
        made.add_edge(
            edge.source,
            edge.target,
            key=f"e{at}",
            kind=edge.kind.value,
            path=edge.path,
            line=edge.line,
            count=edge.count,
            label=edge.label,
            sure=edge.sure,
        )
    return "\n".join(nx.generate_graphml(made, named_key_ids=True)) + "\n"
