// The work of one frame: its records in windows small enough for the cache.
#pragma once
#include <simdjson.h>

#include "columns.h"
#include "text.h"

struct mr_shredder {
    millrace::Table table;

    explicit mr_shredder(const mr_limits &limits) : table(limits) {}
};

namespace millrace {

// A run of records, readable `padding` bytes beyond its end.
struct Window {
    const uint8_t *bytes;
    size_t size;
    size_t first;  // record
    size_t count;
};

// Calls `body` with windows of about `target` bytes that leave out the records that were cut, which become faults.
template <class Body>
void for_each_window(Table &table, const mr_frame &frame, size_t target, Body body) {
    Buffer<uint8_t> padded;
    size_t at = 0;
    size_t record = 0;
    size_t cut = 0;
    while (record < frame.count) {
        if (cut < frame.cut_count && static_cast<size_t>(frame.cut[cut]) == record) {
            table.fault(record, MR_FAULT_TOO_LARGE);
            at += frame.lengths[record++] + size_t(1);
            cut++;
            continue;
        }
        const size_t last = cut < frame.cut_count ? static_cast<size_t>(frame.cut[cut]) : frame.count;
        Window window = {frame.bytes + at, 0, record, 0};
        while (record < last && (window.count == 0 || window.size < target)) {
            window.size += frame.lengths[record++] + size_t(1);
            window.count++;
        }
        at += window.size;
        if (at + padding > frame.size) {
            padded.size = 0;
            padded.reserve(window.size + 2 * padding);
            std::memcpy(padded.data, window.bytes, window.size);
            std::memset(padded.data + window.size, 0, padding);
            window.bytes = padded.data;
        }
        body(window);
    }
}

// Finds the structure of JSON texts. Its indexes are those of simdjson's first stage.
class Structure {
   public:
    // Returns a simdjson error code.
    simdjson::error_code find(const uint8_t *bytes, size_t size);
    const uint32_t *indexes() const { return parser_->structural_indexes.get(); }

   private:
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser_;
};

inline simdjson::error_code Structure::find(const uint8_t *bytes, size_t size) {
    if (parser_ == nullptr || parser_->capacity() < size) {
        const size_t capacity = std::max<size_t>(size, 64 << 10);
        const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
            capacity, 1, parser_);
        if (error) throw std::bad_alloc();
    }
    return parser_->stage1(bytes, size, simdjson::stage1_mode::regular);
}

inline bool is_utf8(const uint8_t *bytes, size_t size) {
    return simdjson::validate_utf8(reinterpret_cast<const char *>(bytes), size);
}

// Where UTF-8 ends to be valid.
size_t valid_utf8_prefix(const uint8_t *bytes, size_t size);

}  // namespace millrace
