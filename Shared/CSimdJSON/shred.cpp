#include "shred.h"

#include "shredder.h"
#include "walker.h"

namespace millrace {

size_t valid_utf8_prefix(const uint8_t *bytes, size_t size) {
    size_t at = 0;
    while (at < size) {
        const uint8_t c = bytes[at];
        const size_t length = c < 0x80 ? 1 : c < 0xC0 ? 9 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF8 ? 4 : 9;
        if (length > size - at || !is_utf8(bytes + at, length)) return at;
        at += length;
    }
    return at;
}

namespace {

// The control character inside a string that the first stage found.
size_t control_character(const uint8_t *bytes, size_t size) {
    bool quoted = false;
    for (size_t at = 0; at < size; at++) {
        const uint8_t c = bytes[at];
        if (quoted && c < 0x20) return at;
        if (quoted && c == '\\') {
            at++;
            // Behind a backslash it is one, too.
            if (at < size && bytes[at] < 0x20) return at;
        } else if (c == '"') {
            quoted = !quoted;
        }
    }
    return 0;
}

// The character at `at`, of bytes that are UTF-8.
uint32_t character(const uint8_t *at, const uint8_t *end) {
    const uint8_t c = *at;
    const int more = c < 0xC0 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (end - at <= more) return c;
    uint32_t point = more == 0 ? c : c & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) point = point << 6 | (at[i] & 0x3F);
    return point;
}

// What the walker found wrong with the record at start..<end of `base`.
void note(Table &table, const Walker &walker, const uint8_t *base, size_t start, size_t end, size_t record) {
    const Fault &fault = walker.fault;
    const size_t at = fault.at == nullptr ? 0 : static_cast<size_t>(fault.at - (base + start));
    const bool named = fault.why == MR_WHY_NO_VALUE && start + at < end;
    const size_t found = named ? character(fault.at, base + end) : 0;
    table.fault(record, fault.code, fault.why, std::min(at, end - start), found);
}

// Why the first stage turned a record down.
void blame(Table &table, size_t record, const uint8_t *bytes, size_t size, simdjson::error_code error) {
    if (!is_utf8(bytes, size)) {
        return table.fault(record, MR_FAULT_INVALID_UTF8, MR_WHY_NONE, valid_utf8_prefix(bytes, size));
    }
    if (const void *nul = std::memchr(bytes, 0, size)) {
        const auto at = static_cast<size_t>(static_cast<const uint8_t *>(nul) - bytes);
        return table.fault(record, MR_FAULT_NUL, MR_WHY_NONE, at);
    }
    switch (error) {
        case simdjson::UNESCAPED_CHARS: {
            const size_t at = control_character(bytes, size);
            return table.fault(record, MR_FAULT_INVALID_JSON, MR_WHY_CONTROL, at);
        }
        case simdjson::UNCLOSED_STRING: return table.fault(record, MR_FAULT_INVALID_JSON, MR_WHY_UNCLOSED, size);
        default: return table.fault(record, MR_FAULT_INVALID_JSON, MR_WHY_VALUE, 0);
    }
}

void walk(Table &table, Walker &walker, const uint8_t *base, size_t start, size_t end, size_t record) {
    table.begin_row();
    if (walker.record(start, end)) {
        table.end_row(record);
        return;
    }
    table.drop_row();
    note(table, walker, base, start, end, record);
}

void shred_window(Table &table, Structure &structure, const mr_frame &frame, const Window &window) {
    const uint8_t *base = window.bytes;
    const uint32_t *lengths = frame.lengths + window.first;
    size_t start = 0;
    if (structure.find(base, window.size) == simdjson::SUCCESS) {
        Walker walker(table, base, structure.indexes());
        for (size_t i = 0; i < window.count; i++) {
            walk(table, walker, base, start, start + lengths[i], window.first + i);
            start += lengths[i] + size_t(1);
        }
        return;
    }
    // One record spoils the structure of those around it, so each is looked at by itself.
    for (size_t i = 0; i < window.count; i++) {
        const auto error = structure.find(base + start, lengths[i]);
        if (error == simdjson::SUCCESS) {
            Walker walker(table, base + start, structure.indexes());
            walk(table, walker, base + start, 0, lengths[i], window.first + i);
        } else {
            blame(table, window.first + i, base + start, lengths[i], error);
        }
        start += lengths[i] + size_t(1);
    }
}

}  // namespace
}  // namespace millrace

using millrace::Column;

struct mr_shredder *mr_shredder_new(struct mr_limits limits) {
    try {
        limits.depth = std::min<uint32_t>(limits.depth, 1000);
        return new mr_shredder(limits);
    } catch (...) {
        return nullptr;
    }
}

void mr_shredder_free(struct mr_shredder *shredder) { delete shredder; }

int mr_shred_json(struct mr_shredder *shredder, const struct mr_frame *frame) {
    try {
        shredder->table.records = frame->count;
        millrace::Structure structure;
        millrace::for_each_window(shredder->table, *frame, 128 << 10, [&](const millrace::Window &window) {
            millrace::shred_window(shredder->table, structure, *frame, window);
        });
        return 0;
    } catch (...) {
        return -1;
    }
}

int mr_check_json(const uint8_t *text, size_t size, uint32_t depth, struct mr_fault *fault) {
    *fault = {};
    try {
        const mr_limits limits = {0, std::min<uint32_t>(depth, 1000), 0, 0};
        millrace::Table table(limits);
        millrace::Buffer<uint8_t> padded;
        padded.reserve(size + 2 * millrace::padding);
        if (size > 0) std::memcpy(padded.data, text, size);
        std::memset(padded.data + size, 0, millrace::padding);
        padded.data[size] = '\n';
        millrace::Structure structure;
        const auto error = structure.find(padded.data, size);
        if (error != simdjson::SUCCESS) {
            millrace::blame(table, 0, padded.data, size, error);
        } else {
            millrace::Walker walker(table, padded.data, structure.indexes());
            if (walker.value(0, size)) return 0;
            millrace::note(table, walker, padded.data, 0, size, 0);
        }
        *fault = table.faults[0];
        return 0;
    } catch (...) {
        return -1;
    }
}

size_t mr_shred_row_count(const struct mr_shredder *shredder) { return shredder->table.rows.size; }

const uint32_t *mr_shred_rows(const struct mr_shredder *shredder) { return shredder->table.rows.data; }

size_t mr_shred_column_count(const struct mr_shredder *shredder) { return shredder->table.columns.size(); }

struct mr_column mr_shred_column(const struct mr_shredder *shredder, size_t column) {
    const Column &it = *shredder->table.columns[column];
    // Only records that were turned down had it.
    if (!it.used) return {it.name, 0, nullptr, nullptr, nullptr, 0};
    return {it.name, it.name_length, it.kinds.get(), it.payloads.get(), it.arena.data, it.arena.size};
}

size_t mr_shred_fault_count(const struct mr_shredder *shredder) { return shredder->table.faults.size(); }

struct mr_fault mr_shred_fault(const struct mr_shredder *shredder, size_t fault) {
    return shredder->table.faults[fault];
}

struct mr_extra mr_shred_extra(const struct mr_shredder *shredder) {
    const millrace::Table &table = shredder->table;
    return {table.extra.data, table.extra_offsets.data, table.extra_rows};
}

size_t mr_shred_extra_name_count(const struct mr_shredder *shredder) { return shredder->table.extra_names.size(); }

const uint8_t *mr_shred_extra_name(const struct mr_shredder *shredder, size_t index, size_t *length) {
    const auto &name = shredder->table.extra_names[index];
    *length = name.size();
    return name.data();
}
