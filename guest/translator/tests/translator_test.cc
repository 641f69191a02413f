// Translates small modules written in WAT, compiles and runs them (driver.c) and compares with
// wabt's interpreter or with stated values. Operands come from linear memory, so that the C
// compiler cannot compute the results itself.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "sha256.h"
#include "wasm_module.h"

namespace fs = std::filesystem;
using Results = std::map<std::string, std::string>;

namespace {

struct Outcome {
  int status = 0;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) outcome.output.append(buffer, n);
  outcome.status = pclose(pipe);
  return outcome;
}

void write(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}
std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// "f() => i32:5" and "f() => error: integer overflow" as the driver would print them.
Results parse_interpreter(const std::string& output) {
  const std::pair<const char*, const char*> kTraps[] = {
      {"unreachable", "trap 1"},         {"divide by zero", "trap 2"},
      {"integer overflow", "trap 3"},    {"invalid conversion", "trap 4"},
      {"indirect call", "trap 5"},       {"undefined table index", "trap 5"},
      {"uninitialized table", "trap 5"}, {"out of bounds", "trap 6"}};
  Results results;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    size_t arrow = line.find("() => ");
    if (arrow == std::string::npos) continue;
    std::string value = line.substr(arrow + 6), text = value.substr(value.find(':') + 1);
    if (value.starts_with("error")) {
      text = value;
      for (auto [from, to] : kTraps) {
        if (value.find(from) != std::string::npos) text = to;
      }
    }
    results[line.substr(0, arrow)] = text;
  }
  return results;
}

Results parse_driver(const std::string& output) {
  Results results;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    size_t blank = line.find(' ');
    results[line.substr(0, blank)] = line.substr(blank + 1);
  }
  return results;
}

// The sign of a NaN that an arithmetic operation makes is not defined by WASM.
std::string comparable(const std::string& operation, const std::string& value) {
  for (const char* exact : {"abs", "neg", "copysign"}) {
    if (operation.find(exact) != std::string::npos) return value;
  }
  if (operation[0] != 'f') return value;
  if (value == std::to_string(0xfff8000000000000u)) return std::to_string(0x7ff8000000000000u);
  return value == std::to_string(0xffc00000u) ? std::to_string(0x7fc00000u) : value;
}

// The parameter: CALF_MEMORY_GS.
class TranslatorTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("calf_translator_test_" + std::to_string(getpid()));
    fs::remove_all(directory_);
    fs::create_directories(directory_ / "modules");
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  void assemble(const std::string& wat, const std::string& name) {
    write(path(name + ".wat"), wat);
    Outcome outcome =
        run(std::string(WAT2WASM) + " --debug-names " + path(name + ".wat") + " -o " + path(name));
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }

  // A module of Emscripten's dynamic linking: the "dylink.0" section goes first.
  void assemble_side_module(const std::string& wat, const std::string& name, uint8_t memory,
                            uint8_t table) {
    assemble(wat, "side.wasm");
    std::string bytes = read(path("side.wasm"));
    std::string section = std::string("\x08") + "dylink.0" + "\x01\x04" +
                          static_cast<char>(memory) + '\x02' + static_cast<char>(table) +
                          std::string(1, '\0');
    write(path("modules/" + name), bytes.substr(0, 8) + std::string(1, '\0') +
                                       static_cast<char>(section.size()) + section +
                                       bytes.substr(8));
  }

  Outcome translate(const std::string& more = "") {
    return run(std::string(CALF_TRANSLATE) + " image --image=" + path("image.wasm") +
               " --prefix=pg --sources=" + path("c") + " --headers=" + path("include") +
               " --modules=" + path("modules") + " --module-path=/lib --shards=2 " + more);
  }

  Results execute(const std::string& host_code = "") {
    write(path("host.c"), host_code);
    Outcome compiled = run(std::string(IMAGE_CC) +
                           " -std=gnu17 -O2 -fno-strict-aliasing -fwrapv -fno-math-errno "
                           "-ffp-contract=off -fPIC -w -DCALF_MEMORY_GS=" +
                           std::to_string(GetParam()) + " -I" PRELUDE_DIR " -I" ABI_DIR " -I" +
                           path("include") + " -I" + path("c") + ' ' + path("c") + "/*.c " +
                           path("host.c") + " " DRIVER " -lm -o " + path("program"));
    EXPECT_EQ(compiled.status, 0) << compiled.output;
    Outcome outcome = run("cd " + path("c") + " && " + path("program"));
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    return parse_driver(outcome.output);
  }

  void expect_like_interpreter(const std::string& wat) {
    assemble(wat, "image.wasm");
    Results expected = parse_interpreter(
        run(std::string(WASM_INTERP) + " --run-all-exports " + path("image.wasm")).output);
    ASSERT_FALSE(expected.empty());
    Outcome outcome = translate();
    ASSERT_EQ(outcome.status, 0) << outcome.output;
    Results actual = execute();
    EXPECT_EQ(actual.size(), expected.size());
    for (const auto& [name, value] : expected)
      EXPECT_EQ(comparable(name, actual[name]), comparable(name, value)) << name;
  }

  fs::path directory_;
};
INSTANTIATE_TEST_SUITE_P(Memory, TranslatorTest, ::testing::Values(0, 1));

