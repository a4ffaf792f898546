"""The decoder: register-gated Mamba blocks from coarse to fine, with a branch for every task."""

from torch import Tensor, nn

from perception.backbones.timm_import import import_timm
from perception.m2hmx.convolutions import conv_norm_gelu
from perception.m2hmx.resize import resize, size_of
from perception.mamba import Mamba

LEVELS = 4


class RegisterGatedMamba(nn.Module):
    """A Mamba block over the cells of a map, row by row, gated by the register tokens.

    The gate weights the channels of what Mamba sees; the residual goes around both.
    """

    def __init__(self, channels: int, state: int, drop_path: float):
        """Build the block.

        Args:
            channels: Of the map.
            state: State size of Mamba.
            drop_path: Probability of dropping a branch in training, drawn per sample and branch.
        """
        super().__init__()
        hidden = max(channels // 4, 16)
        self.register_gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )
        self.norm = nn.LayerNorm(channels)
        self.mamba = Mamba(channels, d_state=state)
        self.ffn = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            nn.Linear(2 * channels, channels),
        )
        self.drop_path = import_timm().layers.DropPath(drop_path)

    def forward(self, x: Tensor, registers: Tensor | None) -> Tensor:
        """Weigh a map.

        Args:
            x: float [B, C, h, w].
            registers: float [B, C]; zeros are used where there are none.
        """
        tokens = x.flatten(2).transpose(1, 2)
        if registers is None:
            registers = x.new_zeros(x.shape[:2])
        gate = self.register_gate(registers).unsqueeze(1)
        tokens = tokens + self.drop_path(self.mamba(self.norm(tokens * gate)))
        # The same norm again, and the FFN begins with one of its own.
        tokens = tokens + self.drop_path(self.ffn(self.norm(tokens)))
        return tokens.transpose(1, 2).reshape(x.shape)


class TaskDecoder(nn.Module):
    """Visits the levels coarse to fine (index 0 is p5) and branches off a map per task at each.

    With ``register_gated_mamba=False`` there are no Mamba blocks: a level's map and what comes from the
    coarser one pass on as they are.
    """

    def __init__(
        self, channels: int, tasks: int, state: int, drop_path: float, *, register_gated_mamba: bool = True
    ):
        super().__init__()
        self.register_blocks = (
            nn.ModuleList(RegisterGatedMamba(channels, state, drop_path) for _ in range(LEVELS))
            if register_gated_mamba
            else None
        )
        self.task_branches = nn.ModuleList(
            nn.ModuleList(conv_norm_gelu(channels, channels, 3) for _ in range(tasks)) for _ in range(LEVELS)
        )

    def forward(self, levels: tuple[Tensor, ...], registers: Tensor | None) -> list[list[Tensor]]:
        """Decode.

        Args:
            levels: p2, p3, p4, p5, each float [B, C, h, w].
            registers: float [B, C] or None.

        Returns:
            Per task its maps at p2, p3, p4, p5.
        """
        shared: Tensor | None = None
        decoded: list[list[Tensor]] = []
        for step, level in enumerate(reversed(levels)):
            size = size_of(level)
            shared = level if shared is None else level + resize(shared, size)
            if self.register_blocks is not None:
                shared = self.register_blocks[step](shared, registers)
            maps = [branch(shared) for branch in self._branches(step)]
            if decoded:
                maps = [x + resize(coarser, size) for x, coarser in zip(maps, decoded[-1], strict=True)]
            decoded.append(maps)
        return [list(maps) for maps in zip(*reversed(decoded), strict=True)]

    def _branches(self, step: int) -> nn.ModuleList:
        """The branches of all tasks at a level, 0 for p5."""
        return self.task_branches[step]  # type: ignore[return-value]
