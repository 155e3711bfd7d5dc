// A decoder's layers over one line of tokens, forward and back: see goalward/models/stack.py.
//
// All but attention works on some tokens at a time, so that what lies between two products stays in the cache. What the
// way back needs is kept; norms and activations are made again, which is faster than to fetch them.
#include "attention.h"

constexpr int64_t TOKENS = 192;

// Numbers of a layer's parameters among the weights; the last norm's is layers * PARTS. Absent ones are null.
enum Part { INPUT_NORM, Q, K, V, Q_BIAS, K_BIAS, V_BIAS, Q_NORM, K_NORM, O, POST_NORM, GATE, UP, DOWN, PARTS };

struct Model {
    int64_t hidden, layers, mlp;
    Heads heads;
    int64_t biased, head_normed;
    double epsilon;
    const float* const* weights;
    const float* weight(int64_t layer, int part) const { return weights[layer * PARTS + part]; }
    int64_t sizes(int part) const {
        const int64_t q = heads.attended(), kv = heads.kv_heads * heads.size, normed = head_normed ? heads.size : 0;
        const int64_t of[PARTS] = {hidden, q * hidden, kv * hidden, kv * hidden, biased ? q : 0, biased ? kv : 0,
                                   biased ? kv : 0, normed, normed, hidden * q, hidden, mlp * hidden, mlp * hidden,
                                   hidden * mlp};
        return of[part];
    }
};

// Hands out memory, or, where `start` is null, only counts what is asked for. After each part is room for a panel.
struct Memory {
    float* start;
    int64_t used = 0;
    float* take(int64_t count) {
        float* found = start ? start + used : nullptr;
        used += whole(count) + PANEL;
        return found;
    }
};

// What one layer keeps, a row for each token: its input, queries and keys before their norms, the joined rows, what
// attention gave and its logsum, the stream after attention, and gate and up.
struct Kept {
    float *in, *raw, *joined, *attended, *logsum, *middle, *gate_up;
};

struct Pass {
    const Model& model;
    const Heads& heads;
    Reading reading;
    const int64_t hidden, mlp, joined, attended;
    const float epsilon;
    std::vector<Kept> kept;  // and one more: the last layer's output
    float *keys, *values, *scores, *of_attended, *of_joined;                       // of the line
    float *h, *of_h, *act, *of_act, *of_gate_up;                                   // of some tokens
    float *packed_joined, *packed_o, *packed_gate_up, *packed_down, *bias;         // of a layer
    int64_t h_row, act_row, gate_up_row;

    // in: the first layer's input. keep: for the way back; else each layer writes over the one before.
    Pass(const Model& model, const Line& line, const float* in, bool keep, Memory& memory)
        : model(model), heads(model.heads), reading(line), hidden(model.hidden), mlp(model.mlp),
          joined(heads.joined()), attended(heads.attended()), epsilon(model.epsilon) {
        const int64_t n = line.tokens;
        for (int64_t layer = 0; layer < model.layers; layer++)
            if (layer == 0 || keep)
                kept.push_back({layer ? memory.take(n * hidden) : const_cast<float*>(in),
                                model.head_normed ? memory.take(n * heads.turned()) : nullptr, memory.take(n * joined),
                                memory.take(n * attended), memory.take(n * heads.heads), memory.take(n * hidden),
                                memory.take(keep ? n * 2 * mlp : TOKENS * 2 * mlp)});
            else
                kept.push_back(kept[0]);
        kept.push_back({memory.take(n * hidden), {}, {}, {}, {}, {}, {}});
        if (!keep)
            for (int64_t layer = 1; layer < model.layers; layer++) kept[layer].in = kept.back().in;
        keys = memory.take(reading.columns() * heads.kv_heads * heads.size);
        scores = memory.take(2 * reading.scores(heads));
        // Rows that are no powers of two apart, which would share a cache's sets.
        h_row = hidden + LANES, act_row = mlp + LANES, gate_up_row = 2 * mlp + LANES;
        h = memory.take(TOKENS * h_row);
        act = memory.take(TOKENS * act_row);
        packed_joined = memory.take(std::max(packed_size(joined, hidden), packed_size(hidden, joined)));
        packed_o = memory.take(std::max(packed_size(hidden, attended), packed_size(attended, hidden)));
        packed_gate_up = memory.take(std::max(packed_size(2 * mlp, hidden), packed_size(hidden, 2 * mlp)));
        packed_down = memory.take(std::max(packed_size(hidden, mlp), packed_size(mlp, hidden)));
        bias = memory.take(joined);
        if (!keep) return;
        values = memory.take(reading.columns() * heads.kv_heads * heads.size);
        of_attended = memory.take(n * attended);
        of_joined = memory.take(n * joined);
        of_h = memory.take(TOKENS * h_row);
        of_act = memory.take(TOKENS * act_row);
        of_gate_up = memory.take(TOKENS * gate_up_row);
    }