std::string escaped(uint64_t value) {
  std::string out;
  for (int i = 0; i < 8; ++i) {
    char text[8];
    std::snprintf(text, sizeof text, "\\%02x", static_cast<unsigned>(value >> (8 * i) & 0xff));
    out += text;
  }
  return out;
}

// A module with one function for each operation and each combination of operands; operand n lies at
// address 8 n.
std::string operations_module(const std::string& type, const std::vector<std::string>& unary,
                              const std::vector<std::string>& binary,
                              const std::vector<uint64_t>& operands) {
  std::string wat = "(module (memory 1) (data (i32.const 0) \"";
  for (uint64_t operand : operands) wat += escaped(operand);
  wat += "\")\n";
  auto load = [&](size_t n) {
    return " (" + type + ".load (i32.const " + std::to_string(8 * n) + "))";
  };
  auto result = [&](const std::string& operation) -> std::pair<std::string, std::string> {
    std::string to = operation.substr(0, 3);
    bool compares = operation.find(".eq") == 3 || operation.find(".ne") == 3 ||
                    operation.find(".lt") == 3 || operation.find(".gt") == 3 ||
                    operation.find(".le") == 3 || operation.find(".ge") == 3;
    if (operation == type + ".neg" || operation == type + ".nearest") compares = false;
    if (compares) return {"i32", ""};
    if (to == "f32") return {"i32", "i32.reinterpret_f32"};
    if (to == "f64") return {"i64", "i64.reinterpret_f64"};
    return {to, ""};
  };
  int count = 0;
  auto add = [&](const std::string& operation, const std::string& arguments) {
    auto [to, wrap] = result(operation);
    std::string body = '(' + operation + arguments + ')';
    if (!wrap.empty()) body = '(' + wrap + ' ' + body + ')';
    wat += "(func (export \"" + operation + '#' + std::to_string(count++) + "\") (result " + to +
           ") " + body + ")\n";
  };
  for (const std::string& operation : unary) {
    for (size_t i = 0; i < operands.size(); ++i) add(operation, load(i));
  }
  for (const std::string& operation : binary) {
    for (size_t i = 0; i < operands.size(); ++i) {
      for (size_t j = 0; j < operands.size(); ++j) add(operation, load(i) + load(j));
    }
  }
  return wat + ")";
}

std::vector<std::string> prefixed(const std::string& type, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) out.push_back(type + '.' + name);
  return out;
}
const std::vector<std::string> kIntegerBinary = {
    "add",  "sub",  "mul",   "div_s", "div_u", "rem_s", "rem_u", "and", "or",
    "xor",  "shl",  "shr_s", "shr_u", "rotl",  "rotr",  "eq",    "ne",  "lt_s",
    "lt_u", "gt_s", "gt_u",  "le_s",  "le_u",  "ge_s",  "ge_u"};
