// A WASM module as it was read from its file: what every other part of the translator looks at.
// Reading checks only the structure; whether instructions are typed correctly is the producer's
// matter. Not here: where a module ends up in linear memory (link.h).
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace calf::translator {

// Ends the translation with a message for the person who runs the build. The translator is a batch
// tool: it either produces a whole image or none, so one exception to main() is all the error
// handling there is.
class TranslateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
[[noreturn]] void fail(const std::string& message);

enum class ValueType : uint8_t { kI32 = 0x7f, kI64 = 0x7e, kF32 = 0x7d, kF64 = 0x7c };

struct FunctionType {
  std::vector<ValueType> params;
  std::vector<ValueType> results;
  bool operator==(const FunctionType&) const = default;
};
// "(i32,i64)->f64", "()->()"; the same text in hook files, supply lists and messages.
std::string signature_text(const FunctionType& type);
FunctionType parse_signature(const std::string& text);
const char* value_type_name(ValueType type);

// A constant expression of the linear form `global + constant`, which is all that compilers emit.
struct ConstantExpression {
  std::optional<uint32_t> global;
  uint64_t constant = 0;
};

struct FunctionImport {
  std::string module, name;
  uint32_t type = 0;
};

struct Global {
  ValueType type = ValueType::kI32;
  bool is_mutable = false;
  std::string import_module, import_name;  // empty if the module defines it
  ConstantExpression initial;
  bool imported() const { return !import_module.empty(); }
};

struct FunctionBody {
  uint32_t type = 0;
  std::vector<ValueType> locals;  // without the parameters
  const uint8_t* begin = nullptr;
  const uint8_t* end = nullptr;
};

enum class ExportKind : uint8_t { kFunction = 0, kTable = 1, kMemory = 2, kGlobal = 3, kTag = 4 };
struct Export {
  std::string name;
  ExportKind kind = ExportKind::kFunction;
  uint32_t index = 0;
};

struct ElementSegment {
  ConstantExpression offset;
  std::vector<uint32_t> functions;
};

struct DataSegment {
  bool passive = false;
  ConstantExpression offset;
  const uint8_t* begin = nullptr;
  uint32_t size = 0;
};

// The "dylink.0" section of a side module.
struct DynamicLinkInfo {
  bool present = false;
  uint32_t memory_size = 0, memory_alignment = 0;  // alignment as a power of two
  uint32_t table_size = 0, table_alignment = 0;
  std::vector<std::string> needed;
};

struct Module {
  std::string name;  // for messages
  std::vector<uint8_t> bytes;
  std::vector<FunctionType> types;
  std::vector<FunctionImport> function_imports;
  std::vector<FunctionBody> bodies;
  std::vector<Global> globals;
  std::vector<Export> exports;
  std::vector<ElementSegment> elements;
  std::vector<DataSegment> data;
  std::optional<uint32_t> start;
  DynamicLinkInfo dynamic;
  uint64_t memory_initial = 0, memory_maximum = 0;
  bool memory_imported = false;
  uint32_t table_initial = 0;

  uint32_t function_count() const {
    return static_cast<uint32_t>(function_imports.size() + bodies.size());
  }
  bool is_import(uint32_t function) const { return function < function_imports.size(); }
  const FunctionBody& body(uint32_t function) const;
  const FunctionType& type_of(uint32_t function) const;
  const Export* find_export(const std::string& export_name, ExportKind kind) const;
  // All names under which a function is exported or imported.
  std::vector<std::string> names_of(uint32_t function) const;
};

// Reads a module. Throws TranslateError naming what it does not understand (SIMD, threads, several
// memories …).
Module read_module(std::string name, std::vector<uint8_t> bytes);
std::vector<uint8_t> read_file(const std::string& path);

}  // namespace calf::translator
