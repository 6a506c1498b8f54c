// What the ways to split a body share.
#pragma once
#include <cstring>

#include "split.h"

namespace millrace {

inline bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Where whole records go.
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

// As mr_split and mr_split_skip, for JSON bodies.
int split_json(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed, Output &out);
int skip_json(mr_splitter &s, const uint8_t *src, size_t n, size_t *consumed);

}  // namespace millrace
