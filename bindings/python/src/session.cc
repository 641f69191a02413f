#include "session.h"

#include <algorithm>
#include <charconv>

namespace calf::python {
namespace {

constexpr std::size_t kReceiveBytes = 64 * 1024;
constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kKeptBufferBytes = 1024 * 1024;
constexpr std::size_t kMaxNotices = 1000;
constexpr std::size_t kCopyStopBytes = 64 * 1024;
constexpr std::size_t kWireBytes = 64 * 1024;  // certainly fits into an empty wire
constexpr std::int64_t kSendRetryMs = 1;
constexpr std::uint32_t kProtocolVersion = 3 << 16;
constexpr std::string_view kStaleRoutine = "RevalidateCachedQuery";

std::uint32_t length_at(const char* bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return __builtin_bswap32(value);
}

}  // namespace

std::string_view Report::field(char letter) const {
  for (const auto& [key, value] : fields)
    if (key == letter) return value;
  return {};
}

Report read_report(std::string_view body) {
  Report report;
  MessageReader reader(body);
  while (const auto letter = static_cast<char>(reader.int8())) {
    const auto value = reader.text();
    if (!reader.ok()) break;
    report.fields.emplace_back(letter, value);
  }
  return report;
}

std::int64_t ResultSet::affected() const {
  const auto space = tag.rfind(' ');
  std::int64_t count = -1;
  if (space != std::string::npos)
    std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), count);
  return count;
}

Session::Session(calf_wire* wire) : wire_(wire) {}
Session::~Session() {
  close();
}

// --- Requests
// -------------------------------------------------------------------------------------------------------

void Session::startup(const std::vector<std::pair<std::string, std::string>>& parameters) {
  MessageWriter message(out_);
  message.begin_untyped();
  message.int32(kProtocolVersion);
  for (const auto& [name, value] : parameters) {
    message.text(name);
    message.text(value);
  }
  message.text("");
  message.end();
  steps_.push_back({Step::Kind::kSync, nullptr});
}

void Session::simple_query(std::string_view sql, bool keep_results) {
  MessageWriter message(out_);
  message.begin('Q');
  message.text(sql);
  message.end();
  steps_.push_back({Step::Kind::kSimple, nullptr, keep_results});
}

void Session::simple_query_after(std::string_view sql) {
  deferred_ = sql;
}

void Session::parse(std::string_view name, std::string_view sql,
                    const std::vector<std::uint32_t>& types) {
  MessageWriter message(out_);
  message.begin('P');
  message.text(name);
  message.text(sql);
  message.int16(static_cast<std::uint16_t>(types.size()));
  for (const auto type : types) message.int32(type);
  message.end();
  unsynced_ = true;
}

void Session::bind(std::string_view name, const Parameters& parameters) {
  MessageWriter message(out_);
  message.begin('B');
  message.text("");
  message.text(name);
  message.int16(static_cast<std::uint16_t>(parameters.formats.size()));
  for (const auto format : parameters.formats) message.int16(format);
  message.int16(static_cast<std::uint16_t>(parameters.sizes.size()));
  std::size_t at = 0;
  for (const auto size : parameters.sizes) {
    message.int32(static_cast<std::uint32_t>(size));
    if (size == Parameters::kNull) continue;
    message.bytes(std::string_view(parameters.bytes).substr(at, static_cast<std::size_t>(size)));
    at += static_cast<std::size_t>(size);
  }
  message.int16(0);  // all columns as text
  message.end();
  unsynced_ = true;
}

void Session::describe_portal() {
  MessageWriter message(out_);
  message.begin('D');
  message.bytes("P");
  message.text("");
  message.end();
}

void Session::execute(std::shared_ptr<const Columns> columns, std::uint32_t max_rows,
                      bool keep_results) {
  MessageWriter message(out_);
  message.begin('E');
  message.text("");
  message.int32(max_rows);
  message.end();
  unsynced_ = true;
  steps_.push_back({Step::Kind::kExecute, std::move(columns), keep_results});
}

