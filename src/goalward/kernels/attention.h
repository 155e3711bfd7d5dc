// Causal attention over a line of segments, each of which reads its own tokens and those of all that it continues.
//
// Some rows of queries at a time meet all their keys, so scores never leave the cache. Keys and values are turned on
// their side beforehand, segment by segment: once for all that read them.
#pragma once
#include <vector>

#include "matrices.h"
#include "pointwise.h"

// Segments stand one after another in the line; `parent` is the one that a segment continues, -1 for none, and comes
// before it. `position` is each token's place in its sequence, a row of `cosine` and `sine`.
struct Line {
    int64_t tokens, segments;
    const int64_t *start, *count, *parent, *position;
    const float *cosine, *sine;
};

// Rows of queries, keys and values of all heads, side by side.
struct Heads {
    int64_t heads, kv_heads, size;
    int64_t attended() const { return heads * size; }
    int64_t turned() const { return (heads + kv_heads) * size; }
    int64_t joined() const { return (heads + 2 * kv_heads) * size; }
    int64_t group() const { return heads / kv_heads; }
};

static inline int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

constexpr float HIDDEN = -1e30f;
constexpr int64_t SCORES = 1 << 16;  // held at once in the backward pass, twice

// A stretch of what a segment reads: its place in the line, and in a row of scores. `wide` is a row of turned keys.
struct Run {
    int64_t start, count, wide, column, turned;
};

class Reading {
  public:
    Reading(const Line& line) : line(line), before(line.segments + 1) {
        for (int64_t s = 0; s < line.segments; s++) before[s + 1] = before[s] + whole(line.count[s]);
        for (int64_t s = 0; s < line.segments; s++) widest = std::max(widest, row(runs(s)));
    }
    // What segment s reads, itself last.
    std::vector<Run> runs(int64_t s) const {
        std::vector<Run> found;
        for (; s >= 0; s = line.parent[s]) found.push_back({line.start[s], line.count[s], whole(line.count[s]), 0, before[s]});
        std::reverse(found.begin(), found.end());
        for (size_t i = 1; i < found.size(); i++) found[i].column = found[i - 1].column + found[i - 1].wide;
        return found;
    }
    // Numbers from a row of scores to the next: no power of two, whose rows would share a cache's sets.
    static int64_t row(const std::vector<Run>& runs) {
        int64_t vectors = (runs.back().column + runs.back().wide) / LANES;
        return (vectors | 1) * LANES;
    }
    int64_t columns() const { return before.back(); }
    int64_t scores(const Heads& h) const { return std::max<int64_t>(SCORES, TALL * h.group() * widest); }
    const Line& line;

  private:
    std::vector<int64_t> before;
    int64_t widest = 0;
};

// Calls `each(std::integral_constant<int, count>, first)` for as many vectors, up to WIDE of them together.
template <class Each>
static inline void by_vectors(int64_t vectors, Each each) {
    int64_t v = 0;
    for (; v + WIDE <= vectors; v += WIDE) each(std::integral_constant<int, WIDE>{}, v);
    if constexpr (WIDE > 2) {
        if (vectors - v == 3) return each(std::integral_constant<int, 3>{}, v);
        if (vectors - v == 2) return each(std::integral_constant<int, 2>{}, v);
    }
    if (vectors - v == 1) each(std::integral_constant<int, 1>{}, v);
}

template <int ROWS, int ACROSS>
static inline void put(const Vector (&sums)[ROWS][ACROSS], float* to, int64_t next) {
    for (int r = 0; r < ROWS; r++)
        for (int w = 0; w < ACROSS; w++) store(to + r * next + w * LANES, sums[r][w]);
}

// Keys or values, from column `from` of the joined rows, to turned [segment][kv head][size][wide], zero after the last.
static void turn(const Reading& reading, const Heads& h, const float* joined, int64_t from, float* turned) {
    const Line& line = reading.line;
    for (int64_t s = 0; s < line.segments; s++) {
        int64_t count = line.count[s], wide = whole(count);
        const float* rows = joined + line.start[s] * h.joined() + from;
        for (int64_t feature = 0; feature < h.kv_heads * h.size; feature++, turned += wide)
            std::fill(turned + count, turned + wide, 0.0f);
        turned -= h.kv_heads * h.size * wide;
        transpose(count, h.kv_heads * h.size, rows, h.joined(), turned, wide);
        turned += h.kv_heads * h.size * wide;
    }
}

