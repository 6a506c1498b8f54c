// Cuts a body that arrives in chunks into records. No allocation; nothing throws.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MR_SPLIT_NDJSON = 1, MR_SPLIT_JSON = 2, MR_SPLIT_CSV = 3, MR_SPLIT_TEXT = 4 };

enum {
    MR_SPLIT_MORE = 0,      // the chunk is used up
    MR_SPLIT_OVERSIZE = 1,  // the record at `consumed` is longer than the limit: use mr_split_skip from there
    MR_SPLIT_ERROR = 2      // the body cannot be cut: `error` says why, `consumed` where
};

enum {
    MR_SPLIT_NO_ERROR = 0,
    MR_SPLIT_EXPECTED_CONTAINER = 1,  // neither an object nor an array
    MR_SPLIT_EXPECTED_VALUE = 2,      // a comma or bracket where an element has to be
    MR_SPLIT_EXPECTED_COMMA = 3,      // something other than , or ] after an element
    MR_SPLIT_TRAILING = 4             // something after the object or array
};

// Phases of a JSON body.
enum {
    MR_JSON_START = 0,    // before the object or array
    MR_JSON_FIRST = 1,    // after [: an element or ]
    MR_JSON_NEXT = 2,     // after a comma: an element
    MR_JSON_ELEMENT = 3,  // inside an element of the array
    MR_JSON_OBJECT = 4,   // inside the only object
    MR_JSON_AFTER = 5,    // after an element: , or ]
    MR_JSON_DONE = 6      // after the end: white space
};

// The state between two chunks. Zero it, then set format and limit.
struct mr_splitter {
    uint64_t limit;    // bytes of the longest record that is kept whole
    uint64_t partial;  // bytes of the record in progress that are already at the end of dst
    int64_t depth;     // JSON: brackets open inside the element
    uint8_t format;
    uint8_t error;
    uint8_t phase;       // JSON
    uint8_t kind;        // JSON: '{' container, '"' string, 'x' other scalar
    uint8_t in_string;   // JSON
    uint8_t escaped;     // JSON: the next byte is escaped
    uint8_t quoted;      // CSV: inside a quoted field
    uint8_t closed;      // CSV: the last byte closed a quoted field (or is the first half of a doubled quote)
    uint8_t inside;      // CSV: the last byte was part of a field (no comma, no line feed)
    size_t quote_at;     // CSV: where in this chunk the quoted field was opened; SIZE_MAX (-1 in Swift): earlier
};

// Cuts n bytes of src. Whole records go to dst + *dst_len, each followed by a line feed, their lengths (without it) to
// lengths + *count; the beginning of an unfinished one is left at the end of dst. dst needs room for n + 2 more
// bytes, lengths for n / 2 + 2 more. Returns a status; *consumed bytes of src are dealt with.
int mr_split(struct mr_splitter *s, const uint8_t *src, size_t n, size_t *consumed, uint8_t *dst, size_t *dst_len,
             uint32_t *lengths, size_t *count);

// Goes to the end of the record in progress without copying it. Returns 1 where its content ends at src + *consumed
// (a line's end is still to be stepped over), 0 when all n bytes belong to it.
int mr_split_skip(struct mr_splitter *s, const uint8_t *src, size_t n, size_t *consumed);

// The number of line feeds in n bytes; *last is the index of the last one, or SIZE_MAX (-1 in Swift).
size_t mr_count_lines(const uint8_t *src, size_t n, size_t *last);

#ifdef __cplusplus
}
#endif