void Session::close_statement(std::string_view name) {
  MessageWriter message(out_);
  message.begin('C');
  message.bytes("S");
  message.text(name);
  message.end();
  unsynced_ = true;
}

void Session::close_portal() {
  MessageWriter message(out_);
  message.begin('C');
  message.bytes("P");
  message.text("");
  message.end();
  unsynced_ = true;
}

void Session::sync() {
  MessageWriter message(out_);
  message.begin('S');
  message.end();
  unsynced_ = false;
  steps_.push_back({Step::Kind::kSync, nullptr});
}

void Session::flush() {
  MessageWriter message(out_);
  message.begin('H');
  message.end();
}

void Session::copy_data(std::string_view data) {
  MessageWriter message(out_);
  message.begin('d');
  message.bytes(data);
  message.end();
}

void Session::copy_done() {
  MessageWriter message(out_);
  message.begin('c');
  message.end();
  copy_ = CopyState::kNone;
}

void Session::copy_fail(std::string_view reason) {
  MessageWriter message(out_);
  message.begin('f');
  message.text(reason);
  message.end();
  copy_ = CopyState::kNone;
}

// --- Progress
// -------------------------------------------------------------------------------------------------------

void Session::begin_operation() {
  results_.clear();
  open_result_.reset();
  error_.reset();
  copied_.clear();
  copied_bytes_ = 0;
  discarded_affected_ = 0;
  copy_wanted_ = false;
}

// Sends what there is room for, and receives.
Session::Io Session::exchange(std::int64_t timeout_ms) {
  make_room();
  std::size_t sent = 0, received = 0;
  const auto status =
      calf_wire_exchange(wire_, out_.data() + sent_, unsent_bytes(), &sent, in_.data() + in_end_,
                         in_.size() - in_end_, timeout_ms, &received, nullptr);
  in_end_ += received;
  sent_ += sent;
  wire_is_full_ = sent_ < out_.size();
  if (!wire_is_full_) {
    if (out_.capacity() > kKeptBufferBytes) std::string().swap(out_);
    out_.clear();
    sent_ = 0;
  }
  if (status == CALF_OK) return Io::kDone;
  return status == CALF_ERROR_TIMEOUT ? Io::kNothing : Io::kEnded;
}

// For what comes next.
void Session::make_room() {
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
  if (in_.size() - in_end_ >= kReceiveBytes) return;
  if (in_begin_ > 0) {
    std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
  }
  if (in_.size() - in_end_ < kReceiveBytes)
    in_.resize(std::max(in_.size() * 2, in_end_ + kReceiveBytes));
}

Session::Progress Session::advance() {
  if (ended()) return Progress::kEnded;
  while (true) {
    const auto io = exchange(0);
    const auto progress = digest();
    if (progress != Progress::kWaiting) return progress;
    if (io == Io::kEnded) {
      end();
      return Progress::kEnded;
    }
    if (io == Io::kNothing) return Progress::kWaiting;
  }
}

Session::Progress Session::wait(Clock::time_point until) {
  while (!ended()) {
    const auto progress = digest();
    if (progress != Progress::kWaiting) return progress;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    // More than the wire has room for is sent piece by piece.
    const bool in_pieces = wire_is_full_ || unsent_bytes() > kWireBytes;
    const auto patience = in_pieces ? kSendRetryMs : std::max<std::int64_t>(left, 0);
    const auto io = exchange(patience);
    if (io == Io::kEnded) {
      if (const auto last = digest(); last != Progress::kWaiting) return last;
      end();
    } else if (io == Io::kNothing && left <= 0) {
      return Progress::kWaiting;
    }
  }
  return Progress::kEnded;
}

