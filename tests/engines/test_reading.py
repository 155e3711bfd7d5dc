import torch

from goalward.engines.reading import Shared, merge, read, with_ones


def attention(q, k, v, mask=None):
    scores = q @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return scores.softmax(-1) @ v


def tensors(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) * 3 for shape in shapes]


def test_stretches_read_apart_are_the_whole_read_at_once():
    q, k, v = tensors((5, 2, 8), (5, 11, 8), (5, 11, 8))
    ones = with_ones(v)
    parts = [read(q, k[:, a:b], ones[:, a:b]) for a, b in ((0, 3), (3, 4), (4, 11))]
    torch.testing.assert_close(merge(parts), attention(q, k, v))


def test_scores_too_large_for_exp_are_no_trouble():
    q, k, v = tensors((1, 1, 8), (1, 6, 8), (1, 6, 8))
    k = k * 1000
    ones = with_ones(v)
    torch.testing.assert_close(
        merge([read(q, k[:, :3], ones[:, :3]), read(q, k[:, 3:], ones[:, 3:])]), attention(q, k, v)
    )


def test_each_row_reads_its_own_prompt_up_to_its_end_and_after_others_left():
    keys, values = tensors((3, 2, 7, 8), (3, 2, 7, 8))
    lengths, owner = torch.tensor([7, 4, 5]), torch.tensor([0, 0, 1, 2, 2, 2])
    [q] = tensors((6, 2, 3, 8))
    shared = Shared.of([keys], [with_ones(values)], lengths, owner)

    def expected(row):
        prompt, end = owner[row], lengths[owner[row]]
        return attention(q[row], keys[prompt, :, :end], values[prompt, :, :end])

    found = merge([shared.read(0, q.flatten(0, 1))]).view(q.shape)
    torch.testing.assert_close(found, torch.stack([expected(r) for r in range(6)]))
    left = torch.tensor([1, 3, 5])  # the second prompt goes with its only row
    fewer = shared.keep(left)
    assert len(fewer.keys[0]) == 2
    found = merge([fewer.read(0, q[left].flatten(0, 1))]).view(3, 2, 3, 8)
    torch.testing.assert_close(found, torch.stack([expected(r) for r in left.tolist()]))
