// Products of matrices, a tile of TALL rows and PANEL columns at a time, whose sums stay in registers.
//
// Each number is summed in one order, whatever stands beside it: a row's result does not depend on the batch.
#pragma once
#include <type_traits>

#include "vectors.h"

// Columns as whole panels.
static inline int64_t padded(int64_t columns) { return (columns + PANEL - 1) / PANEL * PANEL; }

// sums[r][w] += a(r, s) * b(s, w) over `steps` s. a(r, s) stands at a[r * down + s * along], row s of b at
// b[s * next], ACROSS vectors wide.
template <int ROWS, int ACROSS>
static inline void tile(int64_t steps, const float* a, int64_t down, int64_t along, const float* b, int64_t next,
                        Vector (&sums)[ROWS][ACROSS]) {
    for (int64_t s = 0; s < steps; s++) {
        Vector row[ACROSS];
        for (int w = 0; w < ACROSS; w++) row[w] = load(b + s * next + w * LANES);
        for (int r = 0; r < ROWS; r++) {
            Vector x = splat(a[r * down + s * along]);
            for (int w = 0; w < ACROSS; w++) sums[r][w] += x * row[w];
        }
    }
}

// Calls `each(std::integral_constant<int, ROWS>, first row)` for tiles that cover `rows` rows.
template <class Each>
static inline void by_tiles(int64_t rows, Each each) {
    int64_t r = 0;
    for (; r + TALL <= rows; r += TALL) each(std::integral_constant<int, TALL>{}, r);
    switch (rows - r) {
        case 5: each(std::integral_constant<int, 5>{}, r); break;
        case 4: each(std::integral_constant<int, 4>{}, r); break;
        case 3: each(std::integral_constant<int, 3>{}, r); break;
        case 2: each(std::integral_constant<int, 2>{}, r); break;
        case 1: each(std::integral_constant<int, 1>{}, r); break;
        default: break;
    }
}
