// Writing with a small model of the Llama family on a CPU: reading prompts and writing tokens, all of it in here.
//
// A step of a small model is so little work that what it waits for is the number of operations, and threads that wait
// for each other. So a lane takes some rows through the whole model, token after token, before it looks up again.
// Model and Layer are filled by models/packed.py, Row by engines/compiled.py.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "choose.h"
#include "lanes.h"
#include "matrices.h"
#include "pointwise.h"
#include "stretches.h"

struct Layer {
    const float *input_norm, *qkv, *qkv_bias, *q_norm, *k_norm, *out, *post_norm, *gate, *up, *down;
};

struct Model {
    int64_t layers, hidden, heads, kv_heads, size, mlp, vocabulary;
    float epsilon;
    const float *embedding, *norm, *head, *head_bias, *cosine, *sine;  // as pointwise.h rotates
    const Layer* layer;
};

// Where a row's keys and values are: of all prompts' common beginning, of its prompt, of its own tokens.
struct Row {
    float *stem, *prompt, *own;
    int64_t stem_room, prompt_room, own_room;  // in tokens, whole blocks
    int64_t stem_length, prompt_length, own_length;
};

namespace {

constexpr int TOGETHER = 4;       // rows with the same prompt that read it together
constexpr int MOST_SHARING = 16;  // queries that share a key at most

// Keys of a layer and head within a stretch; its values stand behind them.
float* keys_of(const Model& m, float* stretch, int64_t room, int64_t layer, int64_t head) {
    return stretch + (layer * m.kv_heads + head) * 2 * room * m.size;
}

Stretch stretch(const Model& m, float* from, int64_t room, int64_t length, int64_t layer, int64_t head) {
    const float* keys = keys_of(m, from, room, layer, head);
    return {keys, keys + room * m.size, length};
}

// One new token of each of some rows.
struct Asked {
    int64_t token, position;
    const Row* row;   // with lengths as they are with this token
    bool in_prompt;   // whether its key and value belong to the prompt, else to the row's own
};

// What is stored of a product: its numbers, and a bias if there is one.
struct Biased {
    const float* bias;
    Vector operator()(int64_t, int64_t column, Vector x) const { return bias ? x + load(bias + column) : x; }
};

// A lane's tools: room for `most` tokens, and scores of up to `longest`.
class Lane {
  public:
    Lane(const Model& model, int64_t most, int64_t longest)
        : m(model),
          qkv_width(padded((m.heads + 2 * m.kv_heads) * m.size)),
          mlp_width(padded(m.mlp)),
          out_width(padded(m.hidden)),
          logit_width(padded(m.vocabulary)),
          // Three stretches, each rounded up to whole blocks of four.
          score_room(longest + 3 * 4 * LANES),
          x(most * out_width),
          h(most * out_width),
          qkv(most * qkv_width),
          attended(most * m.heads * m.size),
          inner(most * mlp_width),
          scores(queries() * score_room) {}

    // Hidden states after the last norm, in `h` [count, out_width].
    void forward(const std::vector<Asked>& asked) {
        const int64_t count = asked.size();
        const auto added = [this](int64_t r, int64_t c, Vector v) { return load(&x[r * out_width + c]) + v; };
        for (int64_t i = 0; i < count; i++)
            std::memcpy(&x[i * out_width], m.embedding + asked[i].token * m.hidden, m.hidden * sizeof(float));
        for (int64_t l = 0; l < m.layers; l++) {
            const Layer& layer = m.layer[l];
            for (int64_t i = 0; i < count; i++)
                normalise(m.hidden, &x[i * out_width], layer.input_norm, m.epsilon, &h[i * out_width]);
            multiply(count, m.hidden, h.data(), out_width, qkv_width, layer.qkv, qkv.data(), qkv_width,
                     Biased{layer.qkv_bias});
            for (int64_t i = 0; i < count; i++) place(layer, l, asked[i], &qkv[i * qkv_width]);
            for (int64_t i = 0; i < count;) i = attend(l, asked, i);
            multiply(count, m.heads * m.size, attended.data(), m.heads * m.size, out_width, layer.out, x.data(), out_width,
                     added);
            for (int64_t i = 0; i < count; i++)
                normalise(m.hidden, &x[i * out_width], layer.post_norm, m.epsilon, &h[i * out_width]);
            gated(count, layer);
            multiply(count, m.mlp, inner.data(), mlp_width, out_width, layer.down, x.data(), out_width, added);
        }
        for (int64_t i = 0; i < count; i++)
            normalise(m.hidden, &x[i * out_width], m.norm, m.epsilon, &h[i * out_width]);
    }

