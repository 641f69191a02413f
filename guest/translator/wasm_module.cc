#include "wasm_module.h"

#include <fstream>
#include <iterator>

#include "byte_reader.h"

namespace calf::translator {

void fail(const std::string& message) {
  throw TranslateError(message);
}

const char* value_type_name(ValueType type) {
  switch (type) {
    case ValueType::kI32:
      return "i32";
    case ValueType::kI64:
      return "i64";
    case ValueType::kF32:
      return "f32";
    case ValueType::kF64:
      return "f64";
  }
  return "?";
}

std::string signature_text(const FunctionType& type) {
  auto list = [](const std::vector<ValueType>& values) {
    std::string out;
    for (ValueType value : values) {
      if (!out.empty()) out += ',';
      out += value_type_name(value);
    }
    return out;
  };
  std::string out = "(" + list(type.params) + ")->";
  return out + (type.results.size() == 1 ? list(type.results) : "(" + list(type.results) + ")");
}

FunctionType parse_signature(const std::string& text) {
  FunctionType type;
  bool results = false;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 2, "->") == 0) {
      results = true;
      at += 2;
      continue;
    }
    if (text[at] == '(' || text[at] == ')' || text[at] == ',' || text[at] == ' ') {
      ++at;
      continue;
    }
    std::string word = text.substr(at, 3);
    ValueType value = ValueType::kI32;
    if (word == "i64")
      value = ValueType::kI64;
    else if (word == "f32")
      value = ValueType::kF32;
    else if (word == "f64")
      value = ValueType::kF64;
    else if (word != "i32")
      fail("not a signature: " + text);
    (results ? type.results : type.params).push_back(value);
    at += 3;
  }
  if (!results) fail("not a signature (no ->): " + text);
  return type;
}

const FunctionBody& Module::body(uint32_t function) const {
  return bodies.at(function - function_imports.size());
}

const FunctionType& Module::type_of(uint32_t function) const {
  return types.at(is_import(function) ? function_imports[function].type : body(function).type);
}

const Export* Module::find_export(const std::string& export_name, ExportKind kind) const {
  for (const Export& item : exports) {
    if (item.kind == kind && item.name == export_name) return &item;
  }
  return nullptr;
}

std::vector<std::string> Module::names_of(uint32_t function) const {
  std::vector<std::string> names;
  if (is_import(function)) names.push_back(function_imports[function].name);
  for (const Export& item : exports) {
    if (item.kind == ExportKind::kFunction && item.index == function) names.push_back(item.name);
  }
  return names;
}

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

namespace {

ValueType read_value_type(ByteReader& in) {
  uint8_t code = in.byte();
  if (code < 0x7c || code > 0x7f) {
    fail(in.context() + ": value type " + std::to_string(code) +
         " (SIMD or references) is not supported");
  }
  return static_cast<ValueType>(code);
}

struct Limits {
  uint64_t initial = 0, maximum = 0;
};

Limits read_limits(ByteReader& in) {
  uint8_t flags = in.byte();
  if (flags & ~1u) fail(in.context() + ": shared or 64-bit memory is not supported");
  Limits limits;
  limits.initial = in.u32();
  limits.maximum = flags & 1 ? in.u32() : 0;
  return limits;
}

ConstantExpression read_constant_expression(ByteReader& in) {
  std::vector<ConstantExpression> stack;
  for (;;) {
    uint8_t op = in.byte();
    ConstantExpression value;
    switch (op) {
      case 0x0b:
        if (stack.size() != 1) fail(in.context() + ": constant expression leaves no single value");
        return stack[0];
      case 0x41:
        value.constant = static_cast<uint32_t>(in.s32());
        break;
      case 0x42:
        value.constant = static_cast<uint64_t>(in.s64());
        break;
      case 0x43:
        value.constant = in.fixed32();
        break;
      case 0x44:
        value.constant = in.fixed64();
        break;
      case 0x23:
        value.global = in.u32();
        break;
      case 0x6a: {
        if (stack.size() < 2) fail(in.context() + ": bad constant expression");
        value = stack.back();
        stack.pop_back();
        ConstantExpression left = stack.back();
        stack.pop_back();
        if (left.global && value.global) fail(in.context() + ": sum of two globals");
        if (left.global) value.global = left.global;
        value.constant = static_cast<uint32_t>(value.constant + left.constant);
        break;
      }
      default:
        fail(in.context() + ": opcode " + std::to_string(op) + " in a constant expression");
    }
    stack.push_back(value);
  }
}

void read_types(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    if (in.byte() != 0x60) fail(in.context() + ": only function types are supported");
    FunctionType type;
    for (uint32_t i = in.u32(); i > 0; --i) type.params.push_back(read_value_type(in));
    for (uint32_t i = in.u32(); i > 0; --i) type.results.push_back(read_value_type(in));
    if (type.results.size() > 1) fail(in.context() + ": multi-value results are not supported");
    module.types.push_back(std::move(type));
  }
}

