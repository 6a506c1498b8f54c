#include "split.h"

#include <cstring>

#include "masks.h"

namespace {

using millrace::Block;

// Finds line feeds.
struct LineScanner {
    const uint8_t *src;
    size_t n;
    size_t base = 0;  // start of the next block
    uint64_t bits = 0;
    size_t block = 0;

    LineScanner(const mr_splitter &, const uint8_t *src, size_t n) : src(src), n(n) {}

    size_t next() {
        for (;;) {
            if (bits != 0) {
                const size_t at = block + __builtin_ctzll(bits);
                bits &= bits - 1;
                return at;
            }
            if (base + 64 <= n) {
                block = base;
                bits = Block(src + base).equal('\n');
                base += 64;
                continue;
            }
            while (base < n) {
                if (src[base++] == '\n') return base - 1;
            }
            return n;
        }
    }
    void begin_record(size_t) {}
    void save(mr_splitter &) const {}
};

// Finds the line feeds outside quoted fields. A quote opens a field at its start only; `""` inside one is a quote.
struct QuoteScanner {
    const uint8_t *src;
    size_t n;
    size_t base = 0;
    uint64_t bits = 0;
    size_t block = 0;
    bool quoted;
    size_t closed_at;  // index + 1 of the last closing quote; 0 means the byte before this chunk if `closed`
    bool closed_before;
    bool inside_before;  // the byte before this chunk belongs to a field
    size_t quote_at;

    QuoteScanner(const mr_splitter &s, const uint8_t *src, size_t n)
        : src(src), n(n), quoted(s.quoted), closed_at(SIZE_MAX), closed_before(s.closed), inside_before(s.inside),
          quote_at(SIZE_MAX) {}

    bool at_field_start(size_t at) const {
        if (at == 0) return !inside_before;
        return src[at - 1] == ',' || src[at - 1] == '\n';
    }

    bool follows_close(size_t at) const { return at == 0 ? closed_before : closed_at == at - 1; }

    // Returns true where the byte ends a record.
    bool step(size_t at) {
        if (src[at] == '\n') return !quoted;
        if (quoted) {
            quoted = false;
            closed_at = at;
        } else if (follows_close(at)) {
            quoted = true;
            closed_at = SIZE_MAX;
        } else if (at_field_start(at)) {
            quoted = true;
            quote_at = at;
        }
        return false;
    }

    size_t next() {
        for (;;) {
            while (bits != 0) {
                const size_t at = block + __builtin_ctzll(bits);
                bits &= bits - 1;
                if (step(at)) return at;
            }
            if (base + 64 <= n) {
                block = base;
                const Block bytes(src + base);
                bits = bytes.equal('\n') | bytes.equal('"');
                base += 64;
                continue;
            }
            while (base < n) {
                const uint8_t c = src[base++];
                if ((c == '\n' || c == '"') && step(base - 1)) return base - 1;
            }
            return n;
        }
    }

    void save(mr_splitter &s) const {
        s.quoted = quoted;
        s.closed = n == 0 ? closed_before : closed_at == n - 1;
        s.inside = n == 0 ? inside_before : src[n - 1] != ',' && src[n - 1] != '\n';
        s.quote_at = quote_at;
    }
};

void reset_record(mr_splitter &s) {
    s.quoted = s.closed = s.inside = 0;
    s.quote_at = SIZE_MAX;
}

bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool all_space(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_space(p[i])) return false;
    }
    return true;
}

struct Output {
    uint8_t *dst;
    size_t len;
    uint32_t *lengths;
    size_t count;

    void copy(const uint8_t *src, size_t n) {
        std::memcpy(dst + len, src, n);
        len += n;
    }
};

// A line that is not simply copied along: it continues an earlier chunk's, ends in a carriage return or is blank.
template <bool csv>
void end_line(mr_splitter &s, Output &out, const uint8_t *piece, size_t n) {
    out.copy(piece, n);
    size_t length = s.partial + n;
    uint8_t *line = out.dst + out.len - length;
    if (length > 0 && line[length - 1] == '\r') {
        length--;
        out.len--;
    }
    s.partial = 0;
    if (csv ? length == 0 : all_space(line, length)) {
        out.len -= length;
        return;
    }
    out.lengths[out.count++] = static_cast<uint32_t>(length);
    out.dst[out.len++] = '\n';
}

template <class Scanner, bool csv>
int split_lines(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed, Output &out) {
    Scanner scanner(s, src, n);
    size_t run = 0;    // from here on src is still to be copied
    size_t start = 0;  // of the current line
    for (;;) {
        const size_t end = scanner.next();
        const size_t length = end - start;
        if (s.partial + length > s.limit && !(end < n && length > 0 && src[end - 1] == '\r' &&
                                              s.partial + length - 1 == s.limit)) {
            out.copy(src + run, start - run);
            if (start > 0) reset_record(s);
            *consumed = start;
            return MR_SPLIT_OVERSIZE;
        }
        if (end == n) break;
        const bool regular = s.partial == 0 && length > 0 && src[end - 1] != '\r' && (csv || src[start] > ' ');
        if (regular) {
            out.lengths[out.count++] = static_cast<uint32_t>(length);
        } else {
            out.copy(src + run, start - run);
            end_line<csv>(s, out, src + start, length);
            run = end + 1;
        }
        start = end + 1;
    }
    out.copy(src + run, n - run);
    s.partial += n - start;
    scanner.save(s);
    if (start == n && n > 0) reset_record(s);
    *consumed = n;
    return MR_SPLIT_MORE;
}

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

template <class Scanner>
int skip_line(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed) {
    Scanner scanner(s, src, n);
    const size_t end = scanner.next();
    *consumed = end;
    if (end < n) {
        reset_record(s);
        s.partial = 0;
        return 1;
    }
    scanner.save(s);
    return 0;
}

}  // namespace

int mr_split(struct mr_splitter *s, const uint8_t *src, size_t n, size_t *consumed, uint8_t *dst, size_t *dst_len,
             uint32_t *lengths, size_t *count) {
    Output out = {dst, *dst_len, lengths, *count};
    int status;
    switch (s->format) {
        case MR_SPLIT_JSON:
            status = split_json(*s, src, n, consumed, out);
            break;
        case MR_SPLIT_CSV:
            status = split_lines<QuoteScanner, true>(*s, src, n, consumed, out);
            break;
        default:
            status = split_lines<LineScanner, false>(*s, src, n, consumed, out);
            break;
    }
    *dst_len = out.len;
    *count = out.count;
    return status;
}

int mr_split_skip(struct mr_splitter *s, const uint8_t *src, size_t n, size_t *consumed) {
    switch (s->format) {
        case MR_SPLIT_JSON: {
            bool ended;
            *consumed = scan_element(*s, src, 0, n, &ended);
            if (ended) end_element(*s);
            return ended;
        }
        case MR_SPLIT_CSV:
            return skip_line<QuoteScanner>(*s, src, n, consumed);
        default:
            return skip_line<LineScanner>(*s, src, n, consumed);
    }
}

size_t mr_count_lines(const uint8_t *src, size_t n, size_t *last) {
    size_t lines = 0;
    size_t at = 0;
    *last = SIZE_MAX;
    for (; at + 64 <= n; at += 64) {
        const uint64_t bits = Block(src + at).equal('\n');
        if (bits == 0) continue;
        lines += static_cast<size_t>(__builtin_popcountll(bits));
        *last = at + 63 - static_cast<size_t>(__builtin_clzll(bits));
    }
    for (; at < n; at++) {
        if (src[at] != '\n') continue;
        lines++;
        *last = at;
    }
    return lines;
}
