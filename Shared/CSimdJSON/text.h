// Strings and numbers of JSON.
#pragma once
#include "columns.h"
#include "masks.h"

namespace millrace {

struct Fault {
    uint8_t code = MR_FAULT_NONE;
    uint8_t why = MR_WHY_NONE;
    const uint8_t *at = nullptr;
};

// Every text that is read may be read this far beyond its end.
constexpr size_t padding = 64;

// Of `length` bytes, those before the first backslash.
inline size_t before_backslash(const uint8_t *text, size_t length) {
    for (size_t at = 0; at < length; at += 64) {
        const uint64_t bits = Block(text + at).equal('\\');
        if (bits != 0) return std::min<size_t>(length, at + static_cast<size_t>(__builtin_ctzll(bits)));
    }
    return length;
}

// Reads the escape whose backslash is at *text. Appends its UTF-8 to out, of which 4 bytes are free, and steps over it.
bool read_escape(const uint8_t *&text, const uint8_t *end, uint8_t *&out, Fault &fault);

// Appends a string's content, escapes resolved. The content holds no control characters and is UTF-8.
bool append_string_slowly(const uint8_t *text, size_t length, Buffer<uint8_t> &out, Fault &fault);

inline bool append_string(const uint8_t *text, size_t length, Buffer<uint8_t> &out, Fault &fault) {
    out.reserve(length + padding);
    uint8_t *to = out.data + out.size;
#if defined(__SSE2__)
    const __m128i backslash = _mm_set1_epi8('\\');
    size_t at = 0;
    do {
        const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text + at));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to + at), part);
        const int bits = _mm_movemask_epi8(_mm_cmpeq_epi8(part, backslash));
        if (__builtin_expect(bits != 0, 0) && at + static_cast<size_t>(__builtin_ctz(bits)) < length) {
            return append_string_slowly(text, length, out, fault);
        }
        at += 16;
    } while (at < length);
#else
    if (before_backslash(text, length) < length) return append_string_slowly(text, length, out, fault);
    std::memcpy(to, text, length);
#endif
    out.size += length;
    return true;
}

// Checks a string's escapes without keeping its content.
bool check_string(const uint8_t *text, size_t length, Fault &fault);

inline bool is_digit(uint8_t c) { return static_cast<uint8_t>(c - '0') < 10; }

inline bool ends_scalar(uint8_t c) {
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ':';
}

// A JSON number at `text`, which a byte that ends_scalar follows within `end`.
struct Number {
    size_t length = 0;
    bool is_int = false;
    int64_t value = 0;
};

bool read_number_slowly(const uint8_t *text, const uint8_t *end, Number &number, Fault &fault);

inline bool read_number(const uint8_t *text, const uint8_t *end, Number &number, Fault &fault) {
    const uint8_t *at = text;
    const bool negative = *at == '-';
    at += negative;
    const uint8_t *digits = at;
    uint64_t value = 0;
    while (is_digit(*at)) value = value * 10 + (*at++ - '0');
    const auto count = static_cast<size_t>(at - digits);
    const bool canonical = count > 0 && count <= 18 && (*digits != '0' || (count == 1 && !negative));
    if (__builtin_expect(!canonical || !(at == end || ends_scalar(*at)), 0)) {
        return read_number_slowly(text, end, number, fault);
    }
    number.length = static_cast<size_t>(at - text);
    number.is_int = true;
    number.value = negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
    return true;
}

// Of a literal at `text`, its kind; or MR_MISSING.
inline uint8_t read_literal(const uint8_t *text, const uint8_t *end, size_t &length) {
    uint8_t kind = MR_MISSING;
    if (*text == 't' && std::memcmp(text, "true", 4) == 0) {
        kind = MR_TRUE;
        length = 4;
    } else if (*text == 'f' && std::memcmp(text, "false", 5) == 0) {
        kind = MR_FALSE;
        length = 5;
    } else if (*text == 'n' && std::memcmp(text, "null", 4) == 0) {
        kind = MR_NULL;
        length = 4;
    } else {
        return MR_MISSING;
    }
    return text + length == end || ends_scalar(text[length]) ? kind : static_cast<uint8_t>(MR_MISSING);
}

}  // namespace millrace
