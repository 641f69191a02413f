#include "cli/check_command.h"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <set>

#include "cli/amcheck.h"
#include "cli/check_report.h"
#include "cli/interrupter.h"
#include "cli/progress.h"
#include "cli/ready.h"
#include "os/files.h"
#include "pgfiles/relation_files.h"
#include "vfs/directory_file_system.h"

namespace calf::cli {
namespace {

// Without what would be in the way of looking.
const std::vector<std::pair<std::string, std::string>> kSettings = {{"autovacuum", "off"},
                                                                    {"max_parallel_workers", "0"}};

// What is checked: the files while no cluster runs on them, and a cluster on them.
class Subject {
 public:
  virtual ~Subject() = default;
  // Valid until open().
  virtual Result<vfs::FileSystem*> files() = 0;
  virtual Result<OpenedCluster> open() = 0;
};

class DirectorySubject final : public Subject {
 public:
  explicit DirectorySubject(std::filesystem::path path) : path_(std::move(path)) {}

  Result<vfs::FileSystem*> files() override {
    CALF_TRY(owner_, own_directory(path_));
    CALF_TRY(files_, vfs::DirectoryFileSystem::open({.path = path_.string(),
                                                     .files = std::make_shared<os::SystemFiles>(),
                                                     .read_only = true}));
    return files_.get();
  }
  Result<OpenedCluster> open() override {
    files_.reset();
    owner_.reset();  // the cluster owns it
    return open_cluster({.location = DirectoryLocation{path_}, .settings = kSettings});
  }

 private:
  const std::filesystem::path path_;
  std::unique_ptr<DirectoryOwner> owner_;
  std::unique_ptr<vfs::DirectoryFileSystem> files_;
};

class BranchSubject final : public Subject {
 public:
  BranchSubject(std::filesystem::path path, std::string name)
      : path_(std::move(path)), name_(std::move(name)) {}

  Result<vfs::FileSystem*> files() override {
    if (view_ == nullptr) {
      CALF_TRY(view_, view_branch(path_, name_));
    }
    return &view_->files();
  }
  Result<OpenedCluster> open() override { return view_->open(kSettings); }

 private:
  const std::filesystem::path path_;
  const std::string name_;
  std::unique_ptr<BranchView> view_;
};

std::unique_ptr<Subject> subject_of(const CheckOptions& options) {
  if (options.branch.empty()) return std::make_unique<DirectorySubject>(options.directory);
  return std::make_unique<BranchSubject>(options.directory, options.branch);
}

class Check {
 public:
  explicit Check(const CheckOptions& options)
      : subject_(subject_of(options)),
        user_(options.user),
        progress_("reading pages", &signals_, options.json || options.quiet) {
    report_.directory = options.directory.string();
    report_.branch = options.branch;
  }

  Result<CheckReport> run() {
    CALF_CHECK_OK(look_at_files());
    CALF_CHECK_OK(look_inside());
    set_leftovers_apart();
    progress_.clear();
    return std::move(report_);
  }

 private:
  using Files = std::vector<pgfiles::RelationFile>;

  // Pages that were being written when the cluster died may be torn until recovery has mended them.
  Result<void> look_at_files() {
    CALF_TRY(vfs::FileSystem * data, subject_->files());
    auto control = pgfiles::read_control_file(*data);
    if (!control) {
      add({.where = "control file",
           .file = pgfiles::kControlFile,
           .message = control.error().message});
      can_start_ = false;
      return look_at_pages(*data,
                           {.data_checksums = true, .segment_pages = pgfiles::kUsualSegmentPages});
    }
    report_.state = control->state;
    if (!control->clean_shutdown) {
      can_start_ = recover();
      if (!can_start_) return {};
      CALF_TRY(data, subject_->files());
      CALF_TRY(*control, pgfiles::read_control_file(*data));
    }
    report_.page_checksums = control->data_checksums;
    return look_at_pages(*data, *control);
  }

  // False when the cluster does not start; that is in the report then.
  bool recover() {
    progress_.say("recovering: the cluster was not shut down");
    auto cluster = subject_->open();
    auto stopped = cluster ? cluster->engine->shutdown(server::ShutdownMode::kSmart)
                           : Result<void>(fail(cluster.error()));
    if (!stopped) {
      add({.where = "cluster", .message = "recovery failed: " + stopped.error().message});
      return false;
    }
    report_.recovered = true;
    return true;
  }

  Result<void> look_at_pages(vfs::FileSystem& data, const pgfiles::ControlFile& control) {
    CALF_TRY(const Files files, pgfiles::list_relation_files(data));
    uint64_t total = 0;
    for (const auto& file : files) total += file.size_bytes;
    const auto say = [&](uint64_t done) {
      return progress_.report(done, total, Progress::Clock::now()).has_value();
    };
    CALF_TRY(auto checked, pgfiles::check_pages(data, control, files, say));
    report_.files = files.size();
    report_.pages = checked.pages;
    report_.problems_not_listed += checked.problems_not_listed;
    for (auto& problem : checked.problems) {
      page_problems_.push_back({report_.problems.size(), problem.file});
      add({.where = "page",
           .file = problem.file.path,
           .block = problem.block,
           .message = std::move(problem.message)});
    }
    return {};
  }