// A run's turned keys or values of one kv head.
static inline const float* turned_of(const Heads& h, const Run& run, int64_t kv_head, const float* turned) {
    return turned + (run.turned * h.kv_heads + kv_head * run.wide) * h.size;
}

// to = ROWS rows of queries (or of gradients) times the turned keys (or values) that they read; the last run's up to
// `until`.
template <int ROWS>
static inline void against(const Heads& h, const std::vector<Run>& runs, int64_t until, const float* a, int64_t stride,
                           int64_t kv_head, const float* turned, float* to, int64_t row) {
    for (const Run& run : runs) {
        const float* b = turned_of(h, run, kv_head, turned);
        by_vectors((&run == &runs.back() ? whole(until) : run.wide) / LANES, [&](auto count, int64_t v) {
            Vector sums[ROWS][count()] = {};
            some(h.size, a, stride, 1, b + v * LANES, run.wide, sums);
            put(sums, to + run.column + v * LANES, row);
        });
    }
}

// to = ROWS rows of shares times the rows of values (or keys) at column `from` that they read.
template <int ROWS>
static inline void gather(const Heads& h, const std::vector<Run>& runs, int64_t until, const float* shares, int64_t row,
                          const float* joined, int64_t from, float* to, int64_t next) {
    by_vectors(h.size / LANES, [&](auto count, int64_t v) {
        Vector sums[ROWS][count()] = {};
        for (const Run& run : runs) {
            const float* b = joined + run.start * h.joined() + from + v * LANES;
            some(&run == &runs.back() ? until : run.count, shares + run.column, row, 1, b, h.joined(), sums);
        }
        put(sums, to + v * LANES, next);
    });
}

// x [vectors], HIDDEN from number `count` on.
static inline void hide(float* x, int64_t count, int64_t width) {
    static const float lane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int64_t at = count / LANES * LANES; at < width; at += LANES)
        store(x + at, load(lane) < splat(count - at) ? load(x + at) : splat(HIDDEN));
}

// Scores of ROWS rows of queries, the first of them the segment's token `first`; what they may not read is HIDDEN.
template <int ROWS>
static inline void score(const Heads& h, const std::vector<Run>& runs, int64_t first, const float* queries,
                         int64_t kv_head, const float* keys, float* scores, int64_t row) {
    against<ROWS>(h, runs, first + ROWS, queries, h.joined(), kv_head, keys, scores, row);
    for (const Run& run : runs)
        for (int r = 0; r < ROWS; r++)
            if (&run == &runs.back())
                hide(scores + r * row + run.column, first + r + 1, whole(first + ROWS));
            else
                hide(scores + r * row + run.column, run.count, run.wide);
}

// out [tokens, heads x size] from joined rows and the keys of them, turned; logsum [tokens, heads] is each row's log of
// the sum of exponentials.
static void attend(const Reading& reading, const Heads& h, const float* joined, const float* keys, float* scores,
                   float* out, float* logsum) {
    const float scale = 1.0f / std::sqrt(float(h.size));
    for (int64_t s = 0; s < reading.line.segments; s++) {
        const std::vector<Run> runs = reading.runs(s);
        const Run& own = runs.back();
        const int64_t row = reading.row(runs);
        for (int64_t head = 0; head < h.heads; head++)
            by_tiles(own.count, [&](auto count, int64_t first) {
                constexpr int rows = count();
                const int64_t kv_head = head / h.group(), place = own.start + first, seen = own.column + whole(first + rows);
                float* to = out + place * h.attended() + head * h.size;
                score<rows>(h, runs, first, joined + place * h.joined() + head * h.size, kv_head, keys, scores, row);
                for (int r = 0; r < rows; r++) {
                    float* at = scores + r * row;
                    Vector top = load(at), total = {};
                    for (int64_t i = LANES; i < seen; i += LANES) top = larger(top, load(at + i));
                    const float most = largest(top);
                    for (int64_t i = 0; i < seen; i += LANES) {
                        Vector p = exponential((load(at + i) - most) * scale);
                        store(at + i, p);
                        total += p;
                    }
                    const float all = sum(total);
                    logsum[(place + r) * h.heads + head] = most * scale + std::log(all);
                    for (int64_t i = 0; i < seen; i += LANES) store(at + i, load(at + i) * (1.0f / all));
                }
                gather<rows>(h, runs, first + rows, scores, row, joined, h.turned() + kv_head * h.size, to, h.attended());
            });
    }
}

