"""What makes training of image networks fast, one switch each; all off is the plain reference."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch
from torch import nn

from kdutils.errors import ParameterError, one_of


@dataclass(frozen=True, kw_only=True)
class Speedups:
    """channels_last: the channels of a pixel side by side in memory. bf16: networks in bfloat16 where autocast finds it
    safe; losses, gradients of weights and the optimiser stay in single precision (in which a GPU's convolutions use
    TF32, unless `torch.backends.cudnn.allow_tf32` is off). compiled: torch.compile. cuda_graphs: a whole step recorded
    once and replayed (with torch's fused optimiser, as the recording needs it). cudnn_benchmark: cuDNN tries its
    algorithms for each shape. fused: torch's fused SGD, one kernel for all parameters. folded: a teacher's batch norms
    become part of its convolutions, and with bf16 its weights are kept in it.
    """

    channels_last: bool = False
    bf16: bool = False
    compiled: bool = False
    cuda_graphs: bool = False
    cudnn_benchmark: bool = False
    fused: bool = False
    folded: bool = False

    def check(self, device: torch.device) -> None:
        """ParameterError if something is on that this device does not have."""
        if self.cuda_graphs and device.type != "cuda":
            raise ParameterError(f"cuda_graphs must be off on this device: it needs a CUDA one, got {device}.")

    def place(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network on the device, its weights in the order of these switches; in place."""
        return network.to(device, memory_format=torch.channels_last if self.channels_last else torch.preserve_format)

    def precision(self, device: torch.device) -> torch.autocast:
        """The context in which networks run."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.bf16)

    @contextmanager
    def set(self) -> Iterator[None]:
        """cuDNN's setting, for as long as the context lasts."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = self.cudnn_benchmark
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before

    def ready(self, work: Callable) -> Callable:
        """`work`, compiled for one shape if that switch is on, else as it is."""
        if not self.compiled:
            return work
        # Each kind of network compiles the same code anew; past the limit torch would quietly stop compiling.
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        return torch.compile(work, dynamic=False)

    def __str__(self) -> str:
        on = [field.name.replace("_", " ") for field in fields(self) if getattr(self, field.name)]
        return ", ".join(on) or "all switches off"


PLAIN = Speedups()


def fast(device: str | torch.device, compiled: bool | None = None) -> Speedups:
    """The switches that pay on this device.

    A GPU: all of them. A CPU: channels_last, fused and folded, and bf16 where the processor computes with it;
    compiling costs half a minute and gains little there.
    """
    if torch.device(device).type == "cuda":
        return Speedups(channels_last=True, bf16=True, compiled=compiled is not False, cuda_graphs=True,
                        cudnn_benchmark=True, fused=True, folded=True)
    return Speedups(channels_last=True, bf16=_bf16_in_hardware(), compiled=bool(compiled), fused=True, folded=True)


CHOICES: dict[str, Callable[[str], Speedups]] = {
    "plain": lambda device: PLAIN,
    "fast": fast,
    "fast, not compiled": lambda device: fast(device, compiled=False),
    "single precision": lambda device: Speedups(**(vars(fast(device)) | {"bf16": False})),
}


def chosen(name: str, device: str) -> Speedups:
    """The switches of this name on this device."""
    return CHOICES[one_of("switches", name, CHOICES)](device)


def _bf16_in_hardware() -> bool:
    """True where the CPU multiplies in bfloat16; unknown means False."""
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("bf16"))
