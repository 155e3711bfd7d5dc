// Logits to a token and its log-probability: what engines/sampler.py does with tensors.
#pragma once
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "product.h"

// As in engines/engine.py: temperature 0 is greedy, top_k 0 and top_p 1 cut nothing.
struct Sampling {
    float temperature, top_p;
    int64_t top_k;
};

// Zeroes all but the `top_k` heaviest tokens, then all but the fewest that hold `top_p` of what is left.
static inline void truncate(int64_t vocabulary, float* mass, const Sampling& sampling) {
    std::vector<int32_t> order(vocabulary);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return mass[a] > mass[b]; });
    const int64_t most = sampling.top_k ? std::min(sampling.top_k, vocabulary) : vocabulary;
    double left = 0, before = 0;
    for (int64_t i = 0; i < most; i++) left += mass[order[i]];
    for (int64_t i = 0; i < vocabulary; i++) {
        const float here = mass[order[i]];
        if (i >= most || (i > 0 && before >= sampling.top_p * left)) mass[order[i]] = 0;
        before += here;
    }
}

// A block of tokens is summed at once: whose share of the mass is sought is found by blocks first.
constexpr int64_t BLOCK = 64;

static inline float block_sum(const float* mass, int64_t at, int64_t end) {
    if (at + BLOCK > end) return std::accumulate(mass + at, mass + end, 0.0f);
    Vector part = {};
    for (int64_t i = at; i < at + BLOCK; i += LANES) part += load(mass + i);
    return sum(part);
}

static inline double total_of(const float* mass, int64_t vocabulary) {
    double total = 0;
    for (int64_t i = 0; i < vocabulary; i += BLOCK) total += block_sum(mass, i, vocabulary);
    return total;
}

// The first token whose cumulative mass exceeds `aim`, never one without mass.
static inline int64_t invert(const float* mass, int64_t vocabulary, double aim, int64_t heaviest) {
    double reached = 0;
    int64_t found = heaviest;
    for (int64_t at = 0; at < vocabulary; at += BLOCK) {
        const float here = block_sum(mass, at, vocabulary);
        if (reached + here <= aim) {
            reached += here;
            continue;
        }
        for (int64_t i = at; i < std::min(at + BLOCK, vocabulary); i++) {
            if (mass[i] > 0) found = i;
            if ((reached += mass[i]) > aim) return found;
        }
    }
    return found;  // rounding carried the aim to the very end
}

// The token whose share of the mass `uniform` falls into; its log-probability before the cut, which is not a number where
// a logit is not. Overwrites the logits, which have room up to a whole panel and zeros behind their end.
static inline int32_t choose(int64_t vocabulary, float* logits, float uniform, const Sampling& sampling,
                             float* logprob) {
    Vector doubt = {};  // a sum of zeros, unless there is something that is no finite number
    for (int64_t i = 0; i < vocabulary; i += LANES) doubt += load(logits + i) * 0.0f;
    if (sum(doubt) != 0) return *logprob = NAN, 0;
    for (int64_t i = vocabulary; i < padded(vocabulary); i++) logits[i] = -INFINITY;
    Vector highest = load(logits);
    for (int64_t i = LANES; i < vocabulary; i += LANES) highest = larger(load(logits + i), highest);
    const int64_t best = std::find(logits, logits + vocabulary, largest(highest)) - logits;
    const float top = logits[best];
    const float scale = sampling.temperature == 0 ? 1.0f : 1.0f / sampling.temperature;
    for (int64_t i = 0; i < vocabulary; i += LANES) store(logits + i, exponential((load(logits + i) - top) * scale));
    const double total = total_of(logits, vocabulary);
    if (sampling.temperature == 0) return *logprob = (float)std::log(logits[best] / total), best;
    if (sampling.top_k == 0 && sampling.top_p >= 1) {
        const int64_t token = invert(logits, vocabulary, uniform * total, best);
        return *logprob = (float)std::log(logits[token] / total), token;
    }
    const std::vector<float> whole(logits, logits + vocabulary);
    truncate(vocabulary, logits, sampling);
    const int64_t token = invert(logits, vocabulary, uniform * total_of(logits, vocabulary), best);
    return *logprob = (float)std::log(whole[token] / total), token;
}