  // What the pages say, by PostgreSQL itself. A cluster that does not start is a finding.
  Result<void> look_inside() {
    if (!can_start_) return {};
    auto cluster = subject_->open();
    if (!cluster) {
      add({.where = "cluster", .message = "does not start: " + cluster.error().message});
      return {};
    }
    auto looked = look_into_databases(*cluster->engine);
    auto stopped = cluster->engine->shutdown(server::ShutdownMode::kSmart);
    CALF_CHECK_OK(looked);
    if (!stopped) add({.where = "cluster", .message = "does not stop: " + stopped.error().message});
    return {};
  }

  Result<void> look_into_databases(server::Engine& engine) {
    std::vector<std::vector<std::string>> databases;
    {
      auto session =
          client::Session::connect(engine, {.user = user_, .application_name = "calf check"});
      auto listed = session ? query_rows(**session,
                                         "select oid, datname from pg_database where datallowconn "
                                         "order by oid")
                            : fail(session.error());
      if (!listed) {
        add({.where = "cluster",
             .message = "its databases cannot be listed: " + listed.error().message});
        return {};
      }
      databases = std::move(*listed);
    }
    for (const auto& database : databases) {
      const auto done = look_into(engine, database[0], database[1]);
      if (!done && done.error().code == ErrorCode::kCancelled) return done;
      if (!done)
        add({.where = "database", .database = database[1], .message = done.error().message});
    }
    return {};
  }

  Result<void> look_into(server::Engine& engine, const std::string& oid, const std::string& name) {
    CALF_TRY(auto session,
             client::Session::connect(
                 engine, {.user = user_, .database = name, .application_name = "calf check"}));
    const Interrupter interrupter(signals_, engine, *session);
    const auto done = run_amcheck(
        *session, name,
        [&](const std::string& relation) {
          progress_.say(fmt::format("database {}: {}", name, relation));
          return interrupter.signal() == 0;
        },
        report_);
    if (interrupter.signal() != 0) return fail(ErrorCode::kCancelled, "interrupted");
    CALF_CHECK_OK(done);
    return name_pages(*session, oid, name);
  }

  // Whose pages they are: the catalogs of this database know its own, and the shared ones.
  Result<void> name_pages(client::Session& session, const std::string& oid,
                          const std::string& name) {
    constexpr uint32_t kGlobalTablespace = 1664;
    for (const auto& [index, file] : page_problems_) {
      CheckProblem& problem = report_.problems[index];
      const bool shared = file.database == 0;
      if (!problem.relation.empty() || (!shared && std::to_string(file.database) != oid)) continue;
      CALF_TRY(
          const auto relation,
          query_value(session,
                      fmt::format("select format('%I.%I', relnamespace::regnamespace, "
                                  "relname) from pg_class where oid = "
                                  "pg_filenode_relation({}, {})",
                                  shared ? kGlobalTablespace : file.tablespace, file.file_number)));
      if (relation) problem.relation = *relation;
      if (!shared) problem.database = name;
      if (!shared && !relation) left_over_.insert(index);
    }
    return {};
  }

  // A table whose creation was never committed leaves its files behind when the cluster crashes,
  // with anything in them: PostgreSQL does not look at them any more.
  void set_leftovers_apart() {
    std::vector<CheckProblem> problems;
    for (size_t i = 0; i < report_.problems.size(); ++i) {
      CheckProblem& each = report_.problems[i];
      if (!left_over_.contains(i)) {
        problems.push_back(std::move(each));
      } else if (report_.leftovers.empty() || report_.leftovers.back() != each.file) {
        report_.leftovers.push_back(each.file);
      }
    }
    report_.problems = std::move(problems);
  }

  void add(CheckProblem problem) { report_.problems.push_back(std::move(problem)); }

  struct PageProblem {
    size_t index;  // in the report
    pgfiles::RelationFile file;
  };

  const std::unique_ptr<Subject> subject_;
  const std::string user_;
  Signals signals_;
  Progress progress_;
  bool can_start_ = true;  // as far as is known
  CheckReport report_;
  std::vector<PageProblem> page_problems_;
  std::set<size_t> left_over_;  // of report_.problems
};

}  // namespace

int run_check(const CheckOptions& options) {
  auto report = Check(options).run();
  if (!report) {
    std::fprintf(stderr, "calf: %s\n", report.error().message.c_str());
    if (!report.error().hint.empty())
      std::fprintf(stderr, "HINT:  %s\n", report.error().hint.c_str());
    if (options.json) std::fputs(failure_json(report.error()).c_str(), stdout);
    return 1;
  }
  std::fputs((options.json ? check_json(*report) : check_text(*report)).c_str(), stdout);
  return report->sound() ? 0 : 1;
}

}  // namespace calf::cli
