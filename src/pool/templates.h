// Templates by hash, and the databases made of them: who has which one, and which are made ahead.
// Not for SQL (databases.h) or HTTP (http_server.h).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pool/databases.h"
#include "pool/routes.h"

namespace calf::pool {

// How the client of a call reaches its database.
struct Reach {
  std::string host;
  std::uint16_t port = 0;
  std::string user, password, database;
};

class Templates {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    // Of one template. When all are given out, the one that was given out longest ago and has no
    // sessions is reset and given out again; where there are plenty, already when half as many were
    // given out since.
    std::size_t max_databases = 500;
    // Of one template, at most: made, and woken, before somebody asks. Small pools have fewer.
    std::size_t ahead = 8;
    std::chrono::milliseconds finalize_timeout{60'000};  // that a test waits for its template
    std::size_t workers = 3;
  };
  // Called once, on any thread, under a lock: it must not block or call back.
  using Reply = std::function<void(Answer)>;

  Templates(Databases& databases, Options options);
  // Closes `databases` and ends the workers; calls that wait are answered 503.
  ~Templates();
  Templates(const Templates&) = delete;
  Templates& operator=(const Templates&) = delete;

  // Does not block. Any thread.
  void handle(const Call& call, Reach reach, Reply reply);

 private:
  struct Test;
  struct Waiter;
  struct Template;
  using TemplatePointer = std::shared_ptr<Template>;

  // --- Calls, under mutex_
  void initialize(const Call& call, const Reach& reach, const Reply& reply);
  void finalize(const TemplatePointer& one, const Reply& reply);
  void discard_all(Reply reply);
  void take(const TemplatePointer& one, Reach reach, Reply reply);
  void unlock(const TemplatePointer& one, int id, const Reply& reply);
  void recreate(const TemplatePointer& one, int id, const Reply& reply);

  // --- What follows from them, under mutex_
  void discard(const TemplatePointer& one, Reply reply);
  void serve(Template& one);
  void fill(const TemplatePointer& one);
  void make_new(const TemplatePointer& one);
  void finish(const TemplatePointer& one, int id, const Result<void>& made);
  void end_job(const TemplatePointer& one);
  void answer_waiters(Template& one, const Answer& answer);
  void expire_waiters();
  [[nodiscard]] bool is_old(const Template& one, std::optional<int> id) const;
  [[nodiscard]] std::size_t ahead() const;

  // --- Jobs of the workers
  void work();
  void post(std::function<void()> job);
  void create(const TemplatePointer& one, const Reach& reach, const Reply& reply);
  void make(const TemplatePointer& one, int id);
  void recycle(const TemplatePointer& one, std::size_t count);
  void reset(const TemplatePointer& one, int id, const Reply& reply);
  void drop(const TemplatePointer& one, const Reply& reply);

  Databases& databases_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, TemplatePointer, std::less<>> templates_;
  int last_number_ = 0;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace calf::pool