    // Logits of row `from` of h, [logit_width] each, into `to`.
    void logits(int64_t from, int64_t count, float* to, int64_t stride) {
        multiply(count, m.hidden, &h[from * out_width], out_width, logit_width, m.head, to, stride,
                 Biased{m.head_bias});
    }

  private:
    const Model& m;
    const int64_t qkv_width, mlp_width, out_width, logit_width, score_room;
    std::vector<float> x, h, qkv, attended, inner, scores;

    int64_t queries() const { return TOGETHER * (m.heads / m.kv_heads); }

    // inner = silu(gate) * up, tile by tile.
    void gated(int64_t count, const Layer& layer) {
        for (int64_t c = 0; c < mlp_width; c += PANEL) {
            const float *gate = layer.gate + c * m.hidden, *up = layer.up + c * m.hidden;
            by_tiles(count, [&](auto rows, int64_t r) {
                Vector g[rows()][WIDE] = {}, u[rows()][WIDE] = {};
                tile<rows()>(m.hidden, &h[r * out_width], out_width, 1, gate, PANEL, g);
                for (auto& row : g)
                    for (auto& v : row) v *= sigmoid(v);
                tile<rows()>(m.hidden, &h[r * out_width], out_width, 1, up, PANEL, u);
                for (int i = 0; i < rows(); i++)
                    for (int w = 0; w < WIDE; w++)
                        store(&inner[(r + i) * mlp_width + c + w * LANES], g[i][w] * u[i][w]);
            });
        }
    }

    // Norms and turns a token's queries and keys; its key and value go where they stay.
    void place(const Layer& layer, int64_t l, const Asked& asked, float* token) {
        const Row& row = *asked.row;
        const float *cosine = m.cosine + asked.position * m.size, *sine = m.sine + asked.position * m.size;
        for (int64_t head = 0; head < m.heads; head++) {
            float* q = token + head * m.size;
            if (layer.q_norm) normalise(m.size, q, layer.q_norm, m.epsilon, q);
            rotate(m.size, q, cosine, sine);
            for (int64_t d = 0; d < m.size; d += LANES) store(q + d, load(q + d) / std::sqrt((float)m.size));
        }
        for (int64_t head = 0; head < m.kv_heads; head++) {
            float* k = token + (m.heads + head) * m.size;
            if (layer.k_norm) normalise(m.size, k, layer.k_norm, m.epsilon, k);
            rotate(m.size, k, cosine, sine);
            const int64_t room = asked.in_prompt ? row.prompt_room : row.own_room;
            const int64_t at = (asked.in_prompt ? row.prompt_length : row.own_length) - 1;
            float* keys = keys_of(m, asked.in_prompt ? row.prompt : row.own, room, l, head);
            float* slot = keys + at / LANES * LANES * m.size + at % LANES;
            for (int64_t d = 0; d < m.size; d++) slot[d * LANES] = k[d];
            std::memcpy(keys + (room + at) * m.size, token + (m.heads + m.kv_heads + head) * m.size,
                        m.size * sizeof(float));
        }
    }

