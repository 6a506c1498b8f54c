#include "masks.h"
#include "splitting.h"

namespace millrace {
namespace {

// Goes to the end of a container, from inside it. Returns the index after its last bracket, or n.
size_t scan_container(mr_splitter &s, const uint8_t *src, size_t at, size_t n, bool *ended) {
    uint64_t carry = s.escaped;
    uint64_t in_string = s.in_string ? ~0ULL : 0;
    int64_t depth = s.depth;
    *ended = false;
    while (at < n) {
        uint8_t tail[64];
        const size_t left = n - at;
        const uint8_t *p = src + at;
        if (left < 64) {
            std::memset(tail, ' ', sizeof tail);
            std::memcpy(tail, p, left);
            p = tail;
        }
        const Block block(p);
        const uint64_t escaped = millrace::escaped_bytes(block.equal('\\'), carry);
        const uint64_t quotes = block.equal('"') & ~escaped;
        const uint64_t strings = millrace::prefix_xor(quotes) ^ in_string;
        uint64_t open = block.equal_folded('{') & ~strings;
        uint64_t close = block.equal_folded('}') & ~strings;
        if (__builtin_popcountll(close) >= depth) {
            uint64_t both = open | close;
            while (both != 0) {
                const int bit = __builtin_ctzll(both);
                if (close >> bit & 1) {
                    if (--depth == 0) {
                        s.in_string = s.escaped = 0;
                        s.depth = 0;
                        *ended = true;
                        return at + bit + 1;
                    }
                } else {
                    depth++;
                }
                both &= both - 1;
            }
        } else {
            depth += __builtin_popcountll(open) - __builtin_popcountll(close);
        }
        if (left < 64) {
            carry = escaped >> left & 1;
            in_string = strings >> (left - 1) & 1 ? ~0ULL : 0;
            at = n;
        } else {
            in_string = static_cast<uint64_t>(static_cast<int64_t>(strings) >> 63);
            at += 64;
        }
    }
    s.escaped = static_cast<uint8_t>(carry);
    s.in_string = in_string != 0;
    s.depth = depth;
    return n;
}

size_t scan_string(mr_splitter &s, const uint8_t *src, size_t at, size_t n, bool *ended) {
    *ended = false;
    while (at < n) {
        const uint8_t c = src[at++];
        if (s.escaped) {
            s.escaped = 0;
        } else if (c == '\\') {
            s.escaped = 1;
        } else if (c == '"') {
            *ended = true;
            return at;
        }
    }
    return n;
}

size_t scan_scalar(const uint8_t *src, size_t at, size_t n, bool *ended) {
    while (at < n && !is_space(src[at]) && src[at] != ',' && src[at] != ']' && src[at] != '}') at++;
    *ended = at < n;
    return at;
}

size_t scan_element(mr_splitter &s, const uint8_t *src, size_t at, size_t n, bool *ended) {
    if (s.kind == '{') return scan_container(s, src, at, n, ended);
    if (s.kind == '"') return scan_string(s, src, at, n, ended);
    return scan_scalar(src, at, n, ended);
}

void end_element(mr_splitter &s) {
    s.phase = s.phase == MR_JSON_OBJECT ? MR_JSON_DONE : MR_JSON_AFTER;
    s.partial = 0;
}

// Begins an element at c. Returns how many bytes of it the scan starts behind.
size_t begin_element(mr_splitter &s, uint8_t c) {
    s.kind = c == '{' || c == '[' ? '{' : c == '"' ? '"' : 'x';
    s.depth = 1;
    s.in_string = s.escaped = 0;
    s.partial = 0;
    return s.kind == 'x' ? 0 : 1;
}

int fail(mr_splitter &s, uint8_t error, size_t at, size_t *consumed) {
    s.error = error;
    *consumed = at;
    return MR_SPLIT_ERROR;
}

// Steps over one byte between elements. Returns an error, or 0; *begins says that an element begins here.
uint8_t between(mr_splitter &s, uint8_t c, bool *begins) {
    *begins = false;
    switch (s.phase) {
        case MR_JSON_START:
            if (c == '[') {
                s.phase = MR_JSON_FIRST;
                return 0;
            }
            if (c != '{') return MR_SPLIT_EXPECTED_CONTAINER;
            s.phase = MR_JSON_OBJECT;
            *begins = true;
            return 0;
        case MR_JSON_FIRST:
        case MR_JSON_NEXT:
            if (c == ']' && s.phase == MR_JSON_FIRST) {
                s.phase = MR_JSON_DONE;
                return 0;
            }
            if (c == ',' || c == ']' || c == '}' || c == ':') return MR_SPLIT_EXPECTED_VALUE;
            s.phase = MR_JSON_ELEMENT;
            *begins = true;
            return 0;
        case MR_JSON_AFTER:
            if (c != ',' && c != ']') return MR_SPLIT_EXPECTED_COMMA;
            s.phase = c == ',' ? MR_JSON_NEXT : MR_JSON_DONE;
            return 0;
        default:
            return MR_SPLIT_TRAILING;
    }
}

}  // namespace

int split_json(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed, Output &out) {
    size_t at = 0;
    while (at < n) {
        const size_t start = at;
        if (s.phase != MR_JSON_ELEMENT && s.phase != MR_JSON_OBJECT) {
            if (is_space(src[at])) {
                at++;
                continue;
            }
            bool begins;
            const uint8_t error = between(s, src[at], &begins);
            if (error != 0) return fail(s, error, at, consumed);
            if (!begins) {
                at++;
                continue;
            }
            at += begin_element(s, src[at]);
        }
        const mr_splitter before = s;
        const size_t scanned = at;
        bool ended;
        at = scan_element(s, src, at, n, &ended);
        if (s.partial + (at - start) > s.limit) {
            s = before;
            *consumed = scanned;
            out.copy(src + start, scanned - start);  // the opening byte, which the scan has stepped over
            s.partial += scanned - start;
            return MR_SPLIT_OVERSIZE;
        }
        out.copy(src + start, at - start);
        s.partial += at - start;
        if (!ended) break;
        out.lengths[out.count++] = static_cast<uint32_t>(s.partial);
        out.dst[out.len++] = '\n';
        end_element(s);
    }
    *consumed = n;
    return MR_SPLIT_MORE;
}

int skip_json(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed) {
    bool ended;
    *consumed = scan_element(s, src, 0, n, &ended);
    if (ended) end_element(s);
    return ended;
}

}  // namespace millrace
