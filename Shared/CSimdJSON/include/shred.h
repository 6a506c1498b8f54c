// Shreds a whole frame of records into columns in one call. simdjson finds the structure; the values go straight from
// the records into growing buffers, without an allocation per record or field. Exceptions do not leave.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Kinds of values, as VariantKind has them.
enum {
    MR_MISSING = 0, MR_NULL = 1, MR_FALSE = 2, MR_TRUE = 3, MR_INT = 4, MR_NUMBER = 5, MR_STRING = 6, MR_JSON = 7,
    MR_CELL = 8
};

// Why a record was turned down.
enum {
    MR_FAULT_NONE = 0,
    MR_FAULT_NOT_AN_OBJECT = 1,
    MR_FAULT_INVALID_JSON = 2,
    MR_FAULT_INVALID_UTF8 = 3,
    MR_FAULT_NUL = 4,
    MR_FAULT_LONE_SURROGATE = 5,
    MR_FAULT_TOO_DEEP = 6,
    MR_FAULT_NUMBER_RANGE = 7,
    MR_FAULT_TOO_LARGE = 8,
    MR_FAULT_CSV_COLUMNS = 9,
    MR_FAULT_INVALID_CSV = 10
};

// What exactly is wrong with invalid JSON.
enum {
    MR_WHY_NONE = 0,
    MR_WHY_END = 1,
    MR_WHY_KEY = 2,
    MR_WHY_COLON = 3,
    MR_WHY_VALUE = 4,
    MR_WHY_COMMA = 5,
    MR_WHY_TRAILING = 6,
    MR_WHY_NUMBER = 7,
    MR_WHY_LITERAL = 8,
    MR_WHY_ESCAPE = 9,
    MR_WHY_CONTROL = 10,
    MR_WHY_UNCLOSED = 11,
    MR_WHY_NO_VALUE = 12
};

struct mr_fault {
    uint32_t record;  // ordinal
    uint32_t at;      // byte in the record
    uint32_t found;   // CSV: fields found; MR_WHY_NO_VALUE: the character there
    uint8_t code;
    uint8_t why;
};

struct mr_frame {
    const uint8_t *bytes;     // records, each followed by one line feed
    size_t size;
    const uint32_t *lengths;  // of the records without the line feed
    size_t count;
    const int32_t *cut;       // ordinals, rising, of records to turn down as too large
    size_t cut_count;
};

struct mr_limits {
    uint32_t columns;  // columns in all
    uint32_t depth;    // of nesting, the record itself included; at most 1000
    uint32_t names;    // extra names that are listed
    uint64_t cells;    // columns times records, beyond the first 64 columns
};

struct mr_column {
    const uint8_t *name;
    size_t name_length;
    const uint8_t *kinds;      // one a row
    const uint64_t *payloads;  // one a row
    const uint8_t *arena;
    size_t arena_size;
};

struct mr_extra {
    const uint8_t *data;      // JSON objects back to back
    const uint32_t *offsets;  // one more than rows
    size_t rows_with;         // rows that have any
};

struct mr_shredder;

// NULL when there is no memory.
struct mr_shredder *mr_shredder_new(struct mr_limits limits);
void mr_shredder_free(struct mr_shredder *shredder);

// Each returns 0, or -1 when there is no memory. One frame a shredder.
int mr_shred_json(struct mr_shredder *shredder, const struct mr_frame *frame);
int mr_shred_csv(struct mr_shredder *shredder, const struct mr_frame *frame, const uint8_t *header, size_t header_size);
int mr_shred_text(struct mr_shredder *shredder, const struct mr_frame *frame);

// The result, valid until the shredder is freed. Row i came from record mr_shred_rows()[i].
size_t mr_shred_row_count(const struct mr_shredder *shredder);
const uint32_t *mr_shred_rows(const struct mr_shredder *shredder);
size_t mr_shred_column_count(const struct mr_shredder *shredder);
struct mr_column mr_shred_column(const struct mr_shredder *shredder, size_t column);
size_t mr_shred_fault_count(const struct mr_shredder *shredder);
struct mr_fault mr_shred_fault(const struct mr_shredder *shredder, size_t fault);
struct mr_extra mr_shred_extra(const struct mr_shredder *shredder);
size_t mr_shred_extra_name_count(const struct mr_shredder *shredder);
const uint8_t *mr_shred_extra_name(const struct mr_shredder *shredder, size_t index, size_t *length);

// Checks one JSON text as jsonb takes it: what is wrong with it is in *fault, or MR_FAULT_NONE. Returns 0, or -1 when
// there is no memory.
int mr_check_json(const uint8_t *text, size_t size, uint32_t depth, struct mr_fault *fault);

#ifdef __cplusplus
}
#endif
