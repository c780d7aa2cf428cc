"""CUDA graphs: a step recorded once and replayed, one launch instead of hundreds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def aside(stream: torch.cuda.Stream) -> Iterator[None]:
    """Work on another stream, in turn with the present one."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


def capture(work: Callable[[], None], stream: torch.cuda.Stream) -> Callable[[], None]:
    """What replays `work` on the GPU."""
    graph = torch.cuda.CUDAGraph()
    # Other threads, such as a data loader's, may go on using the GPU meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay
