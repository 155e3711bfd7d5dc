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

// The token whose share of the mass `uniform` falls into, never one without mass; its log-probability before the cut.
// Overwrites the logits, which have room up to a whole panel.
static inline int32_t choose(int64_t vocabulary, float* logits, float uniform, const Sampling& sampling,
                             float* logprob) {
    float top = logits[0];
    int64_t best = 0;
    for (int64_t i = 1; i < vocabulary; i++)
        if (logits[i] > top) top = logits[i], best = i;
    if (!std::isfinite(top)) return *logprob = NAN, 0;
    const float scale = sampling.temperature == 0 ? 1.0f : 1.0f / sampling.temperature;
    for (int64_t i = 0; i < vocabulary; i += LANES) store(logits + i, exponential((load(logits + i) - top) * scale));
    double total = 0;
    for (int64_t i = 0; i < vocabulary; i++) total += logits[i];
    const float heaviest = logits[best];
    if (sampling.temperature == 0) return *logprob = (float)std::log(heaviest / total), best;
    double kept = total;
    std::vector<float> whole;
    if (sampling.top_k || sampling.top_p < 1) {
        whole.assign(logits, logits + vocabulary);
        truncate(vocabulary, logits, sampling);
        kept = 0;
        for (int64_t i = 0; i < vocabulary; i++) kept += logits[i];
    }
    const double aim = uniform * kept;
    double reached = 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        if (logits[i] > 0) best = i;
        if ((reached += logits[i]) > aim) break;
    }
    *logprob = (float)std::log((whole.empty() ? logits[best] : whole[best]) / total);
    return best;
}