const std::vector<std::string> kFloatUnary = {"abs",   "neg",     "ceil", "floor",
                                              "trunc", "nearest", "sqrt"};
const std::vector<std::string> kFloatBinary = {"add", "sub", "mul", "div", "min", "max", "copysign",
                                               "eq",  "ne",  "lt",  "gt",  "le",  "ge"};

std::vector<std::string> operator+(std::vector<std::string> left,
                                   const std::vector<std::string>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace

TEST_P(TranslatorTest, i32_operations_agree_with_the_interpreter) {
  expect_like_interpreter(operations_module(
      "i32",
      prefixed("i32", {"eqz", "clz", "ctz", "popcnt", "extend8_s", "extend16_s"}) +
          std::vector<std::string>{"i64.extend_i32_s", "i64.extend_i32_u", "f32.convert_i32_s",
                                   "f32.convert_i32_u", "f64.convert_i32_s", "f64.convert_i32_u"},
      prefixed("i32", kIntegerBinary), {0, 1, 0xffffffff, 0x80000000, 0x7fffffff, 31, 0x80ff80ff}));
}

TEST_P(TranslatorTest, i64_operations_agree_with_the_interpreter) {
  expect_like_interpreter(operations_module(
      "i64",
      prefixed("i64", {"clz", "ctz", "popcnt", "extend8_s", "extend16_s", "extend32_s"}) +
          std::vector<std::string>{"i32.wrap_i64", "f32.convert_i64_s", "f32.convert_i64_u",
                                   "f64.convert_i64_s", "f64.convert_i64_u"},
      prefixed("i64", kIntegerBinary),
      {0, 1, ~0ull, 1ull << 63, (1ull << 63) - 1, 0x80000000, 0x123456789abcdef0}));
}

TEST_P(TranslatorTest, f64_operations_agree_with_the_interpreter) {
  expect_like_interpreter(operations_module(
      "f64",
      prefixed("f64", kFloatUnary) +
          std::vector<std::string>{"i32.trunc_f64_s", "i32.trunc_f64_u", "i64.trunc_f64_s",
                                   "i64.trunc_f64_u", "i32.trunc_sat_f64_s", "i32.trunc_sat_f64_u",
                                   "i64.trunc_sat_f64_s", "i64.trunc_sat_f64_u", "f32.demote_f64"},
      prefixed("f64", kFloatBinary),
      {0, 1ull << 63, 0x3ff0000000000000, 0xbfe0000000000000, 0x4004000000000000 /* 2.5 */,
       0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x41e0000000000000 /* 2^31 */,
       0xc1e0000000200000 /* -2^31 - 1 */, 0x43e0000000000000 /* 2^63 */, 0xc3e0000000000000,
       0x41efffffffe00000 /* 2^32 - 1 */}));
}

TEST_P(TranslatorTest, f32_operations_agree_with_the_interpreter) {
  expect_like_interpreter(operations_module(
      "f32",
      prefixed("f32", kFloatUnary) +
          std::vector<std::string>{"i32.trunc_f32_s", "i32.trunc_f32_u", "i64.trunc_f32_s",
                                   "i64.trunc_f32_u", "i32.trunc_sat_f32_s", "i32.trunc_sat_f32_u",
                                   "i64.trunc_sat_f32_s", "i64.trunc_sat_f32_u", "f64.promote_f32"},
      prefixed("f32", kFloatBinary),
      {0, 0x80000000, 0x3f800000, 0xbf000000, 0x40200000, 0x7f800000, 0xff800000, 0x7fc00000,
       0x4f000000, 0xcf000000, 0x5f000000, 0x4f800000}));
}

TEST_P(TranslatorTest, control_flow_agrees_with_the_interpreter) {
  expect_like_interpreter(read(TEST_DATA "/control.wat"));
}

TEST_P(TranslatorTest, memory_agrees_with_the_interpreter) {
  expect_like_interpreter(read(TEST_DATA "/memory.wat"));
}

TEST_P(TranslatorTest, indirect_calls_check_signature_and_range) {
  expect_like_interpreter(read(TEST_DATA "/calls.wat"));
}

// A host that resumes `saved` once: the second call of resumed() must see the first one's locals.
constexpr const char* kResumingHost = R"(
#include "calf_anchors.h"
static u64 saved[16];
static unsigned saved_count, resumes;
void calf_checkpoint_frame(const u64* values, unsigned count) {
  saved_count = count;
  for (unsigned i = 0; i < count; ++i) saved[i] = values[i];
}
const u64* calf_resumed_frame(unsigned count) { return saved_count == count && resumes++ == 0 ? saved : 0; }
unsigned pg_Wait(unsigned a, unsigned b) { return a * 10 + b; }
)";

