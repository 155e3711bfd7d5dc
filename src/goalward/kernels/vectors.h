// Vectors of as many floats as the CPU computes with at once, in GCC's and Clang's own notation: no intrinsics, so
// that one text serves x86 and ARM.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int LANES = 16, WIDE = 4;  // 32 registers: 6 rows x 4 vectors of sums, 4 of weights
#elif defined(__AVX__)
constexpr int LANES = 8, WIDE = 2;  // 16 registers
#elif defined(__aarch64__)
constexpr int LANES = 4, WIDE = 4;
#else
constexpr int LANES = 4, WIDE = 2;
#endif
constexpr int TALL = 6;
constexpr int PANEL = WIDE * LANES;

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Whole __attribute__((vector_size(LANES * sizeof(int32_t))));

static inline Vector load(const float* from) {
    Vector x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

static inline void store(float* to, Vector x) { std::memcpy(to, &x, sizeof x); }

// A loop over the lanes would compile to masks; minus zero becomes a broadcast.
static inline Vector splat(float x) { return x - Vector{}; }

static inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }
static inline Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

// Halves upon halves: a sum in order would wait for each addition.
static inline float sum(Vector x) {
    float part[LANES];
    store(part, x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
}

static inline float largest(Vector x) {
    float part[LANES];
    store(part, x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    return part[0];
}

// e^x to about two units in the last place: x = n ln 2 + r, a polynomial for e^r, and n into the exponent.
// Below -87 it is e^-87, above 88 e^88.
static inline Vector exponential(Vector x) {
    x = smaller(larger(x, splat(-87.0f)), splat(88.0f));
    const float shift = 12582912.0f;  // 1.5 x 2^23: adding it rounds to a whole number
    Vector n = (x * 1.44269504f + shift) - shift;
    Vector r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    Vector p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    Whole power = (__builtin_convertvector(n, Whole) + 127) << 23;
    Vector scale;
    std::memcpy(&scale, &power, sizeof scale);
    return p * scale;
}