// `to` rows, at column `from` of the gradient's joined rows, += sharesᵀ times rows of `b`, over some rows of queries of
// each head of a group. The rows before a key's own token do not read it.
static inline void spread(const Heads& h, const std::vector<Run>& runs, int64_t first, int64_t last, const float* shares,
                          int64_t row, const float* b, int64_t next, float* to) {
    for (const Run& run : runs) {
        const bool own = &run == &runs.back();
        by_tiles(own ? last : run.count, [&](auto count, int64_t key) {
            const int64_t skipped = own ? std::max<int64_t>(key - first, 0) : 0;
            by_vectors(h.size / LANES, [&](auto vectors, int64_t v) {
                Vector sums[count()][vectors()] = {};
                for (int64_t j = 0; j < h.group(); j++)
                    some(last - first - skipped, shares + (j * (last - first) + skipped) * row + run.column + key, 1, row,
                         b + (first + skipped) * next + j * h.size + v * LANES, next, sums);
                for (int r = 0; r < count(); r++)
                    for (int w = 0; w < vectors(); w++) {
                        float* at = to + (run.start + key + r) * h.joined() + (v + w) * LANES;
                        store(at, load(at) + sums[r][w]);
                    }
            });
        });
    }
}

// The gradient of the joined rows from that of `out`; `scores` has room for `reading.scores` numbers, twice.
static void attend_back(const Reading& reading, const Heads& h, const float* joined, const float* keys, const float* values,
                        const float* out, const float* logsum, const float* of_out, float* scores, float* of_joined) {
    const float scale = 1.0f / std::sqrt(float(h.size));
    for (int64_t token = 0; token < reading.line.tokens; token++)
        std::fill(of_joined + token * h.joined() + h.attended(), of_joined + (token + 1) * h.joined(), 0.0f);
    for (int64_t s = 0; s < reading.line.segments; s++) {
        const std::vector<Run> runs = reading.runs(s);
        const Run& own = runs.back();
        const int64_t row = reading.row(runs), room = reading.scores(h);
        const int64_t tall = std::max<int64_t>(room / (h.group() * row) / TALL, 1) * TALL;
        for (int64_t kv_head = 0; kv_head < h.kv_heads; kv_head++)
            for (int64_t first = 0; first < own.count; first += tall) {
                const int64_t last = std::min(first + tall, own.count), width = own.column + whole(last);
                for (int64_t j = 0; j < h.group(); j++)
                    by_tiles(last - first, [&](auto count, int64_t r0) {
                        constexpr int rows = count();
                        const int64_t head = kv_head * h.group() + j, place = own.start + first + r0;
                        const int64_t until = first + r0 + rows, seen = own.column + whole(until);
                        const float* of_rows = of_out + place * h.attended() + head * h.size;
                        float* shares = scores + (j * (last - first) + r0) * row;
                        float* slopes = shares + room;
                        score<rows>(h, runs, until - rows, joined + place * h.joined() + head * h.size, kv_head, keys,
                                    shares, row);
                        against<rows>(h, runs, until, of_rows, h.attended(), kv_head, values, slopes, row);
                        for (int r = 0; r < rows; r++) {
                            float *p = shares + r * row, *d = slopes + r * row;
                            const float* o = out + (place + r) * h.attended() + head * h.size;
                            Vector along = {};
                            for (int64_t i = 0; i < h.size; i += LANES)
                                along += load(o + i) * load(of_rows + r * h.attended() + i);
                            const float mean = sum(along), log = logsum[(place + r) * h.heads + head];
                            for (int64_t i = 0; i < seen; i += LANES) {
                                Vector share = exponential(load(p + i) * scale - log);
                                store(p + i, share);
                                store(d + i, share * (load(d + i) - mean) * scale);
                            }
                            std::fill(p + seen, p + width, 0.0f);
                            std::fill(d + seen, d + width, 0.0f);
                        }
                        gather<rows>(h, runs, until, slopes, row, joined, h.attended() + kv_head * h.size,
                                     of_joined + place * h.joined() + head * h.size, h.joined());
                    });
                const int64_t column = h.attended() + kv_head * h.size, head = kv_head * h.group() * h.size;
                spread(h, runs, first, last, scores + room, row, joined + own.start * h.joined() + head, h.joined(),
                       of_joined + column);
                spread(h, runs, first, last, scores, row, of_out + own.start * h.attended() + head, h.attended(),
                       of_joined + column + h.kv_heads * h.size);
            }
    }
}