// Handles whole messages up to one that stops.
Session::Progress Session::digest() {
  stopped_ = false;
  while (in_end_ - in_begin_ >= kHeaderBytes) {
    const char* header = in_.data() + in_begin_;
    const std::size_t length = length_at(header + 1);
    if (length < 4 || length > MessageWriter::kMaxMessageBytes) {
      broken("a message of an impossible length came");
      return Progress::kEnded;
    }
    if (in_end_ - in_begin_ < length + 1) {
      // Room for the whole of a long message at once.
      if (in_.size() < length + 1 + kReceiveBytes)
        in_.resize(length + 1 + kReceiveBytes + in_begin_);
      break;
    }
    in_begin_ += length + 1;
    if (!handle(header[0], std::string_view(header + kHeaderBytes, length - 4))) {
      broken("a message came that does not follow its format");
      return Progress::kEnded;
    }
    if (stopped_) return Progress::kStopped;
  }
  if (in_begin_ == in_end_ && in_.size() > kKeptBufferBytes) {
    std::string().swap(in_);
    in_begin_ = in_end_ = 0;
  }
  return copied_.empty() ? Progress::kWaiting : Progress::kStopped;
}

bool Session::handle(char type, std::string_view body) {
  MessageReader reader(body);
  switch (type) {
    case 'D':
      handle_row(body);
      return true;
    case 'C':
      handle_complete(reader.text(), false);
      return reader.ok();
    case 'I':
      handle_complete("", false);
      return true;
    case 's':
      handle_complete("", true);
      return true;
    case 'T':
      handle_columns(body);
      return true;
    case 'n':
      described_.reset();
      return true;
    case 'E':
      handle_error(body);
      return true;
    case 'Z':
      handle_ready(static_cast<char>(reader.int8()));
      return reader.ok();
    case 'G':
      handle_copy_start(CopyState::kIn);
      return true;
    case 'H':
      handle_copy_start(CopyState::kOut);
      return true;
    case 'd':
      if (copy_wanted_) {
        copied_.emplace_back(body);
        copied_bytes_ += body.size();
        stopped_ = copied_bytes_ >= kCopyStopBytes;
      }
      return true;
    case 'c':
      copy_ = CopyState::kNone;
      return true;
    case 'A':
      handle_notification(body);
      return true;
    case 'N':
      if (notices_.size() < kMaxNotices) notices_.push_back(read_report(body));
      return true;
    case 'S': {
      const auto name = reader.text();
      parameters_.insert_or_assign(std::string(name), std::string(reader.text()));
      return reader.ok();
    }
    case 'K':
      pid_ = static_cast<std::int32_t>(reader.int32());
      return reader.ok();
    case 'R':
      if (reader.int32() == 0) return true;
      broken("the server asks for a password, although the session is the owner's");
      return true;
    case '1':
    case '2':
    case '3':
    case 't':
      return true;
    default:
      return false;
  }
}

ResultSet& Session::current() {
  if (!open_result_) {
    open_result_.emplace();
    const bool executes = !steps_.empty() && steps_.front().kind == Step::Kind::kExecute;
    open_result_->columns =
        executes && steps_.front().columns ? steps_.front().columns : described_;
  }
  return *open_result_;
}

void Session::handle_row(std::string_view body) {
  if (!steps_.empty() && !steps_.front().keep_results) return;
  auto& result = current();
  result.bytes.append(body);
  result.ends.push_back(result.bytes.size());
}

void Session::handle_columns(std::string_view body) {
  MessageReader reader(body);
  auto columns = std::make_shared<Columns>(reader.int16());
  for (auto& column : *columns) {
    column.name = reader.text();
    column.table = reader.int32();
    column.number = reader.int16();
    column.type = reader.int32();
    column.type_size = static_cast<std::int16_t>(reader.int16());
    column.type_modifier = static_cast<std::int32_t>(reader.int32());
    reader.int16();
  }
  if (!reader.ok()) return broken("a description of columns came that does not follow its format");
  described_ = std::move(columns);
}

