// PCRE2, as Shared/Expressions/Values/Regex.swift uses it, beside RE2: what pipelines do with patterns, and patterns
// that run away. Figures are nanoseconds a text, and the share of texts in which a search was given up.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <re2/re2.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kMatchLimit = 1'000'000;
constexpr uint32_t kHeapLimitKiB = 16 * 1024;

using Texts = std::vector<std::string>;

Texts Lines(size_t count) {
    std::mt19937 random(42);
    const char *methods[] = {"GET", "POST", "PUT", "DELETE"};
    const char *levels[] = {"info", "warn", "Error", "debug"};
    Texts lines;
    for (size_t i = 0; i < count; i++) {
        char line[256];
        std::snprintf(
            line, sizeof line,
            "%u.%u.%u.%u - user%u [10/Oct/2026:13:55:%02u +0000] "
            "\"%s /shop/item/%u?ref=%x HTTP/1.1\" %u %u %s a%u@ex.com",
            random() % 256, random() % 256, random() % 256, random() % 256, random() % 1000, random() % 60,
            methods[random() % 4], random() % 100000, static_cast<unsigned>(random()), 200 + random() % 300,
            random() % 100000, levels[random() % 4], random() % 1000);
        lines.emplace_back(line);
    }
    return lines;
}

// Times a search over all texts, which says whether it was given up.
void Measure(
    const char *engine, const char *pattern, const Texts &texts,
    const std::function<bool(const std::string &)> &search) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    size_t given_up = 0, done = 0;
    double elapsed = 0;
    do {
        for (const auto &text : texts) given_up += search(text) ? 1 : 0;
        done += texts.size();
        elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    } while (elapsed < 0.3);
    std::printf("%-28s %-16s %12.0f ns %5.0f %%\n", pattern, engine, elapsed / done * 1e9, 100.0 * given_up / done);
}

void Compare(const char *pattern, const Texts &texts) {
    int error;
    PCRE2_SIZE offset;
    const uint32_t options = PCRE2_UTF | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_POSSESS;
    pcre2_code *code = pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED, options, &error, &offset, nullptr);
    if (code == nullptr) return;
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, nullptr);
    pcre2_match_context *context = pcre2_match_context_create(nullptr);
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKiB);
    std::vector<int> space(4000);
    Measure("PCRE2 match", pattern, texts, [&](const std::string &text) {
        const int found = pcre2_match(
            code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, PCRE2_NO_UTF_CHECK, data, context);
        return found < PCRE2_ERROR_NOMATCH;
    });
    const auto *ranges = pcre2_get_ovector_pointer(data);
    Measure("PCRE2 longest", pattern, texts, [&](const std::string &text) {
        const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
        int found = pcre2_match(code, subject, text.size(), 0, PCRE2_NO_UTF_CHECK, data, context);
        if (found > 0) {
            found = pcre2_dfa_match(
                code, subject, text.size(), ranges[0], PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, data, context, space.data(),
                space.size());
        }
        return found < PCRE2_ERROR_NOMATCH;
    });
    Measure("PCRE2 DFA alone", pattern, texts, [&](const std::string &text) {
        const int found = pcre2_dfa_match(
            code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, PCRE2_NO_UTF_CHECK, data, context,
            space.data(), space.size());
        return found < PCRE2_ERROR_NOMATCH;
    });
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);

    RE2::Options re2_options;
    re2_options.set_dot_nl(true);
    re2_options.set_longest_match(true);
    re2_options.set_log_errors(false);
    const RE2 re2(pattern, re2_options);
    if (!re2.ok()) {
        std::printf("%-28s %-16s %s\n", pattern, "RE2", re2.error().c_str());
        return;
    }
    Measure("RE2 match", pattern, texts, [&](const std::string &text) {
        re2.Match(text, 0, text.size(), RE2::UNANCHORED, nullptr, 0);
        return false;
    });
    Measure("RE2 longest", pattern, texts, [&](const std::string &text) {
        re2::StringPiece found;
        re2.Match(text, 0, text.size(), RE2::UNANCHORED, &found, 1);
        return false;
    });
}

}  // namespace

int main() {
    const Texts lines = Lines(2000);
    for (const char *pattern :
         {"error", "[0-9]+$", "\\A([0-9]+)\\.", "\"(GET|POST) [^\"]*\"", "[eE][rR][rR]|[wW][aA][rR][nN]",
          "[a-z0-9]+@[a-z]+\\.com", "/item/([0-9]+)", "\\A\\S+ \\S+ \\S+ \\[[^]]+\\] \"[^\"]*\" [0-9]+"}) {
        Compare(pattern, lines);
    }
    const Texts hostile = {std::string(200, 'a') + "!", std::string(3000, 'a') + "!"};
    for (const char *pattern :
         {"\\A(a+)+\\z", "\\A(a|aa)+\\z", "\\A(a|a?)+\\z", "\\A(.*a){12}b", "([a-z]+)*[0-9]", "[a-z]+[0-9]",
          "(x+x+)+y", "\\Aa?a?a?a?a?a?a?a?a{90}\\z"}) {
        Compare(pattern, hostile);
    }
}
