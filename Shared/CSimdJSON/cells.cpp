// CSV rows and lines of text: cells of text.
#include <cstdio>

#include "shred.h"
#include "shredder.h"

namespace millrace {
namespace {

// One field of a row.
struct Field {
    const uint8_t *text;
    size_t length;
    bool quoted;   // it was written in quotes
    bool doubled;  // it holds doubled quotes
};

// Reads the field at `at`, and puts `at` behind its comma, or at end + 1 behind the last field. False where something
// follows its closing quote; or where that is missing, and then `at` stays.
bool read_field(const uint8_t *&at, const uint8_t *end, Field &field) {
    if (at < end && *at == '"') {
        field = {at + 1, 0, true, false};
        const uint8_t *place = at + 1;
        for (;;) {
            place = static_cast<const uint8_t *>(std::memchr(place, '"', static_cast<size_t>(end - place)));
            if (place == nullptr) return false;
            if (place + 1 < end && place[1] == '"') {
                field.doubled = true;
                place += 2;
                continue;
            }
            break;
        }
        field.length = static_cast<size_t>(place - field.text);
        at = place + 2;
        return place + 1 == end || place[1] == ',';
    }
    const uint8_t *place = at;
    while (place < end && *place != ',') place++;
    field = {at, static_cast<size_t>(place - at), false, false};
    at = place + 1;
    return true;
}

void append_cell(const Field &field, Buffer<uint8_t> &out) {
    if (!field.doubled) return out.append(field.text, field.length);
    out.reserve(field.length);
    for (size_t i = 0; i < field.length; i++) {
        out.data[out.size++] = field.text[i];
        if (field.text[i] == '"') i++;
    }
}

void append_json_string(const uint8_t *text, size_t length, Buffer<uint8_t> &out) {
    out.push('"');
    for (size_t i = 0; i < length; i++) {
        const uint8_t c = text[i];
        if (c == '"' || c == '\\') out.push('\\');
        if (c < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", c);
            out.append(reinterpret_cast<const uint8_t *>(escape), 6);
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

class CellReader {
   public:
    CellReader(Table &table, const uint8_t *header, size_t size) : table_(table) {
        const uint8_t *at = header;
        const uint8_t *end = header + size;
        Buffer<uint8_t> name;
        while (at <= end) {
            Field field;
            // What follows a closing quote in the header is left out of the name.
            if (!read_field(at, end, field)) {
                at = static_cast<const uint8_t *>(std::memchr(std::min(at, end), ',', end - std::min(at, end)));
                at = at == nullptr ? end + 1 : at + 1;
            }
            name.size = 0;
            append_cell(field, name);
            places_.push_back(table.column(name.data, name.size));
            names_.emplace_back();
            append_json_string(name.data, name.size, scratch_);
            names_.back().assign(scratch_.data, scratch_.data + scratch_.size);
            scratch_.size = 0;
        }
    }

    void row(const uint8_t *text, size_t length, size_t record) {
        table_.begin_row();
        const uint8_t *at = text;
        const uint8_t *end = text + length;
        size_t count = 0;
        Field field;
        for (; at <= end; count++) {
            const uint8_t *start = at;
            if (!read_field(at, end, field)) {
                table_.drop_row();
                const auto place = static_cast<size_t>(std::min(at, end) - text);
                const uint8_t why = at == start ? MR_WHY_UNCLOSED : MR_WHY_NONE;
                return table_.fault(record, MR_FAULT_INVALID_CSV, why, place, count + 1);
            }
            if (count < places_.size()) store(count, field);
        }
        if (count != places_.size()) {
            table_.drop_row();
            return table_.fault(record, MR_FAULT_CSV_COLUMNS, MR_WHY_NONE, places_.size(), count);
        }
        table_.end_row(record);
    }

   private:
    Table &table_;
    std::vector<uint32_t> places_;             // of each field its column, or no_column
    std::vector<std::vector<uint8_t>> names_;  // of each field its name as a JSON string
    Buffer<uint8_t> scratch_;

    void store(size_t index, const Field &field) {
        const uint32_t place = places_[index];
        const bool absent = field.length == 0 && !field.quoted;
        if (place == no_column) {
            if (absent) return;
            scratch_.size = 0;
            append_cell(field, scratch_);
            table_.extra_key(names_[index].data(), names_[index].size());
            append_json_string(scratch_.data, scratch_.size, table_.extra);
            return;
        }
        if (absent) return table_.set(place, MR_NULL, 0);
        Buffer<uint8_t> &arena = table_.columns[place]->arena;
        const size_t start = arena.size;
        append_cell(field, arena);
        table_.place(place, MR_CELL, start);
    }
};

// Whether a record is text that PostgreSQL takes; else the fault is noted.
bool is_text(Table &table, const uint8_t *bytes, size_t size, size_t record) {
    if (!is_utf8(bytes, size)) {
        table.fault(record, MR_FAULT_INVALID_UTF8, MR_WHY_NONE, valid_utf8_prefix(bytes, size));
        return false;
    }
    if (const void *nul = std::memchr(bytes, 0, size)) {
        table.fault(record, MR_FAULT_NUL, MR_WHY_NONE,
                    static_cast<size_t>(static_cast<const uint8_t *>(nul) - bytes));
        return false;
    }
    return true;
}

template <class Row>
void shred_lines(Table &table, const mr_frame &frame, Row row) {
    for_each_window(table, frame, 128 << 10, [&](const Window &window) {
        const bool clean = is_utf8(window.bytes, window.size) && std::memchr(window.bytes, 0, window.size) == nullptr;
        const uint8_t *at = window.bytes;
        for (size_t i = 0; i < window.count; i++) {
            const size_t length = frame.lengths[window.first + i];
            if (clean || is_text(table, at, length, window.first + i)) row(at, length, window.first + i);
            at += length + 1;
        }
    });
}

}  // namespace
}  // namespace millrace

int mr_shred_csv(struct mr_shredder *shredder, const struct mr_frame *frame, const uint8_t *header,
                 size_t header_size) {
    try {
        millrace::Table &table = shredder->table;
        table.records = frame->count;
        millrace::CellReader reader(table, header, header_size);
        millrace::shred_lines(table, *frame, [&](const uint8_t *text, size_t length, size_t record) {
            reader.row(text, length, record);
        });
        for (auto &column : table.columns) column->used = true;
        return 0;
    } catch (...) {
        return -1;
    }
}

int mr_shred_text(struct mr_shredder *shredder, const struct mr_frame *frame) {
    try {
        millrace::Table &table = shredder->table;
        table.records = frame->count;
        const uint32_t line = table.column(reinterpret_cast<const uint8_t *>("line"), 4);
        if (line == millrace::no_column) return -1;
        millrace::shred_lines(table, *frame, [&](const uint8_t *text, size_t length, size_t record) {
            table.begin_row();
            millrace::Buffer<uint8_t> &arena = table.columns[line]->arena;
            const size_t start = arena.size;
            arena.append(text, length);
            table.place(line, MR_STRING, start);
            table.end_row(record);
        });
        table.columns[line]->used = true;
        return 0;
    } catch (...) {
        return -1;
    }
}