void Session::handle_complete(std::string_view tag, bool suspended) {
  auto& result = current();
  result.tag = tag;
  result.suspended = suspended;
  described_.reset();
  if (steps_.empty()) return open_result_.reset();
  if (steps_.front().keep_results) {
    results_.push_back(std::move(result));
  } else if (const auto affected = result.affected(); affected > 0) {
    discarded_affected_ += affected;
  }
  open_result_.reset();
  if (steps_.front().kind == Step::Kind::kExecute) steps_.pop_front();
  // A suspended portal, or a batch that Flush ends.
  if (steps_.empty() && unsynced_) stopped_ = true;
}

void Session::handle_error(std::string_view body) {
  auto report = read_report(body);
  // The first one is what went wrong; the rest follows from it.
  if (!error_) error_ = std::move(report);
  open_result_.reset();
  described_.reset();
  deferred_.clear();
  copy_ = CopyState::kNone;
  if (unsynced_) {
    steps_.clear();
    sync();
  }
}

void Session::handle_ready(char status) {
  transaction_.store(status, std::memory_order_relaxed);
  while (!steps_.empty()) {
    const auto kind = steps_.front().kind;
    steps_.pop_front();
    if (kind != Step::Kind::kExecute) break;
  }
  if (!steps_.empty()) return;
  if (!deferred_.empty()) {
    simple_query(std::exchange(deferred_, {}), true);
    return;
  }
  stopped_ = true;
}

void Session::handle_copy_start(CopyState state) {
  if (copy_wanted_) {
    copy_ = state;
    stopped_ = true;
  } else if (state == CopyState::kIn) {
    copy_fail("COPY FROM STDIN wants the method copy()");
    // The Sync that was sent has been taken for a part of the copy, and ignored.
    if (!steps_.empty() && steps_.front().kind == Step::Kind::kExecute) {
      MessageWriter message(out_);
      message.begin('S');
      message.end();
    }
  } else {
    error_ =
        Report{{{'S', "ERROR"}, {'C', "0A000"}, {'M', "COPY TO STDOUT wants the method copy()"}}};
  }
}

void Session::handle_notification(std::string_view body) {
  MessageReader reader(body);
  Notification notification;
  notification.pid = static_cast<std::int32_t>(reader.int32());
  notification.channel = reader.text();
  notification.payload = reader.text();
  if (!reader.ok()) return;
  notifications_.push_back(std::move(notification));
  if (stop_at_notification_ && steps_.empty()) stopped_ = true;
}

bool Session::stale_statement() const {
  if (!error_) return false;
  const auto code = error_->field('C');
  return code == "26000" || (code == "0A000" && error_->field('R') == kStaleRoutine);
}

void Session::broken(std::string_view why) {
  if (!error_) error_ = Report{{{'S', "FATAL"}, {'C', "08P01"}, {'M', std::string(why)}}};
  end();
}

void Session::end() {
  if (!error_) error_ = Report{{{'S', "FATAL"}, {'C', "08006"}, {'M', "the session has ended"}}};
  steps_.clear();
  deferred_.clear();
  copy_ = CopyState::kNone;
  ended_.store(true, std::memory_order_relaxed);
}

// --- Any thread
// -----------------------------------------------------------------------------------------------------

bool Session::cancel() {
  const std::lock_guard lock(wire_mutex_);
  return wire_ != nullptr && calf_wire_cancel(wire_, nullptr) == CALF_OK;
}

int Session::descriptor() {
  const std::lock_guard lock(wire_mutex_);
  return wire_ == nullptr ? -1 : calf_wire_descriptor(wire_);
}

void Session::close() {
  calf_wire* wire;
  {
    const std::lock_guard lock(wire_mutex_);
    wire = std::exchange(wire_, nullptr);
  }
  ended_.store(true, std::memory_order_relaxed);
  calf_wire_close(wire);
}

}  // namespace calf::python