    // Calls `each(first token, count)` for all of the line.
    template <class Each>
    void by_tokens(Each each) const {
        const int64_t n = reading.line.tokens;
        for (int64_t first = 0; first < n; first += TOKENS) each(first, std::min(TOKENS, n - first));
    }

    void pack_open(int64_t layer) {
        for (int part = Q, first = 0; part <= V; first += model.sizes(part++) / hidden)
            panels_of_rows(model.sizes(part) / hidden, hidden, model.weight(layer, part), first, packed_joined);
        float* to = bias;
        for (int part = Q_BIAS; part <= V_BIAS; to += model.sizes(part++))
            std::copy_n(model.weight(layer, part), model.sizes(part), to);
        std::fill(to, bias + joined, 0.0f);
    }

    void pack_close(int64_t layer) {
        panels_of_rows(hidden, attended, model.weight(layer, O), 0, packed_o);
        for (int part : {GATE, UP})
            panels_of_rows(mlp, hidden, model.weight(layer, part), part == GATE ? 0 : mlp, packed_gate_up);
        panels_of_rows(hidden, mlp, model.weight(layer, DOWN), 0, packed_down);
    }

    void pack_open_back(int64_t layer) {
        for (int part = Q, first = 0; part <= V; first += model.sizes(part++) / hidden)
            panels_of_columns(model.sizes(part) / hidden, hidden, model.weight(layer, part), first, joined,
                              packed_joined);
    }

    void pack_close_back(int64_t layer) {
        panels_of_columns(hidden, attended, model.weight(layer, O), 0, hidden, packed_o);
        for (int part : {GATE, UP})
            panels_of_columns(mlp, hidden, model.weight(layer, part), part == GATE ? 0 : mlp, 2 * mlp, packed_gate_up);
        panels_of_columns(hidden, mlp, model.weight(layer, DOWN), 0, hidden, packed_down);
    }

    void normalise_rows(int64_t count, const float* x, const float* weight) {
        for (int64_t r = 0; r < count; r++) normalise(hidden, x + r * hidden, weight, epsilon, h + r * h_row);
    }

    // From a layer's input to its queries, keys and values.
    void open(int64_t layer, int64_t first, int64_t count) {
        const Kept& at = kept[layer];
        float* rows = at.joined + first * joined;
        normalise_rows(count, at.in + first * hidden, model.weight(layer, INPUT_NORM));
        multiply(count, hidden, h, h_row, joined, packed_joined, rows, joined,
                 [&](int64_t, int64_t c, Vector v) { return v + load(bias + c); });
        for (int64_t r = 0; r < count; r++) {
            float* row = rows + r * joined;
            if (model.head_normed) std::copy(row, row + heads.turned(), at.raw + (first + r) * heads.turned());
            const int64_t position = reading.line.position[first + r] * heads.size;
            for (int64_t i = 0; i < heads.heads + heads.kv_heads; i++, row += heads.size) {
                if (model.head_normed)
                    normalise(heads.size, row, model.weight(layer, i < heads.heads ? Q_NORM : K_NORM), epsilon, row);
                rotate(heads.size, row, reading.line.cosine + position, reading.line.sine + position);
            }
        }
    }

