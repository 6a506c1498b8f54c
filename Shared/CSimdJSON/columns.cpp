#include "columns.h"

#include <algorithm>

namespace millrace {

uint32_t Table::add(size_t slot, const uint8_t *name, size_t length) {
    auto column = std::make_unique<Column>();
    std::memcpy(column->name, name, length);
    column->name_length = static_cast<uint32_t>(length);
    std::memcpy(&column->first_word, column->name, 8);
    column->first_mask = length >= 8 ? ~0ULL : (1ULL << (8 * length)) - 1;
    column->plain = std::none_of(name, name + length, [](uint8_t c) { return c == '\\' || c == '"' || c < 0x20; });
    column->kinds = zeroed<uint8_t>(records);
    column->payloads = zeroed<uint64_t>(records);
    const auto index = static_cast<uint32_t>(columns.size());
    columns.push_back(std::move(column));
    slots_[slot] = index;
    if (columns.size() * 2 > slots_.size()) {
        std::vector<uint32_t> old(slots_.size() * 4, no_column);
        slots_.swap(old);
        for (const uint32_t it : old) {
            if (it != no_column) slots_[find(columns[it]->name, columns[it]->name_length)] = it;
        }
    }
    return index;
}

void Table::note_extra(const uint8_t *name, size_t length) {
    if (extra_slots_.empty()) extra_slots_.assign(4096, no_column);
    size_t slot = hash(name, length) % extra_slots_.size();
    for (; extra_slots_[slot] != no_column; slot = (slot + 1) % extra_slots_.size()) {
        const auto &known = extra_names[extra_slots_[slot]];
        if (known.size() == length && std::equal(known.begin(), known.end(), name)) return;
    }
    if (extra_names.size() >= std::min<size_t>(limits.names, 2000)) return;
    extra_slots_[slot] = static_cast<uint32_t>(extra_names.size());
    extra_names.emplace_back(name, name + length);
}

}  // namespace millrace