    // Attention of the tokens from `first` on that read the same prompt; returns the first that does not.
    int64_t attend(int64_t l, const std::vector<Asked>& asked, int64_t first) {
        const Row& row = *asked[first].row;
        int64_t end = first + 1;
        while (end < (int64_t)asked.size() && end - first < TOGETHER && asked[end].row->prompt == row.prompt &&
               asked[end].row->prompt_length == row.prompt_length)
            end++;
        const int group = m.heads / m.kv_heads;
        for (int64_t head = 0; head < m.kv_heads; head++) {
            const Stretch stem = stretch(m, row.stem, row.stem_room, row.stem_length, l, head);
            const Stretch prompt = stretch(m, row.prompt, row.prompt_room, row.prompt_length, l, head);
            const float* q[TOGETHER * MOST_SHARING];
            float *s[TOGETHER * MOST_SHARING], *out[TOGETHER * MOST_SHARING];
            const int count = (end - first) * group;
            for (int i = 0; i < count; i++) {
                const int64_t token = first + i / group, mine = head * group + i % group;
                q[i] = &qkv[token * qkv_width + mine * m.size];
                out[i] = &attended[(token * m.heads + mine) * m.size];
                s[i] = &scores[i * score_room];
            }
            // Scores stand in whole blocks: what lies behind a stretch's end is not looked at.
            const int64_t at_prompt = Stretch::blocks(stem.length) * LANES;
            const int64_t at_own = at_prompt + Stretch::blocks(prompt.length) * LANES;
            by_queries(count, [&](auto n, int i) {
                score<n()>(q + i, stem, m.size, s + i, 0);
                score<n()>(q + i, prompt, m.size, s + i, at_prompt);
            });
            float total[TOGETHER * MOST_SHARING];
            Stretch own[TOGETHER];
            for (int64_t t = first; t < end; t++) {
                const Row& mine = *asked[t].row;
                const int from = (t - first) * group;
                own[t - first] = stretch(m, mine.own, mine.own_room, mine.own_length, l, head);
                by_queries(group, [&](auto n, int i) {
                    score<n()>(q + from + i, own[t - first], m.size, s + from + i, at_own);
                });
                for (int i = from; i < from + group; i++)
                    total[i] = weights(s[i], {{0, stem.length}, {at_prompt, prompt.length}, {at_own, mine.own_length}});
            }
            for (int i = 0; i < count; i++) std::memset(out[i], 0, m.size * sizeof(float));
            by_queries(count, [&](auto n, int i) {
                blend<n()>(s + i, 0, stem, m.size, out + i);
                blend<n()>(s + i, at_prompt, prompt, m.size, out + i);
            });
            for (int64_t t = first; t < end; t++)
                by_queries(group, [&](auto n, int i) {
                    const int from = (t - first) * group + i;
                    blend<n()>(s + from, at_own, own[t - first], m.size, out + from);
                });
            for (int i = 0; i < count; i++)
                for (int64_t d = 0; d < m.size; d += LANES) store(out[i] + d, load(out[i] + d) / total[i]);
        }
        return end;
    }

    struct Part {
        int64_t at, length;
    };

    // Scores to weights exp(score - largest), in place; returns their sum. Behind a part's end stands what never counts.
    static float weights(float* s, const Part (&parts)[3]) {
        const float nothing = -INFINITY;
        Vector top = splat(nothing);
        for (const Part& part : parts) {
            for (int64_t t = part.length; t % LANES; t++) s[part.at + t] = nothing;
            for (int64_t t = 0; t < part.length; t += LANES) top = larger(load(s + part.at + t), top);
        }
        const float highest = largest(top);
        Vector total = {};
        for (const Part& part : parts) {
            for (int64_t t = 0; t < part.length; t += LANES) {
                Vector weight = exponential(load(s + part.at + t) - highest);
                store(s + part.at + t, weight);
                total += weight;
            }
        }
        return sum(total);
    }
};

}  // namespace

