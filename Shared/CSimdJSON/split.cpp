#include "split.h"

#include "masks.h"
#include "splitting.h"

namespace {

using millrace::Block;
using millrace::is_space;
using millrace::Output;

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

bool all_space(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_space(p[i])) return false;
    }
    return true;
}

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
            status = millrace::split_json(*s, src, n, consumed, out);
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
        case MR_SPLIT_JSON:
            return millrace::skip_json(*s, src, n, consumed);
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
