// Walks the structural indexes that simdjson's first stage found in some records, and puts fields into columns.
#pragma once
#include "text.h"

namespace millrace {

class Walker {
   public:
    Fault fault;

    // `indexes` are places in `base`, rising, ended by one that is at or beyond every record's end.
    Walker(Table &table, const uint8_t *base, const uint32_t *indexes) : table_(table), base_(base), next_(indexes) {}

    // Puts the record at start..<end into the table's row. False: it is turned down, and `fault` says why.
    bool record(size_t start, size_t end);

    // Checks any one value at start..<end.
    bool value(size_t start, size_t end);

   private:
    Table &table_;
    const uint8_t *base_;
    const uint32_t *next_;  // the token after the current one
    size_t end_ = 0;        // of the record
    uint32_t previous_ = no_column;
    uint32_t first_ = 0;
    Buffer<uint8_t> scratch_;
    uint8_t open_[1024];

    bool fail(uint8_t why, size_t at, uint8_t code = MR_FAULT_INVALID_JSON) {
        fault = {code, why, base_ + at};
        return false;
    }

    // The place of the next token, or the record's end.
    size_t peek() const { return *next_ < end_ ? *next_ : end_; }
    uint8_t at(size_t place) const { return place < end_ ? base_[place] : 0; }

    // The closing quote of a string whose opening one is the token before next_: only white space comes after it.
    size_t closing_quote() const {
        size_t place = *next_ - 1;
        while (base_[place] != '"') place--;
        return place;
    }

    bool begin(size_t start, size_t end);
    bool field(size_t key);
    uint32_t find(const uint8_t *key, size_t length, bool &ok);
    uint32_t guess(const uint8_t *key) const;
    bool store(uint32_t column, size_t place);
    bool store_extra(const uint8_t *key, size_t key_length, size_t place);
    bool any_value(size_t place, size_t depth, size_t &length);
    bool container(size_t place, size_t depth, size_t &length);
    bool member(size_t place);
    bool trailing();
    bool no_value(size_t place);
};

}  // namespace millrace