void read_imports(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    std::string from = in.name(), name = in.name();
    switch (in.byte()) {
      case 0:
        module.function_imports.push_back({from, name, in.u32()});
        break;
      case 1: {
        if (in.byte() != 0x70) fail(in.context() + ": only function tables are supported");
        module.table_initial = static_cast<uint32_t>(read_limits(in).initial);
        break;
      }
      case 2: {
        Limits limits = read_limits(in);
        module.memory_imported = true;
        module.memory_initial = limits.initial;
        module.memory_maximum = limits.maximum;
        break;
      }
      case 3: {
        Global global;
        global.type = read_value_type(in);
        global.is_mutable = in.byte() != 0;
        global.import_module = from;
        global.import_name = name;
        module.globals.push_back(global);
        break;
      }
      default:
        fail(in.context() + ": import kind of " + from + "." + name + " is not supported");
    }
  }
}

void read_globals(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    Global global;
    global.type = read_value_type(in);
    global.is_mutable = in.byte() != 0;
    global.initial = read_constant_expression(in);
    module.globals.push_back(global);
  }
}

void read_exports(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    Export item;
    item.name = in.name();
    item.kind = static_cast<ExportKind>(in.byte());
    item.index = in.u32();
    module.exports.push_back(std::move(item));
  }
}

void read_elements(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    if (uint32_t flags = in.u32(); flags != 0) {
      fail(in.context() + ": element segment of kind " + std::to_string(flags) +
           " is not supported");
    }
    ElementSegment segment;
    segment.offset = read_constant_expression(in);
    for (uint32_t i = in.u32(); i > 0; --i) segment.functions.push_back(in.u32());
    module.elements.push_back(std::move(segment));
  }
}

void read_code(ByteReader& in, Module& module) {
  uint32_t count = in.u32();
  if (count != module.bodies.size()) fail(in.context() + ": code and function sections disagree");
  for (FunctionBody& body : module.bodies) {
    uint32_t size = in.u32();
    ByteReader code = in.slice(size);
    for (uint32_t groups = code.u32(); groups > 0; --groups) {
      uint32_t repeat = code.u32();
      ValueType type = read_value_type(code);
      if (repeat > 50000) fail(in.context() + ": a function with too many locals");
      body.locals.insert(body.locals.end(), repeat, type);
    }
    body.begin = code.position();
    body.end = code.end();
  }
}

void read_data(ByteReader& in, Module& module) {
  for (uint32_t n = in.u32(); n > 0; --n) {
    DataSegment segment;
    uint32_t flags = in.u32();
    if (flags > 1)
      fail(in.context() + ": data segment of kind " + std::to_string(flags) + " is not supported");
    segment.passive = flags == 1;
    if (!segment.passive) segment.offset = read_constant_expression(in);
    segment.size = in.u32();
    segment.begin = in.slice(segment.size).position();
    module.data.push_back(segment);
  }
}

void read_dylink(ByteReader& in, Module& module) {
  module.dynamic.present = true;
  while (!in.at_end()) {
    uint8_t kind = in.byte();
    ByteReader part = in.slice(in.u32());
    if (kind == 1) {
      module.dynamic.memory_size = part.u32();
      module.dynamic.memory_alignment = part.u32();
      module.dynamic.table_size = part.u32();
      module.dynamic.table_alignment = part.u32();
    } else if (kind == 2) {
      for (uint32_t n = part.u32(); n > 0; --n) module.dynamic.needed.push_back(part.name());
    }
  }
}

void read_section(uint8_t id, ByteReader& in, Module& module) {
  switch (id) {
    case 0:
      if (in.name() == "dylink.0") read_dylink(in, module);
      break;
    case 1:
      read_types(in, module);
      break;
    case 2:
      read_imports(in, module);
      break;
    case 3:
      for (uint32_t n = in.u32(); n > 0; --n) {
        module.bodies.emplace_back();
        module.bodies.back().type = in.u32();
      }
      break;
    case 4:
      if (in.u32() != 1 || in.byte() != 0x70) fail(in.context() + ": more than one table");
      module.table_initial = static_cast<uint32_t>(read_limits(in).initial);
      break;
    case 5: {
      if (in.u32() != 1) fail(in.context() + ": more than one memory");
      Limits limits = read_limits(in);
      module.memory_initial = limits.initial;
      module.memory_maximum = limits.maximum;
      break;
    }
    case 6:
      read_globals(in, module);
      break;
    case 7:
      read_exports(in, module);
      break;
    case 8:
      module.start = in.u32();
      break;
    case 9:
      read_elements(in, module);
      break;
    case 10:
      read_code(in, module);
      break;
    case 11:
      read_data(in, module);
      break;
    case 12:
      break;  // the data count says nothing that the data section does not
    default:
      fail(in.context() + ": section " + std::to_string(id) + " is not supported");
  }
}

}  // namespace

Module read_module(std::string name, std::vector<uint8_t> bytes) {
  Module module;
  module.name = std::move(name);
  module.bytes =
      std::move(bytes);  // bodies and segments point into it; moving a Module keeps the buffer
  ByteReader in(module.bytes.data(), module.bytes.data() + module.bytes.size(), module.name);
  if (module.bytes.size() < 8 || in.fixed32() != 0x6d736100 || in.fixed32() != 1) {
    fail(module.name + ": not a WASM module of version 1");
  }
  while (!in.at_end()) {
    uint8_t id = in.byte();
    ByteReader section = in.slice(in.u32());
    read_section(id, section, module);
  }
  return module;
}

}  // namespace calf::translator
