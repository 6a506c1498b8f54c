#include "walker.h"

namespace millrace {

bool Walker::begin(size_t start, size_t end) {
    fault = Fault();
    end_ = end;
    while (*next_ < start) next_++;  // what a record before, turned down, has left
    return *next_ < end || fail(MR_WHY_VALUE, start);
}

bool Walker::record(size_t start, size_t end) {
    if (!begin(start, end)) return false;
    if (base_[*next_] != '{') {
        const size_t place = *next_;
        return value(start, end) && fail(MR_WHY_NONE, place, MR_FAULT_NOT_AN_OBJECT);
    }
    next_++;
    previous_ = no_column;
    if (at(peek()) == '}') {
        next_++;
        return trailing();
    }
    for (;;) {
        const size_t key = peek();
        if (at(key) != '"') return fail(key < end_ ? MR_WHY_KEY : MR_WHY_END, key);
        if (!field(key)) return false;
        const size_t after = peek();
        const uint8_t c = at(after);
        if (c == ',') {
            next_++;
            continue;
        }
        if (c != '}') return fail(after < end_ ? MR_WHY_COMMA : MR_WHY_END, after);
        next_++;
        return trailing();
    }
}

bool Walker::trailing() { return peek() == end_ || fail(MR_WHY_TRAILING, peek()); }

bool Walker::value(size_t start, size_t end) {
    if (!begin(start, end)) return false;
    size_t length;
    return any_value(peek(), 0, length) && trailing();
}

// The column that followed the previous one in the record before, if its name is spelled at `key`.
inline uint32_t Walker::guess(const uint8_t *key) const {
    const uint32_t index = previous_ == no_column ? first_ : table_.columns[previous_]->next;
    if (index >= table_.columns.size()) return no_column;
    const Column &column = *table_.columns[index];
    uint64_t word;
    std::memcpy(&word, key, 8);
    if (((word ^ column.first_word) & column.first_mask) != 0) return no_column;
    const size_t length = column.name_length;
    if (length > 8 && std::memcmp(key + 8, column.name + 8, length - 8) != 0) return no_column;
    return key[length] == '"' && column.plain ? index : no_column;
}

uint32_t Walker::find(const uint8_t *key, size_t length, bool &ok) {
    ok = true;
    if (before_backslash(key, length) < length) {
        scratch_.size = 0;
        ok = append_string(key, length, scratch_, fault);
        if (!ok) return no_column;
        key = scratch_.data;
        length = scratch_.size;
    }
    const uint32_t column = table_.column(key, length);
    if (column != no_column) {
        if (previous_ == no_column) {
            first_ = column;
        } else {
            table_.columns[previous_]->next = column;
        }
    }
    return column;
}

// A key, whose token is not yet stepped over, its colon and its value.
bool Walker::field(size_t key) {
    const uint8_t *name = base_ + key + 1;
    next_++;
    uint32_t column = guess(name);
    size_t name_length = 0;
    if (__builtin_expect(column == no_column, 0)) {
        name_length = closing_quote() - key - 1;
        bool ok;
        column = find(name, name_length, ok);
        if (!ok) return false;
    }
    const size_t colon = peek();
    if (at(colon) != ':') return fail(colon < end_ ? MR_WHY_COLON : MR_WHY_END, colon);
    next_++;
    const size_t place = peek();
    if (place == end_) return fail(MR_WHY_END, place);
    if (column == no_column) return store_extra(name - 1, name_length + 2, place);
    previous_ = column;
    return store(column, place);
}

bool Walker::store(uint32_t column, size_t place) {
    const uint8_t *text = base_ + place;
    Column &to = *table_.columns[column];
    const size_t start = to.arena.size;
    switch (*text) {
        case '"': {
            next_++;
            const size_t length = closing_quote() - place - 1;
            if (!append_string(text + 1, length, to.arena, fault)) return false;
            table_.place(column, MR_STRING, start);
            return true;
        }
        case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9': {
            next_++;
            Number number;
            if (!read_number(text, base_ + end_, number, fault)) return false;
            if (number.is_int) {
                table_.set(column, MR_INT, static_cast<uint64_t>(number.value));
                return true;
            }
            to.arena.append(text, number.length);
            table_.place(column, MR_NUMBER, start);
            return true;
        }
        case '{': case '[': {
            size_t length;
            if (!container(place, 1, length)) return false;
            to.arena.append(text, length);
            table_.place(column, MR_JSON, start);
            return true;
        }
        default: {
            next_++;
            size_t length;
            const uint8_t kind = read_literal(text, base_ + end_, length);
            if (kind == MR_MISSING) return no_value(place);
            table_.set(column, kind, 0);
            return true;
        }
    }
}

