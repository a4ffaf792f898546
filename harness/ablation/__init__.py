"""What each part of a backend contributes: the same experiment with its variants, side by side."""

from harness.ablation.directory import AblationDirectory
from harness.ablation.variants import plan_ablation
from harness.ablation.writing import print_table, write_results

__all__ = ["AblationDirectory", "plan_ablation", "print_table", "write_results"]
