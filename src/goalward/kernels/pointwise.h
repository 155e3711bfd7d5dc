// What a decoder layer does between its products, row by row, and the gradients of that.
//
// Widths are whole numbers of vectors.
#pragma once
#include <cmath>

#include "vectors.h"

// 1 / sqrt(mean of squares + epsilon).
static inline float inverse_size(int64_t width, const float* x, float epsilon) {
    Vector squares = {};
    for (int64_t i = 0; i < width; i += LANES) squares += load(x + i) * load(x + i);
    return 1.0f / std::sqrt(sum(squares) / width + epsilon);
}

// out = x / size * weight: RMS norm (Zhang and Sennrich 2019, arXiv:1910.07467). `out` may be x.
static inline void normalise(int64_t width, const float* x, const float* weight, float epsilon, float* out) {
    Vector scale = splat(inverse_size(width, x, epsilon));
    for (int64_t i = 0; i < width; i += LANES) store(out + i, load(x + i) * scale * load(weight + i));
}

// From the gradient of the norm's output: adds the weight's, and hands each part of x's to `each(column, numbers)`.
// With n = x / size: d x = (g - n mean(g n)) / size, where g = d out * weight.
template <class Each>
static inline void normalise_back(int64_t width, const float* x, const float* weight, float epsilon, const float* of_out,
                                  float* of_weight, Each each) {
    float inverse = inverse_size(width, x, epsilon);
    Vector scale = splat(inverse), along = {};
    for (int64_t i = 0; i < width; i += LANES) {
        Vector g = load(of_out + i), n = load(x + i) * scale;
        store(of_weight + i, load(of_weight + i) + g * n);
        along += g * load(weight + i) * n;
    }
    Vector mean = splat(sum(along) / width);
    for (int64_t i = 0; i < width; i += LANES) {
        Vector n = load(x + i) * scale;
        each(i, (load(of_out + i) * load(weight + i) - n * mean) * scale);
    }
}

// Rotary embedding (Su et al. 2021, arXiv:2104.09864) of one head, in place; `sine` has its first half negated.
static inline void rotate(int64_t size, float* x, const float* cosine, const float* sine) {
    int64_t half = size / 2;
    float *__restrict first = x, *__restrict second = x + half;
    for (int64_t i = 0; i < half; i++) {
        float a = first[i], b = second[i];
        first[i] = a * cosine[i] + b * sine[i];
        second[i] = b * cosine[i + half] + a * sine[i + half];
    }
}

// The gradient of `rotate`'s input from that of its output, in place.
static inline void rotate_back(int64_t size, float* x, const float* cosine, const float* sine) {
    int64_t half = size / 2;
    float *__restrict first = x, *__restrict second = x + half;
    for (int64_t i = 0; i < half; i++) {
        float a = first[i], b = second[i];
        first[i] = a * cosine[i] + b * sine[i + half];
        second[i] = b * cosine[i + half] + a * sine[i];
    }
}

static inline Vector sigmoid(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

// out = silu(gate) * up: SwiGLU (Shazeer 2020, arXiv:2002.05202).
static inline void swiglu(int64_t width, const float* gate, const float* up, float* out) {
    for (int64_t i = 0; i < width; i += LANES) store(out + i, load(gate + i) * sigmoid(load(gate + i)) * load(up + i));
}

// `out` again, and from its gradient the gate's and up's.
static inline void swiglu_back(int64_t width, const float* gate, const float* up, const float* of_out, float* out,
                               float* of_gate, float* of_up) {
    for (int64_t i = 0; i < width; i += LANES) {
        Vector g = load(gate + i), u = load(up + i), d = load(of_out + i), share = sigmoid(g), silu = g * share;
        store(out + i, silu * u);
        store(of_up + i, d * silu);
        store(of_gate + i, d * u * (share + silu * (1.0f - share)));
    }
}