bool Walker::store_extra(const uint8_t *key, size_t key_length, size_t place) {
    size_t length;
    if (!check_string(key + 1, key_length - 2, fault) || !any_value(place, 1, length)) return false;
    table_.extra_key(key, key_length);
    table_.extra.append(base_ + place, length);
    return true;
}

// Checks the value at `place`, the next token, and steps over it.
bool Walker::any_value(size_t place, size_t depth, size_t &length) {
    const uint8_t *text = base_ + place;
    const uint8_t c = *text;
    if (c == '{' || c == '[') return container(place, depth, length);
    next_++;
    if (c == '"') {
        length = closing_quote() - place + 1;
        return check_string(text + 1, length - 2, fault);
    }
    if (c == '-' || is_digit(c)) {
        Number number;
        if (!read_number(text, base_ + end_, number, fault)) return false;
        length = number.length;
        return true;
    }
    if (read_literal(text, base_ + end_, length) != MR_MISSING) return true;
    return no_value(place);
}

// What is at `place` is no value: a word other than the three, a character that begins none, or no attempt at one.
bool Walker::no_value(size_t place) {
    const uint8_t c = base_[place];
    if (c == ',' || c == ':' || c == '}' || c == ']') return fail(MR_WHY_VALUE, place);
    const uint8_t letter = c | 0x20;
    return fail(letter >= 'a' && letter <= 'z' ? MR_WHY_LITERAL : MR_WHY_NO_VALUE, place);
}

// A member's key and colon inside a container; the key's token is at `place`.
bool Walker::member(size_t place) {
    if (at(place) != '"') return fail(place < end_ ? MR_WHY_KEY : MR_WHY_END, place);
    next_++;
    if (!check_string(base_ + place + 1, closing_quote() - place - 1, fault)) return false;
    const size_t colon = peek();
    if (at(colon) != ':') return fail(colon < end_ ? MR_WHY_COLON : MR_WHY_END, colon);
    next_++;
    return true;
}

// An array or object whose bracket is at `place`, `depth` containers around it.
bool Walker::container(size_t start, size_t depth, size_t &length) {
    size_t level = 0;
    size_t place = start;
    for (;;) {
        // An opening bracket is the next token.
        if (depth + level >= table_.limits.depth) return fail(MR_WHY_NONE, place, MR_FAULT_TOO_DEEP);
        open_[level++] = base_[place];
        next_++;
        bool first = true;
        for (;;) {
            const bool object = open_[level - 1] == '{';
            place = peek();
            const uint8_t c = at(place);
            if (c == (object ? '}' : ']')) {
                next_++;
                if (--level == 0) {
                    length = place - start + 1;
                    return true;
                }
                first = false;
                continue;
            }
            if (!first) {
                if (c != ',') return fail(place < end_ ? MR_WHY_COMMA : MR_WHY_END, place);
                next_++;
            }
            if (object && !member(peek())) return false;
            place = peek();
            if (place == end_) return fail(MR_WHY_END, place);
            if (base_[place] == '{' || base_[place] == '[') break;
            size_t ignored;
            if (!any_value(place, 0, ignored)) return false;
            first = false;
        }
    }
}

}  // namespace millrace
