"""The normals head: surface normals, unit vectors."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from perception.m2hmx.convolutions import conv
from perception.m2hmx.cross_task_mixing import CrossTaskMixer
from perception.m2hmx.heads.trunk import OUTPUT_FACTOR, HeadOutput, HeadTrunk
from perception.m2hmx.msca import ContextAttention
from perception.m2hmx.resize import enlarge


class NormalsHead(HeadTrunk):
    """Surface normals. Those for training from coarser levels are not normalised.

    The map that other tasks see is the mixed one, before the context block of ``context=True``.
    """

    def __init__(self, channels: int, mixer: CrossTaskMixer | None, *, context: bool = False):
        """Build the head.

        Args:
            channels: Of the maps.
            mixer: Of the other tasks; None to look at none.
            context: Whether the mixed map goes through an MSCA before the projection.
        """
        super().__init__(channels, outputs=3)
        self.context_mixer = mixer
        self.context = ContextAttention(channels) if context else None
        self.normal_proj = nn.Sequential(
            conv(channels, channels, 1, bias=False), nn.GELU(), conv(channels, 3, 1)
        )

    def forward(self, maps: Sequence[Tensor], contexts: Mapping[str, Tensor]) -> HeadOutput:
        """Predict ``normals``, float [B, 3, 4 h2, 4 w2], of length 1.

        Args:
            maps: The task's maps at p2, p3, p4, p5.
            contexts: The maps of the other tasks.
        """
        x, aux = self.trunk(maps)
        mixed = x if self.context_mixer is None else self.context_mixer(x, contexts)
        z = mixed if self.context is None else self.context(mixed)
        normals = enlarge(self.normal_proj(z), OUTPUT_FACTOR)
        return HeadOutput({"normals": _unit(normals)}, context=mixed, aux=aux)


def _unit(x: Tensor) -> Tensor:
    """Vectors along the channels brought to length 1; shorter than 1e-12 they stay short."""
    # torch's normalize says the same and is many times slower on a CPU, where it norms strided vectors.
    return x * x.square().sum(dim=1, keepdim=True).clamp_min(1e-24).rsqrt()