TEST_P(TranslatorTest, a_resumable_call_goes_on_with_the_locals_and_arguments_of_its_checkpoint) {
  assemble(read(TEST_DATA "/resume.wat"), "image.wasm");
  write(path("hooks.txt"), R"(
function Wait
  refers "wait here"
  action replace
function Loop
  calls Wait
  resumable-call Wait
)");
  Outcome outcome = translate("--hooks=" + path("hooks.txt"));
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  // Exports run in the order of their names: the first run counts from 5, the second goes on from
  // the first one's checkpoint whatever it is given, the third starts anew.
  EXPECT_EQ(execute(kResumingHost), (Results{{"run1", "59"}, {"run2", "59"}, {"run3", "79"}}));
}

TEST_P(TranslatorTest, refuses_a_resumable_call_that_is_not_the_only_one_or_has_operands_below) {
  const std::string hooks =
      "function Wait\n  refers \"wait here\"\n  action replace\nfunction Loop\n"
      "  calls Wait\n  resumable-call Wait\n";
  const std::string head =
      "(module (memory 1) (data (i32.const 16) \"wait here\\00\")"
      "(func $wait (result i32) (i32.load (i32.const 16)))"
      "(func $loop (result i32) ";
  write(path("hooks.txt"), hooks);
  assemble(head + "(i32.add (call $wait) (call $wait))))", "image.wasm");
  Outcome outcome = translate("--hooks=" + path("hooks.txt"));
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.output.find("resumable-call"), std::string::npos) << outcome.output;
  assemble(head + "(i32.sub (i32.load (i32.const 0)) (call $wait))))", "image.wasm");
  outcome = translate("--hooks=" + path("hooks.txt"));
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.output.find("operands lie on the stack"), std::string::npos) << outcome.output;
}

TEST_P(TranslatorTest, longjmp_returns_to_the_newest_invoke_and_restores_the_stack_pointer) {
  assemble(read(TEST_DATA "/longjmp.wat"), "image.wasm");
  ASSERT_EQ(translate().status, 0);
  EXPECT_EQ(
      execute(),
      (Results{{"normal", "42"}, {"thrown", "1001"}, {"nested", "1101"}, {"uncaught", "trap 1"}}));
}

TEST_P(TranslatorTest, side_modules_see_the_image_and_supplies_but_not_more) {
  assemble(read(TEST_DATA "/image.wat"), "image.wasm");
  assemble_side_module(read(TEST_DATA "/side.wat"), "side.so", 64, 2);
  write(path("supplies.txt"), "supplied (i32)->i32  # remark\n");
  Outcome outcome = translate("--supplies=" + path("supplies.txt"));
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(execute("unsigned calf_supply_supplied(unsigned a){return a+1;}"),
            (Results{{"image_seven", "7"},
                     {"side_calls_image", "7"},
                     {"side_calls_supply", "42"},
                     {"side_own_data", "99"},
                     {"side_image_data", "5"},
                     {"side_pointer_of_image_function", "7"},
                     {"side_pointer_is_the_images", "1"},
                     {"side_own_pointer", "11"},
                     {"side_relocated_word", "99"},
                     {"side_got_of_supply", "42"}}));
}

