// What queries find in a stretch of keys and values, read once for all of them.
//
// Keys lie in blocks of LANES tokens, [room / LANES, size, LANES], so that a vector holds one dimension of LANES
// tokens; values [room, size].
#pragma once
#include <type_traits>

#include "vectors.h"

struct Stretch {
    const float *keys, *values;
    int64_t length;  // tokens

    static int64_t blocks(int64_t length) { return (length + LANES - 1) / LANES; }
};

// scores[q][t] = queries[q] . key t, for Q queries and BLOCKS blocks of tokens.
template <int Q, int BLOCKS>
static inline void score_blocks(const float* const* queries, const float* keys, int64_t size, float* const* scores,
                                int64_t at) {
    Vector sums[Q][BLOCKS] = {};
    for (int64_t d = 0; d < size; d++)
        for (int b = 0; b < BLOCKS; b++) {
            Vector key = load(keys + (b * size + d) * LANES);
            for (int q = 0; q < Q; q++) sums[q][b] += key * splat(queries[q][d]);
        }
    for (int q = 0; q < Q; q++)
        for (int b = 0; b < BLOCKS; b++) store(scores[q] + at + b * LANES, sums[q][b]);
}

template <int Q>
static inline void score(const float* const* queries, const Stretch& stretch, int64_t size, float* const* scores,
                         int64_t at) {
    const int64_t blocks = Stretch::blocks(stretch.length);
    int64_t b = 0;
    for (; b + 4 <= blocks; b += 4)
        score_blocks<Q, 4>(queries, stretch.keys + b * size * LANES, size, scores, at + b * LANES);
    if (b + 2 <= blocks) {
        score_blocks<Q, 2>(queries, stretch.keys + b * size * LANES, size, scores, at + b * LANES);
        b += 2;
    }
    if (b < blocks)
        score_blocks<Q, 1>(queries, stretch.keys + b * size * LANES, size, scores, at + b * LANES);
}

// sums[q] += weights[q][t] x value t, for Q queries and WIDTH vectors of the values.
template <int Q, int WIDTH>
static inline void blend_part(const float* const* weights, int64_t at, const Stretch& stretch, int64_t size,
                              float* const* sums, int64_t from) {
    Vector part[Q][WIDTH];
    for (int q = 0; q < Q; q++)
        for (int w = 0; w < WIDTH; w++) part[q][w] = load(sums[q] + from + w * LANES);
    for (int64_t t = 0; t < stretch.length; t++) {
        const float* value = stretch.values + t * size + from;
        Vector x[WIDTH];
        for (int w = 0; w < WIDTH; w++) x[w] = load(value + w * LANES);
        for (int q = 0; q < Q; q++) {
            Vector weight = splat(weights[q][at + t]);
            for (int w = 0; w < WIDTH; w++) part[q][w] += x[w] * weight;
        }
    }
    for (int q = 0; q < Q; q++)
        for (int w = 0; w < WIDTH; w++) store(sums[q] + from + w * LANES, part[q][w]);
}

template <int Q>
static inline void blend(const float* const* weights, int64_t at, const Stretch& stretch, int64_t size,
                         float* const* sums) {
    int64_t d = 0;
    for (; d + 2 * LANES <= size; d += 2 * LANES) blend_part<Q, 2>(weights, at, stretch, size, sums, d);
    for (; d < size; d += LANES) blend_part<Q, 1>(weights, at, stretch, size, sums, d);
}

// Calls each(std::integral_constant<int, Q>, first) for groups of 4, 2 and 1 of `count` queries.
template <class Each>
static inline void by_queries(int count, Each each) {
    int q = 0;
    for (; q + 4 <= count; q += 4) each(std::integral_constant<int, 4>{}, q);
    if (q + 2 <= count) each(std::integral_constant<int, 2>{}, q), q += 2;
    if (q < count) each(std::integral_constant<int, 1>{}, q);
}
