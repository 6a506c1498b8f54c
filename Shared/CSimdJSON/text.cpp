#include "text.h"

namespace millrace {

namespace {

bool fail(Fault &fault, uint8_t code, uint8_t why, const uint8_t *at) {
    fault = {code, why, at};
    return false;
}

int hex_digit(uint8_t c) {
    if (is_digit(c)) return c - '0';
    const uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Four hexadecimal digits, or -1.
int32_t hex4(const uint8_t *text, const uint8_t *end) {
    if (end - text < 4) return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(text[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

void append_utf8(uint32_t point, uint8_t *&out) {
    if (point < 0x80) {
        *out++ = static_cast<uint8_t>(point);
    } else if (point < 0x800) {
        *out++ = static_cast<uint8_t>(0xC0 | point >> 6);
        *out++ = static_cast<uint8_t>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        *out++ = static_cast<uint8_t>(0xE0 | point >> 12);
        *out++ = static_cast<uint8_t>(0x80 | (point >> 6 & 0x3F));
        *out++ = static_cast<uint8_t>(0x80 | (point & 0x3F));
    } else {
        *out++ = static_cast<uint8_t>(0xF0 | point >> 18);
        *out++ = static_cast<uint8_t>(0x80 | (point >> 12 & 0x3F));
        *out++ = static_cast<uint8_t>(0x80 | (point >> 6 & 0x3F));
        *out++ = static_cast<uint8_t>(0x80 | (point & 0x3F));
    }
}

bool read_unicode(const uint8_t *&text, const uint8_t *end, uint8_t *&out, Fault &fault) {
    const int32_t first = hex4(text + 2, end);
    if (first < 0) return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_ESCAPE, text);
    if (first == 0) return fail(fault, MR_FAULT_NUL, MR_WHY_NONE, text);
    if (first < 0xD800 || first > 0xDFFF) {
        append_utf8(static_cast<uint32_t>(first), out);
        text += 6;
        return true;
    }
    const bool paired = first < 0xDC00 && end - text >= 12 && text[6] == '\\' && text[7] == 'u';
    const int32_t second = paired ? hex4(text + 8, end) : -1;
    if (second < 0xDC00 || second > 0xDFFF) return fail(fault, MR_FAULT_LONE_SURROGATE, MR_WHY_NONE, text);
    append_utf8(0x10000 + (static_cast<uint32_t>(first - 0xD800) << 10) + static_cast<uint32_t>(second - 0xDC00), out);
    text += 12;
    return true;
}

// What PostgreSQL's numeric holds: 131,072 digits before the point, 16,383 after it.
bool in_range(int64_t whole, int64_t fraction, int64_t exponent) {
    return whole + exponent <= 131072 && fraction - exponent <= 16383;
}

}  // namespace

bool read_escape(const uint8_t *&text, const uint8_t *end, uint8_t *&out, Fault &fault) {
    if (end - text < 2) return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_ESCAPE, text);
    uint8_t c;
    switch (text[1]) {
        case '"': c = '"'; break;
        case '\\': c = '\\'; break;
        case '/': c = '/'; break;
        case 'b': c = '\b'; break;
        case 'f': c = '\f'; break;
        case 'n': c = '\n'; break;
        case 'r': c = '\r'; break;
        case 't': c = '\t'; break;
        case 'u': return read_unicode(text, end, out, fault);
        default: return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_ESCAPE, text);
    }
    *out++ = c;
    text += 2;
    return true;
}

bool append_string_slowly(const uint8_t *text, size_t length, Buffer<uint8_t> &out, Fault &fault) {
    out.reserve(length + padding);  // an escape is never shorter than its UTF-8
    uint8_t *to = out.data + out.size;
    const uint8_t *end = text + length;
    while (text < end) {
        const size_t plain = before_backslash(text, static_cast<size_t>(end - text));
        std::memcpy(to, text, plain);
        to += plain;
        text += plain;
        if (text < end && !read_escape(text, end, to, fault)) return false;
    }
    out.size = static_cast<size_t>(to - out.data);
    return true;
}

bool check_string(const uint8_t *text, size_t length, Fault &fault) {
    const uint8_t *end = text + length;
    uint8_t scratch[8];
    for (;;) {
        text += before_backslash(text, static_cast<size_t>(end - text));
        if (text >= end) return true;
        uint8_t *to = scratch;
        if (!read_escape(text, end, to, fault)) return false;
    }
}

bool read_number_slowly(const uint8_t *text, const uint8_t *end, Number &number, Fault &fault) {
    const uint8_t *at = text;
    if (*at == '-') at++;
    const uint8_t *whole = at;
    while (is_digit(*at)) at++;
    const int64_t whole_digits = at - whole;
    if (whole_digits == 0 || (whole_digits > 1 && *whole == '0')) {
        return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_NUMBER, text);
    }
    bool integral = true;
    int64_t fraction_digits = 0;
    if (*at == '.') {
        integral = false;
        const uint8_t *fraction = ++at;
        while (is_digit(*at)) at++;
        fraction_digits = at - fraction;
        if (fraction_digits == 0) return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_NUMBER, text);
    }
    int64_t exponent = 0;
    if (*at == 'e' || *at == 'E') {
        integral = false;
        at++;
        const bool negative = *at == '-';
        if (*at == '-' || *at == '+') at++;
        if (!is_digit(*at)) return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_NUMBER, text);
        for (; is_digit(*at); at++) exponent = std::min<int64_t>(exponent * 10 + (*at - '0'), 1 << 28);
        if (negative) exponent = -exponent;
    }
    if (at > end || !(at == end || ends_scalar(*at))) return fail(fault, MR_FAULT_INVALID_JSON, MR_WHY_NUMBER, text);
    if (!in_range(whole_digits, fraction_digits, exponent)) return fail(fault, MR_FAULT_NUMBER_RANGE, 0, text);
    number.length = static_cast<size_t>(at - text);
    number.is_int = false;
    if (!integral || whole_digits > 19 || (*text == '-' && *whole == '0')) return true;
    uint64_t value = 0;
    for (const uint8_t *digit = whole; digit < at; digit++) value = value * 10 + (*digit - '0');
    const bool negative = *text == '-';
    const uint64_t largest = static_cast<uint64_t>(INT64_MAX) + negative;
    if (value > largest) return true;
    number.is_int = true;
    number.value = static_cast<int64_t>(negative ? ~value + 1 : value);
    return true;
}

}  // namespace millrace