TEST_P(TranslatorTest, a_missing_import_is_listed_and_traps) {
  assemble(read(TEST_DATA "/image.wat"), "image.wasm");
  assemble_side_module(
      "(module (import \"env\" \"absent\" (func $absent (result i32)))"
      "(func (export \"asks\") (result i32) (call $absent)))",
      "side.so", 0, 0);
  ASSERT_EQ(translate().status, 0);
  EXPECT_EQ(execute(), (Results{{"image_seven", "7"}, {"asks", "trap 1"}, {"missing", "absent"}}));
}

TEST_P(TranslatorTest, refuses_a_side_module_that_changes_its_own_globals) {
  assemble(read(TEST_DATA "/image.wat"), "image.wasm");
  assemble_side_module(
      "(module (global $g (mut i32) (i32.const 0))"
      "(func (export \"f\") (global.set $g (i32.const 1))))",
      "side.so", 0, 0);
  Outcome outcome = translate();
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.output.find("changes the module's global 0"), std::string::npos)
      << outcome.output;
}

TEST_P(TranslatorTest, refuses_unknown_instructions) {
  assemble("(module (func (export \"f\") (result v128) (v128.const i32x4 0 0 0 0)))", "image.wasm");
  Outcome outcome = translate();
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.output.find("SIMD"), std::string::npos) << outcome.output;
}

TEST_P(TranslatorTest, hooks_replace_wrap_and_patch) {
  assemble(read(TEST_DATA "/hooks.wat"), "image.wasm");
  write(path("hooks.txt"), read(TEST_DATA "/hooks.txt"));
  Outcome outcome = translate("--hooks=" + path("hooks.txt"));
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(execute("#include \"calf_anchors.h\"\n"
                    "u32 pg_Replaced(void){return 100+pg_Helper(1);}\n"
                    "u32 pg_Wrapped(u32 a){return pg_Wrapped_original(a)*2;}\n"
                    "u32 pg_Elsewhere(u32 a){return "
                    "PG_ADDRESS_Counter+PG_TABLE_FromRecord+PG_OFFSET_Field;}\n"),
            (Results{{"calls_replaced", "101"},
                     {"calls_replaced_through_table", "101"},
                     {"calls_wrapped", "42"},
                     {"is_pid", "0"},
                     {"calls_elsewhere", "2075"},
                     {"calls_helper", "8"}}));
}

TEST_P(TranslatorTest, an_anchor_that_fits_several_functions_is_an_error_with_the_candidates) {
  assemble(read(TEST_DATA "/hooks.wat"), "image.wasm");
  write(path("hooks.txt"), "function Ambiguous\n  signature ()->i32\n");
  Outcome outcome = translate("--hooks=" + path("hooks.txt"));
  EXPECT_NE(outcome.status, 0);
  EXPECT_NE(outcome.output.find("hooks.txt:1: the anchors of Ambiguous fit"), std::string::npos)
      << outcome.output;
  EXPECT_NE(outcome.output.find("calls_wrapped ()->i32"), std::string::npos) << outcome.output;
}

TEST_P(TranslatorTest, output_is_the_same_every_time_and_hooks_change_only_what_they_touch) {
  assemble(read(TEST_DATA "/hooks.wat"), "image.wasm");
  ASSERT_EQ(translate().status, 0);
  Outcome before = run("cd " + path("c") + " && sha256sum *");
  write(path("hooks.txt"), "function Renamed\n  export calls_wrapped\n");
  ASSERT_EQ(translate("--hooks=" + path("hooks.txt")).status, 0);
  EXPECT_EQ(run("cd " + path("c") + " && sha256sum *").output, before.output);
}

TEST(Sha256, of_known_text) {
  EXPECT_EQ(calf::translator::sha256_hex("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(calf::translator::sha256_hex(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
