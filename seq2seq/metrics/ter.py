"""Translation edit rate: Snover et al. (2006), as sacreBLEU computes it."""

from typing import Any

from seq2seq.metrics.sacre import SacreMetric


class Ter(SacreMetric):
    """Edits (insertions, deletions, substitutions, shifts of phrases) per hundred reference tokens; lower is better."""

    def __init__(self, *, normalized: bool, no_punct: bool, asian_support: bool, case_sensitive: bool) -> None:
        from sacrebleu.metrics import TER

        metric = TER(
            normalized=normalized, no_punct=no_punct, asian_support=asian_support, case_sensitive=case_sensitive
        )
        super().__init__("ter", metric)

    def higher_is_better(self, name: str) -> bool:
        """Never: it counts errors."""
        return False

    def details(self, score: Any) -> dict[str, float]:
        """The edits and the tokens of the references (their mean, where there are several)."""
        return {"edits": float(score.num_edits), "reference_length": float(score.ref_length)}
