#include "compile.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>

#include "sha256.h"
#include "wasm_module.h"

namespace calf::translator {
namespace fs = std::filesystem;
namespace {

struct Job {
  fs::path source, object;
  std::string name;
  uintmax_t size = 0;
};

std::string content(const fs::path& path) {
  std::vector<uint8_t> bytes = read_file(path.string());
  return {bytes.begin(), bytes.end()};
}

// Starts a program; its working directory is `directory`.
pid_t start(const std::vector<std::string>& command, const fs::path& directory) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::string where = directory.string();
  pid_t pid = fork();
  if (pid < 0) fail("cannot fork");
  if (pid > 0) return pid;
  if (chdir(where.c_str()) == 0) execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "cannot run %s: %s\n", arguments[0], std::strerror(errno));
  _exit(127);
}

std::string compiler_version(const std::string& compiler) {
  std::string out;
  FILE* pipe = popen((compiler + " --version").c_str(), "r");
  if (!pipe) fail("cannot run " + compiler);
  char buffer[256];
  while (size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  if (pclose(pipe) != 0) fail("cannot run " + compiler);
  return out;
}

class Driver {
 public:
  explicit Driver(const CompileOptions& options)
      : options_(options), directory_(fs::absolute(options.sources)) {
    common_ = compiler_version(options.compiler);
    for (const std::string& flag : options.flags) common_ += flag + '\0';
    for (const std::string& include : options.includes) common_ += content(include) + '\0';
    if (!options.profile.empty()) common_ += "profile\0" + content(options.profile);
  }

  void run() {
    plan();
    size_t total = missing_.size();
    std::printf("compiling %zu of %zu files of %s, the others are cached\n", total, objects_.size(),
                directory_.filename().c_str());
    std::fflush(stdout);
    while (!missing_.empty() || !running_.empty()) {
      while (!failed_ && !missing_.empty() && running_.size() < options_.jobs) start_next();
      if (running_.empty()) break;
      finish_one(total);
    }
    if (failed_) fail("the generated code does not compile");
    archive();
  }

 private:
  void plan() {
    std::vector<fs::path> sources;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      if (entry.path().extension() == ".c") sources.push_back(entry.path());
    }
    std::sort(sources.begin(), sources.end());
    for (const fs::path& source : sources) {
      std::string key = sha256_hex(common_ + content(source));
      Job job;
      job.source = source;
      job.name = source.filename().string();
      job.object = fs::path(options_.cache) / "objects" / key.substr(0, 2) / (key + ".o");
      job.size = fs::file_size(source);
      objects_.push_back({source.stem().string() + ".o", job.object});
      if (!fs::exists(job.object)) missing_.push_back(job);
    }
    // The biggest first, so that no long one is left for the end.
    std::sort(missing_.begin(), missing_.end(), [](const Job& a, const Job& b) {
      return std::tie(a.size, a.name) < std::tie(b.size, b.name);
    });
  }

  static fs::path temporary(const fs::path& object) {
    return object.string() + '.' + std::to_string(getpid()) + ".tmp";
  }

  void start_next() {
    Job job = missing_.back();
    missing_.pop_back();
    fs::create_directories(job.object.parent_path());
    std::vector<std::string> command = {options_.compiler};
    command.insert(command.end(), options_.flags.begin(), options_.flags.end());
    for (const std::string& include : options_.includes) {
      command.push_back("-I" + fs::absolute(include).parent_path().string());
    }
    if (!options_.profile.empty())
      command.push_back("-fprofile-use=" + fs::absolute(options_.profile).string());
    command.insert(command.end(), {"-c", job.name, "-o", temporary(job.object).string()});
    pid_t pid = start(command, directory_);
    running_[pid] = {job, std::chrono::steady_clock::now()};
  }

  void finish_one(size_t total) {
    int status = 0;
    pid_t pid = wait(&status);
    auto at = running_.find(pid);
    if (at == running_.end()) return;
    auto [job, begun] = at->second;
    running_.erase(at);
    if (status != 0) {
      failed_ = true;
      std::fprintf(stderr, "failed: %s\n", job.name.c_str());
      fs::remove(temporary(job.object));
      return;
    }
    fs::rename(temporary(job.object), job.object);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
    std::printf("[%zu/%zu] %s %.1f s\n", ++finished_, total, job.name.c_str(), seconds.count());
    std::fflush(stdout);
  }

  void archive() {
    fs::path library = fs::absolute(options_.library), objects = library.string() + ".objects";
    fs::remove_all(objects);
    fs::create_directories(objects);
    std::vector<std::string> command = {options_.archiver, "qcs", library.string() + ".tmp"};
    for (const auto& [name, object] : objects_) {
      std::error_code error;
      fs::create_hard_link(object, objects / name, error);
      if (error) fs::copy_file(object, objects / name);
      command.push_back(name);
    }
    fs::remove(library.string() + ".tmp");
    int status = 0;
    waitpid(start(command, objects), &status, 0);
    if (status != 0) fail("cannot write " + library.string());
    fs::rename(library.string() + ".tmp", library);
    fs::remove_all(objects);
  }

  const CompileOptions& options_;
  fs::path directory_;
  std::string common_;
  std::vector<Job> missing_;
  std::vector<std::pair<std::string, fs::path>> objects_;
  std::map<pid_t, std::pair<Job, std::chrono::steady_clock::time_point>> running_;
  size_t finished_ = 0;
  bool failed_ = false;
};

}  // namespace

void compile_sources(const CompileOptions& options) {
  Driver(options).run();
}

}  // namespace calf::translator
