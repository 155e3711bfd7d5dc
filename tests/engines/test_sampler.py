import math

import numpy as np
import pytest
import torch

from goalward.engines.engine import Sampling
from goalward.engines.randomness import uniforms
from goalward.engines.sampler import choose, invert, truncate

MASS = torch.tensor([[0.1, 0.4, 0.2, 0.3]])


def kept(**cut):
    return (truncate(MASS, **cut)[0] > 0).nonzero()[:, 0].tolist()


def test_truncation_by_hand():
    assert kept(top_k=2, top_p=1.0) == [1, 3]
    assert kept(top_k=0, top_p=0.6) == [1, 3]  # 0.4 alone does not hold 0.6
    assert kept(top_k=0, top_p=0.39) == [1]
    assert kept(top_k=0, top_p=0.71) == [1, 2, 3]
    # Of the two heaviest, 0.4 is 4/7 = 0.571 of what is left.
    assert kept(top_k=2, top_p=0.57) == [1]
    assert kept(top_k=2, top_p=0.58) == [1, 3]
    assert kept(top_k=99, top_p=1.0) == [0, 1, 2, 3]
    assert torch.equal(truncate(MASS, top_k=3, top_p=1.0), torch.tensor([[0.0, 0.4, 0.2, 0.3]]))


def test_equal_tokens_do_not_exceed_top_k():
    assert (truncate(torch.ones(1, 5), top_k=2, top_p=1.0) > 0).sum() == 2


def test_inversion_is_exact_at_the_edges():
    cumulative = torch.tensor([[0.0, 0.25, 0.25, 1.0, 1.0]]).repeat(5, 1)
    uniform = torch.tensor([[0.0], [0.2499], [0.25], [0.999], [1 - 2**-24]])
    # Tokens 0, 2 and 4 have no mass and are never chosen.
    assert invert(cumulative, uniform)[:, 0].tolist() == [1, 1, 3, 3, 3]
    for total in (1e-3, 0.9999999, 3.0, 1e5):
        last = invert(torch.tensor([[0.5 * total, total, total]]), torch.tensor([[1 - 2**-24]]))
        assert last.item() == 1


@pytest.mark.parametrize(
    ("sampling", "law"),
    [
        (Sampling(), [0.1, 0.4, 0.2, 0.3]),
        (Sampling(top_k=3), [0, 4 / 9, 2 / 9, 3 / 9]),
        (Sampling(top_p=0.65), [0, 4 / 7, 0, 3 / 7]),
        # Temperature 1/2 squares the probabilities: 1, 16, 4 and 9 of 30.
        (Sampling(temperature=0.5), [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
    ],
)
def test_samples_follow_the_distribution(sampling, law):
    count = 2**16
    # An evenly spaced grid: every token's share is then exact to one grid point.
    uniform = torch.arange(count) / count
    tokens, logprobs = choose(MASS.log().repeat(count, 1), uniform, sampling)
    assert torch.bincount(tokens, minlength=4).tolist() == pytest.approx([p * count for p in law], abs=1.5)
    whole = MASS[0] ** (1 / sampling.temperature)
    torch.testing.assert_close(logprobs, (whole / whole.sum()).log()[tokens], atol=1e-6, rtol=1e-5)


def test_random_numbers_pass_a_chi_square():
    streams = np.arange(512, dtype=np.uint64)
    u = uniforms(3, streams, np.zeros(512, np.int64), 128)
    assert u.min() >= 0 and u.max() < 1
    tokens, _ = choose(MASS.log().repeat(u.size, 1), torch.from_numpy(u.ravel()), Sampling())
    expected = MASS[0].numpy() * u.size
    chi = (((np.bincount(tokens, minlength=4) - expected) ** 2) / expected).sum()
    assert chi < 16.3  # 3 degrees of freedom, p = .001
    # Neighbouring streams, positions and seeds are uncorrelated: |r| < 4 / sqrt(n).
    for a, b in [
        (u[1:], u[:-1]),
        (u[:, 1:], u[:, :-1]),
        (u, uniforms(4, streams, np.zeros(512, np.int64), 128)),
    ]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / math.sqrt(a.size)


def test_a_random_number_hangs_on_its_address_alone():
    streams = np.array([5, 2**64 - 1, 9], np.uint64)
    start = np.zeros(3, np.int64)
    whole = uniforms(1, streams, start, 10)
    assert np.array_equal(uniforms(1, streams[1:], np.array([4, 7]), 3), [whole[1, 4:7], whole[2, 7:10]])
    assert np.array_equal(uniforms(1 - 2**64, streams, start, 10), whole)
    assert len(np.unique(whole)) == 30


def test_greedy_takes_the_likeliest_and_reports_temperature_one():
    token, logprob = choose(MASS.log(), torch.tensor([0.0]), Sampling(temperature=0.0))
    assert token.item() == 1
    assert logprob.item() == pytest.approx(math.log(0.4), abs=1e-6)
