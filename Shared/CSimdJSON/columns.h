// Column buffers that a frame is shredded into.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "shred.h"

namespace millrace {

// A growing buffer of trivial values without initialisation.
template <class T>
struct Buffer {
    T *data = nullptr;
    size_t size = 0;
    size_t capacity = 0;

    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { std::free(data); }

    void reserve(size_t more) {
        if (size + more > capacity) grow(more);
    }

    void push(T value) {
        reserve(1);
        data[size++] = value;
    }

    void append(const T *values, size_t count) {
        if (count == 0) return;
        reserve(count);
        std::memcpy(data + size, values, count * sizeof(T));
        size += count;
    }

   private:
    __attribute__((noinline)) void grow(size_t more) {
        const size_t wanted = std::max<size_t>(size + more, std::max<size_t>(capacity * 2, 256));
        T *moved = static_cast<T *>(std::realloc(data, wanted * sizeof(T)));
        if (moved == nullptr) throw std::bad_alloc();
        data = moved;
        capacity = wanted;
    }
};

struct FreeMemory {
    void operator()(void *memory) const { std::free(memory); }
};

template <class T>
using Zeroed = std::unique_ptr<T[], FreeMemory>;

template <class T>
Zeroed<T> zeroed(size_t count) {
    void *memory = std::calloc(count + 1, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return Zeroed<T>(static_cast<T *>(memory));
}

constexpr size_t longest_name = 63;

struct Column {
    uint8_t name[longest_name + 9] = {};  // zero-padded
    uint32_t name_length = 0;
    uint64_t first_word = 0;  // of the name, and the mask of the bytes it has there
    uint64_t first_mask = 0;
    bool plain = false;  // the name is spelled in JSON as it is
    bool used = false;   // a good row has it
    uint32_t next = 0;   // the column that followed it last
    Zeroed<uint8_t> kinds;
    Zeroed<uint64_t> payloads;
    Buffer<uint8_t> arena;
};

constexpr uint32_t no_column = UINT32_MAX;

// Columns by name, rows and faults.
class Table {
   public:
    mr_limits limits;
    size_t records = 0;
    std::vector<std::unique_ptr<Column>> columns;
    Buffer<uint32_t> rows;
    std::vector<mr_fault> faults;
    Buffer<uint8_t> extra;
    Buffer<uint32_t> extra_offsets;
    size_t extra_rows = 0;
    std::vector<std::vector<uint8_t>> extra_names;

    explicit Table(const mr_limits &limits) : limits(limits), slots_(64, no_column) { extra_offsets.push(0); }

    // The column of this name, made if there is room and the name may be a column's; else no_column.
    uint32_t column(const uint8_t *name, size_t length) {
        if (length == 0 || length > longest_name || name[0] == '_') {
            note_extra(name, length);
            return no_column;
        }
        const size_t slot = find(name, length);
        if (slots_[slot] != no_column) return slots_[slot];
        const size_t wanted = columns.size() + 1;
        if (wanted > limits.columns || (wanted > 64 && wanted * records > limits.cells)) {
            note_extra(name, length);
            return no_column;
        }
        return add(slot, name, length);
    }

    void fault(size_t record, uint8_t code, uint8_t why = MR_WHY_NONE, size_t at = 0, size_t found = 0) {
        faults.push_back({static_cast<uint32_t>(record), static_cast<uint32_t>(at), static_cast<uint32_t>(found), code,
                          why});
    }

    void begin_row() {
        touched_.size = 0;
        extra_start_ = extra.size;
    }

    // The record is good: its values are a row.
    void end_row(size_t record) {
        if (extra.size > extra_start_) {
            extra.push('}');
            extra_rows++;
        }
        if (extra.size > UINT32_MAX) throw std::bad_alloc();
        extra_offsets.push(static_cast<uint32_t>(extra.size));
        for (size_t i = 0; i < touched_.size; i++) columns[touched_.data[i]]->used = true;
        rows.push(static_cast<uint32_t>(record));
    }

    // The record is bad: its values are taken back.
    void drop_row() {
        for (size_t i = 0; i < touched_.size; i++) columns[touched_.data[i]]->kinds[rows.size] = MR_MISSING;
        extra.size = extra_start_;
    }

    void set(uint32_t column, uint8_t kind, uint64_t payload) {
        Column &it = *columns[column];
        it.kinds[rows.size] = kind;
        it.payloads[rows.size] = payload;
        touched_.push(column);
    }

    void place(uint32_t column, uint8_t kind, size_t start) {
        const size_t end = columns[column]->arena.size;
        if (end > UINT32_MAX) throw std::bad_alloc();
        set(column, kind, static_cast<uint64_t>(start) << 32 | (end - start));
    }

    // Begins a field of `extra` with its key as JSON, quotes included.
    void extra_key(const uint8_t *key, size_t length) {
        extra.push(extra.size == extra_start_ ? '{' : ',');
        extra.append(key, length);
        extra.push(':');
    }

    void note_extra(const uint8_t *name, size_t length);

   private:
    std::vector<uint32_t> slots_;
    std::vector<uint32_t> extra_slots_;
    Buffer<uint32_t> touched_;
    size_t extra_start_ = 0;

    static uint64_t hash(const uint8_t *name, size_t length) {
        uint64_t hash = 0xCBF29CE484222325ULL;
        for (size_t i = 0; i < length; i++) hash = (hash ^ name[i]) * 0x100000001B3ULL;
        return hash ^ hash >> 29;
    }

    size_t find(const uint8_t *name, size_t length) const {
        size_t slot = hash(name, length) & (slots_.size() - 1);
        while (slots_[slot] != no_column) {
            const Column &it = *columns[slots_[slot]];
            if (it.name_length == length && std::memcmp(it.name, name, length) == 0) break;
            slot = (slot + 1) & (slots_.size() - 1);
        }
        return slot;
    }

    uint32_t add(size_t slot, const uint8_t *name, size_t length);
};

}  // namespace millrace