    // From what attention gave to the next layer's input.
    void close(int64_t layer, int64_t first, int64_t count, bool keep) {
        const Kept& at = kept[layer];
        const float* in = at.in + first * hidden;
        float *middle = at.middle + first * hidden, *out = kept[layer + 1].in + first * hidden;
        float* gate_up = at.gate_up + (keep ? first * 2 * mlp : 0);
        multiply(count, attended, at.attended + first * attended, attended, hidden, packed_o, middle,
                 hidden, [&](int64_t r, int64_t c, Vector v) { return load(in + r * hidden + c) + v; });
        normalise_rows(count, middle, model.weight(layer, POST_NORM));
        multiply(count, hidden, h, h_row, 2 * mlp, packed_gate_up, gate_up, 2 * mlp);
        for (int64_t r = 0; r < count; r++)
            swiglu(mlp, gate_up + r * 2 * mlp, gate_up + r * 2 * mlp + mlp, act + r * act_row);
        multiply(count, mlp, act, act_row, hidden, packed_down, out, hidden,
                 [&](int64_t r, int64_t c, Vector v) { return load(middle + r * hidden + c) + v; });
    }

    void forward(float* out, bool keep) {
        for (int64_t layer = 0; layer <= model.layers; layer++) {
            if (layer > 0) pack_close(layer - 1);
            if (layer < model.layers) pack_open(layer);
            by_tokens([&](int64_t first, int64_t count) {
                if (layer > 0) close(layer - 1, first, count, keep);
                if (layer < model.layers) open(layer, first, count);
            });
            if (layer == model.layers) break;
            const Kept& at = kept[layer];
            turn(reading, heads, at.joined, attended, keys);
            attend(reading, heads, at.joined, keys, scores, at.attended, at.logsum);
        }
        for (int64_t token = 0; token < reading.line.tokens; token++)
            normalise(hidden, kept.back().in + token * hidden, model.weight(model.layers, 0), epsilon, out + token * hidden);
    }

    // The gradients of `close`: of_x of the next layer's input, and after it of the stream after attention.
    void close_back(int64_t layer, int64_t first, int64_t count, float* of_x, float* const* of) {
        const Kept& at = kept[layer];
        const float *middle = at.middle + first * hidden, *gate_up = at.gate_up + first * 2 * mlp;
        of_x += first * hidden;
        multiply(count, hidden, of_x, hidden, mlp, packed_down, of_act, act_row);
        for (int64_t r = 0; r < count; r++) {
            const float* gate = gate_up + r * 2 * mlp;
            float* of_gate = of_gate_up + r * gate_up_row;
            swiglu_back(mlp, gate, gate + mlp, of_act + r * act_row, act + r * act_row, of_gate, of_gate + mlp);
        }
        multiply_transposed(count, hidden, of_x, hidden, mlp, act, act_row, of[DOWN]);
        normalise_rows(count, middle, model.weight(layer, POST_NORM));
        multiply_transposed(count, 2 * mlp, of_gate_up, gate_up_row, hidden, h, h_row, of[GATE]);
        multiply(count, 2 * mlp, of_gate_up, gate_up_row, hidden, packed_gate_up, of_h, h_row);
        add_norm_back(count, middle, model.weight(layer, POST_NORM), of[POST_NORM], of_x);
        multiply(count, hidden, of_x, hidden, attended, packed_o, of_attended + first * attended, attended);
        multiply_transposed(count, hidden, of_x, hidden, attended, at.attended + first * attended, attended, of[O]);
    }

