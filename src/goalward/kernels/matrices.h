// The products of a linear map: out = in Wᵀ, d in = d out W, and dW += d outᵀ in.
//
// W [rows, depth] is rewritten in panels of PANEL columns of the other factor, so that the innermost loop reads memory
// in its order: `panels_of_rows` for out, `panels_of_columns` for d in.
#pragma once
#include <algorithm>

#include "product.h"

static inline int64_t packed_size(int64_t width, int64_t depth) { return padded(width) * depth; }

// to[t, f] = from[f, t]: `rows` rows of `from`, `columns` of each.
static inline void transpose(int64_t rows, int64_t columns, const float* from, int64_t stride, float* to, int64_t next) {
    for (int64_t first = 0; first < rows; first += LANES) {
        int64_t last = std::min<int64_t>(rows, first + LANES);
        for (int64_t c = 0; c < columns; c++)
            for (int64_t r = first; r < last; r++) to[c * next + r] = from[r * stride + c];
    }
}

// `rows` rows of a matrix, which are the rows `first` and on of the packed one.
static inline void panels_of_rows(int64_t rows, int64_t depth, const float* matrix, int64_t first, float* packed) {
    for (int64_t done = 0; done < rows;) {
        int64_t panel = (first + done) / PANEL, at = (first + done) % PANEL, count = std::min(rows - done, PANEL - at);
        transpose(count, depth, matrix + done * depth, depth, packed + panel * depth * PANEL + at, PANEL);
        done += count;
    }
}

// `rows` rows of a matrix, which are the rows `first` and on of all `depth` of the packed one.
static inline void panels_of_columns(int64_t rows, int64_t width, const float* matrix, int64_t first, int64_t depth,
                                     float* packed) {
    for (int64_t p = 0; p < padded(width) / PANEL; p++) {
        size_t bytes = std::min<int64_t>(PANEL, width - p * PANEL) * sizeof(float);
        for (int64_t r = 0; r < rows; r++)
            std::memcpy(packed + (p * depth + first + r) * PANEL, matrix + r * width + p * PANEL, bytes);
    }
}

// `tile` for at least one step. Where none were possible, the sums would pass through memory.
template <int ROWS, int ACROSS>
static inline void some(int64_t steps, const float* a, int64_t down, int64_t along, const float* b, int64_t next,
                        Vector (&sums)[ROWS][ACROSS]) {
    if (steps < 1) __builtin_unreachable();
    tile(steps, a, down, along, b, next, sums);
}

// The numbers that a tile will be stored to: on their way while it is computed.
template <int ROWS>
static inline void prefetch(const float* to, int64_t next) {
    for (int r = 0; r < ROWS; r++)
        for (int w = 0; w < WIDE; w++) __builtin_prefetch(to + r * next + w * LANES, 1);
}

struct AsIs {
    Vector operator()(int64_t, int64_t, Vector x) const { return x; }
};

// to [rows, width] = a [rows, depth] times a packed matrix; `change(row, column, numbers)` makes of LANES numbers what
// is stored.
template <class Change = AsIs>
static inline void multiply(int64_t rows, int64_t depth, const float* a, int64_t stride, int64_t width,
                            const float* packed, float* to, int64_t next, Change change = {}) {
    for (int64_t column = 0; column < width; column += PANEL, packed += depth * PANEL)
        by_tiles(rows, [&](auto count, int64_t row) {
            float* at = to + row * next + column;
            prefetch<count()>(at, next);
            Vector sums[count()][WIDE] = {};
            some(depth, a + row * stride, stride, 1, packed, PANEL, sums);
            for (int r = 0; r < count(); r++)
                for (int w = 0; w < WIDE; w++)
                    if (const int64_t c = w * LANES; column + c < width)
                        store(at + r * next + c, change(row + r, column + c, sums[r][w]));
        });
}

// to [rows, width] += aᵀ b, for a [steps, rows] and b [steps, width]. b is read a panel beyond its last number.
static inline void multiply_transposed(int64_t steps, int64_t rows, const float* a, int64_t down, int64_t width,
                                       const float* b, int64_t next, float* to) {
    for (int64_t column = 0; column < width; column += PANEL)
        by_tiles(rows, [&](auto count, int64_t row) {
            float* at = to + row * width + column;
            prefetch<count()>(at, width);
            Vector sums[count()][WIDE] = {};
            some(steps, a + row, 1, down, b + column, next, sums);
            for (int r = 0; r < count(); r++)
                for (int w = 0; w < WIDE; w++)
                    if (const int64_t c = w * LANES; column + c < width)
                        store(at + r * width + c, load(at + r * width + c) + sums[r][w]);
        });
}