// Reads `prompts` prompts, each into the prompt stretch of its row; logits of each one's last token into logits [prompts, padded vocabulary], where there are any.
extern "C" void read_prompts(const Model* model, const Row* rows, int64_t prompts, const int32_t* const* tokens,
                             const int64_t* lengths, int64_t lanes, int64_t longest, float* logits) {
    constexpr int64_t AT_ONCE = 96;
    std::atomic<int64_t> next{0};
    side_by_side(lanes < prompts ? lanes : prompts, [&](int64_t) {
        Lane lane(*model, AT_ONCE, longest);
        std::vector<Row> each;
        std::vector<Asked> asked;
        for (int64_t p; (p = next++) < prompts;) {
            const Row& row = rows[p];
            for (int64_t start = 0; start < lengths[p]; start += AT_ONCE) {
                const int64_t count = std::min(AT_ONCE, lengths[p] - start);
                each.assign(count, row);
                asked.clear();
                for (int64_t i = 0; i < count; i++) {
                    each[i].prompt_length = start + i + 1;
                    asked.push_back({tokens[p][start + i], row.stem_length + each[i].prompt_length - 1, &each[i], true});
                }
                lane.forward(asked);
                if (logits && start + count == lengths[p])
                    lane.logits(count - 1, 1, logits + p * padded(model->vocabulary), 0);
            }
        }
    });
}

// Writes up to `count` tokens a row, and no more than left[r]: as many rows of `tokens` and `logprobs` [rows, count].
//
// fresh[r]: where the first token's logits are, or null where the last token last[r] has to be read first. A row ends
// with one of the `endings`. uniforms: [rows, count]. Rows' own_length grows by what was read.
extern "C" void write_tokens(const Model* model, Row* rows, int64_t count_rows, int64_t count, const int32_t* left,
                             float* const* fresh, const int32_t* last, const float* uniforms, Sampling sampling,
                             const int32_t* endings, int64_t count_endings, int64_t lanes, int64_t longest,
                             int32_t* tokens, float* logprobs) {
    std::vector<int64_t> going;
    for (int64_t r = 0; r < count_rows; r++)
        if (left[r] > 0) going.push_back(r);
    if (going.empty()) return;
    // Chunks large enough to use each weight often, and twice as many as lanes, so that none waits long.
    const int64_t alive = going.size();
    int64_t chunk = (alive + 2 * lanes - 1) / (2 * lanes);
    chunk = std::min(std::max<int64_t>(chunk, std::min<int64_t>(48, (alive + lanes - 1) / lanes)), (int64_t)192);
    const int64_t chunks = (alive + chunk - 1) / chunk;
    std::atomic<int64_t> next{0};
    side_by_side(std::min(lanes, chunks), [&](int64_t) {
        const int64_t width = padded(model->vocabulary);
        Lane lane(*model, chunk, longest);
        std::vector<float> logits(chunk * width);
        std::vector<Asked> asked;
        std::vector<int64_t> mine, reading;
        for (int64_t c; (c = next++) < chunks;) {
            mine.assign(going.begin() + c * chunk, going.begin() + std::min(alive, (c + 1) * chunk));
            for (int64_t step = 0; step < count && !mine.empty(); step++) {
                asked.clear();
                reading.clear();
                for (int64_t r : mine) {
                    if (step == 0 && fresh[r]) continue;
                    Row& row = rows[r];
                    row.own_length++;
                    const int32_t said = step ? tokens[r * count + step - 1] : last[r];
                    const int64_t position = row.stem_length + row.prompt_length + row.own_length - 1;
                    asked.push_back({said, position, &row, false});
                    reading.push_back(r);
                }
                if (!asked.empty()) {
                    lane.forward(asked);
                    lane.logits(0, asked.size(), logits.data(), width);
                }
                std::vector<int64_t> on;
                int64_t seen = 0;
                for (int64_t r : mine) {
                    float* from = step == 0 && fresh[r] ? fresh[r] : &logits[seen++ * width];
                    const int64_t at = r * count + step;
                    tokens[at] = choose(model->vocabulary, from, uniforms[at], sampling, logprobs + at);
                    bool ended = step + 1 >= left[r];
                    for (int64_t e = 0; e < count_endings; e++) ended |= tokens[at] == endings[e];
                    if (!ended) on.push_back(r);
                }
                mine.swap(on);
            }
        }
    });
}

// What forward.py has to know to pack weights and make room for keys.
extern "C" int64_t vector_lanes() { return LANES; }
extern "C" int64_t panel_width() { return PANEL; }
extern "C" int64_t most_sharing() { return MOST_SHARING; }
