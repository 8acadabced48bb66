"""Decoding a batch of prompts together: the prefix they share once, and no work for rows that have ended.

``transformers.generate`` reads the whole padded batch until its longest row ends, and keeps a copy of the
prompt's common beginning (system message, template, worked example) for every row. On a processor that is most of
the time. Here the common beginning is computed, kept and attended to once, and a row leaves when it is finished.

Greedy, or sampling at a temperature. Not covered: beams, penalties, models with sliding-window attention.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_ATTENTION = "shared_prefix"


class Decoder:
    """Decodes with one model, whose attention it takes over.

    Parameters
    ----------
    network : PreTrainedModel
        A causal language model of transformers, in evaluation mode.
    """

    def __init__(self, network: Any):
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface, eager_mask

        AttentionInterface.register(_ATTENTION, _attend)
        AttentionMaskInterface.register(_ATTENTION, eager_mask)
        network.set_attn_implementation(_ATTENTION)
        self.network = network

    def decode(
        self,
        prompts: Sequence[list[int]],
        *,
        finished: Callable[[int, int], bool],
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[int]]:
        """Continue every prompt until it is finished.

        Parameters
        ----------
        prompts : sequence of list of int
            Token ids; none may be empty.
        finished : callable
            Told a row's number and its newest token, says whether the row ends with it.
        temperature : float
            0 is greedy.
        seed : int
            Of the samples.

        Returns
        -------
        list of list of int
            The new tokens of each row, the ending one included.
        """
        import torch
        from transformers import DynamicCache

        device = self.network.device
        shared = _common_prefix([prompt[:-1] for prompt in prompts])
        rests = [prompt[len(shared) :] for prompt in prompts]
        longest = max(map(len, rests))
        ids = torch.tensor([[0] * (longest - len(rest)) + rest for rest in rests], device=device)
        seen = torch.tensor([[0] * (longest - len(rest)) + [1] * len(rest) for rest in rests], device=device)
        places = (len(shared) + seen.cumsum(-1) - 1).clamp(min=0)
        torch.manual_seed(seed)
        made: list[list[int]] = [[] for _ in prompts]
        going = list(range(len(prompts)))
        with torch.inference_mode():
            prefix = self._read(shared) if shared else None
            cache = DynamicCache()
            while going:
                logits = self.network(
                    ids,
                    attention_mask=seen,
                    position_ids=places,
                    past_key_values=cache,
                    logits_to_keep=1,
                    shared_prefix=prefix,
                ).logits[:, -1]
                chosen = _choose(logits.float(), temperature)
                stay = []
                for place, (row, token) in enumerate(zip(going, chosen[:, 0].tolist(), strict=True)):
                    made[row].append(token)
                    if not finished(row, token):
                        stay.append(place)
                if len(stay) < len(going):
                    going, kept = [going[place] for place in stay], torch.tensor(stay, dtype=torch.long, device=device)
                    chosen, seen, places = chosen[kept], seen[kept], places[kept]
                    cache.batch_select_indices(kept)
                ids, places = chosen, places[:, -1:] + 1
                seen = torch.cat([seen, torch.ones_like(ids)], dim=-1)
        return made

    def _read(self, shared: list[int]) -> "list[tuple[torch.Tensor, torch.Tensor]]":
        """Return each layer's keys and values of the prefix, (key heads, prefix tokens, size)."""
        import torch
        from transformers import DynamicCache

        ids = torch.tensor([shared], device=self.network.device)
        cache = self.network(ids, past_key_values=DynamicCache(), logits_to_keep=1).past_key_values
        return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def _attend(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float,
    shared_prefix: "list[tuple[torch.Tensor, torch.Tensor]] | None" = None,
    **_: Any,
) -> "tuple[torch.Tensor, None]":
    """Attend to the shared prefix, in one product for all rows, and to each row's own tokens.

    ``query`` is (rows, heads, new tokens, size), ``key`` and ``value`` (rows, key heads, own tokens, size).
    """
    import torch

    rows, heads, new, size = query.shape
    groups = key.shape[1]
    grouped = (query * scaling).reshape(rows, groups, -1, size)
    scores = grouped @ key.transpose(-1, -2)
    if attention_mask is not None:
        by_head = scores.view(rows, groups, heads // groups, new, -1)
        scores = (by_head + attention_mask[:, :, None, :, : key.shape[2]]).view_as(scores)
    if shared_prefix is None:
        attended = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    else:
        prefix_key, prefix_value = shared_prefix[module.layer_idx]
        length = prefix_key.shape[1]
        together = grouped.transpose(0, 1).reshape(groups, -1, size)
        of_prefix = (together @ prefix_key.transpose(-1, -2)).view(groups, rows, -1, length).transpose(0, 1)
        weights = torch.cat([of_prefix, scores], dim=-1).softmax(-1, dtype=torch.float32).to(value.dtype)
        taken = weights[..., :length].transpose(0, 1).reshape(groups, -1, length) @ prefix_value
        attended = weights[..., length:] @ value + taken.view(groups, rows, -1, size).transpose(0, 1)
    return attended.reshape(rows, heads, new, size).transpose(1, 2).contiguous(), None


def _choose(logits: "torch.Tensor", temperature: float) -> "torch.Tensor":
    import torch

    return torch.multinomial((logits / temperature).softmax(-1), 1) if temperature else logits.argmax(-1, keepdim=True)


def _common_prefix(rows: list[list[int]]) -> list[int]:
    first, last = min(rows), max(rows)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