    // The gradients of `open`: of_x of the stream after attention, and after it of the layer's input.
    void open_back(int64_t layer, int64_t first, int64_t count, float* of_x, float* const* of) {
        const Kept& at = kept[layer];
        const float* in = at.in + first * hidden;
        float* rows = of_joined + first * joined;
        for (int64_t r = 0; r < count; r++) {
            float* row = rows + r * joined;
            const int64_t position = reading.line.position[first + r] * heads.size;
            for (int64_t i = 0; i < heads.heads + heads.kv_heads; i++, row += heads.size) {
                rotate_back(heads.size, row, reading.line.cosine + position, reading.line.sine + position);
                if (!model.head_normed) continue;
                const int part = i < heads.heads ? Q_NORM : K_NORM;
                const float* raw = at.raw + (first + r) * heads.turned() + i * heads.size;
                normalise_back(heads.size, raw, model.weight(layer, part), epsilon, row, of[part],
                               [&](int64_t c, Vector v) { store(row + c, v); });
            }
            if (model.biased)
                for (int64_t i = 0; i < joined; i++) of[Q_BIAS][i] += rows[r * joined + i];
        }
        normalise_rows(count, in, model.weight(layer, INPUT_NORM));
        multiply_transposed(count, joined, rows, joined, hidden, h, h_row, of[Q]);
        multiply(count, joined, rows, joined, hidden, packed_joined, of_h, h_row);
        add_norm_back(count, in, model.weight(layer, INPUT_NORM), of[INPUT_NORM], of_x + first * hidden);
    }

    // of_x += the gradient of a norm's input, from that of its output in of_h.
    void add_norm_back(int64_t count, const float* x, const float* weight, float* of_weight, float* of_x) {
        for (int64_t r = 0; r < count; r++)
            normalise_back(hidden, x + r * hidden, weight, epsilon, of_h + r * h_row, of_weight,
                           [&](int64_t c, Vector v) { store(of_x + r * hidden + c, load(of_x + r * hidden + c) + v); });
    }

    // of_x [tokens, hidden] becomes the gradient of the first layer's input. of_weights: all parameters' one after
    // another, in the order of `Part`, so that what is multiplied together stands together; they are added to.
    void backward(const float* of_out, float* of_x, float* of_weights) {
        std::vector<float*> of;
        for (int64_t layer = 0; layer < model.layers; layer++)
            for (int part = 0; part < PARTS; of_weights += model.sizes(part++)) of.push_back(of_weights);
        for (int64_t token = 0; token < reading.line.tokens; token++)
            normalise_back(hidden, kept.back().in + token * hidden, model.weight(model.layers, 0), epsilon,
                           of_out + token * hidden, of_weights,
                           [&](int64_t c, Vector v) { store(of_x + token * hidden + c, v); });
        for (int64_t layer = model.layers; layer >= 0; layer--) {
            if (layer < model.layers) pack_open_back(layer);
            if (layer > 0) pack_close_back(layer - 1);
            by_tokens([&](int64_t first, int64_t count) {
                if (layer < model.layers) open_back(layer, first, count, of_x, &of[layer * PARTS]);
                if (layer > 0) close_back(layer - 1, first, count, of_x, &of[(layer - 1) * PARTS]);
            });
            if (layer == 0) break;
            const Kept& at = kept[layer - 1];
            turn(reading, heads, at.joined, attended, keys);
            turn(reading, heads, at.joined, heads.turned(), values);
            attend_back(reading, heads, at.joined, keys, values, at.attended, at.logsum, of_attended, scores, of_joined);
        }
    }
};

extern "C" {

// Head sizes and widths must be multiples of this.
int64_t lanes() { return LANES; }

// Numbers of memory that a pass needs.
int64_t memory(const Model* model, const Line* line, int64_t keep) {
    Memory counted{nullptr};
    Pass(*model, *line, nullptr, keep, counted);
    return counted.used;
}

// out [tokens, hidden]: `in` after all layers and the last norm. With `keep`, `memory` is what `backward` needs.
void forward(const Model* model, const Line* line, int64_t keep, float* memory, const float* in, float* out) {
    Memory all{memory};
    Pass(*model, *line, in, keep, all).forward(out, keep);
}

void backward(const Model* model, const Line* line, float* memory, const float* in, const float* of_out, float* of_in,
              float* of_weights) {
    Memory all{memory};
    Pass(*model, *line, in, true, all).backward(of_out, of_in, of_weights);
}
}
