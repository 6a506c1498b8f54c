// 64-byte blocks compared against byte values, one bit a byte.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace millrace {

struct Block {
#if defined(__SSE2__)
    __m128i lane[4];

    explicit Block(const uint8_t *p) {
        for (int i = 0; i < 4; i++) lane[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p) + i);
    }

    uint64_t equal(uint8_t value) const {
        const __m128i wanted = _mm_set1_epi8(static_cast<char>(value));
        uint64_t bits = 0;
        for (int i = 0; i < 4; i++) {
            const uint64_t part = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(lane[i], wanted)));
            bits |= part << (16 * i);
        }
        return bits;
    }

    // Bytes that are `value` once bit 0x20 is set: for { and }, also [ and ].
    uint64_t equal_folded(uint8_t value) const {
        const __m128i wanted = _mm_set1_epi8(static_cast<char>(value));
        const __m128i fold = _mm_set1_epi8(0x20);
        uint64_t bits = 0;
        for (int i = 0; i < 4; i++) {
            const __m128i same = _mm_cmpeq_epi8(_mm_or_si128(lane[i], fold), wanted);
            bits |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(same))) << (16 * i);
        }
        return bits;
    }
#else
    uint8_t bytes[64];

    explicit Block(const uint8_t *p) { std::memcpy(bytes, p, 64); }

    uint64_t equal(uint8_t value) const {
        uint64_t bits = 0;
        for (int i = 0; i < 64; i++) bits |= static_cast<uint64_t>(bytes[i] == value) << i;
        return bits;
    }

    uint64_t equal_folded(uint8_t value) const {
        uint64_t bits = 0;
        for (int i = 0; i < 64; i++) bits |= static_cast<uint64_t>((bytes[i] | 0x20) == value) << i;
        return bits;
    }
#endif
};

// Bit i is the parity of bits 0...i.
inline uint64_t prefix_xor(uint64_t bits) {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

// Of a block's backslashes, the bytes they escape. `carry` says whether the first byte is escaped, and after the call
// whether the byte after the block is.
inline uint64_t escaped_bytes(uint64_t backslash, uint64_t &carry) {
    if (backslash == 0) {
        const uint64_t escaped = carry;
        carry = 0;
        return escaped;
    }
    backslash &= ~carry;
    const uint64_t follows = backslash << 1 | carry;
    const uint64_t even = 0x5555555555555555ULL;
    const uint64_t odd_starts = backslash & ~even & ~follows;
    uint64_t sequences;
    carry = __builtin_add_overflow(odd_starts, backslash, &sequences) ? 1 : 0;
    return (even ^ (sequences << 1)) & follows;
}

}  // namespace millrace
