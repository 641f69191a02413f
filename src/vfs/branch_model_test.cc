// Random work on a directory and its branches, beside plain maps that say what they must contain.
// Between times the program is killed: its objects get no more writes through, and new ones take
// over what is on the disk.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/log.h"
#include "vfs/branched_directory.h"
#include "vfs/test_support.h"

namespace calf::vfs {
namespace {

using namespace test;

using Model = std::map<std::string, std::string>;  // path → contents

class BranchModel : public testing::TestWithParam<int> {
 public:
  struct Tree {
    std::string name, parent;
    Model model;
    std::shared_ptr<FileSystem> fs;
    std::map<std::string, std::unique_ptr<File>> open;  // kept open across branching
  };

  BranchModel() : random_(static_cast<uint32_t>(GetParam())) {
    start();
    trees_[""].fs = branched_->root();
  }
  // Programs that are killed complain.
  static void SetUpTestSuite() { log::configure({.level = log::Level::kOff}); }
  static void TearDownTestSuite() { log::configure({}); }
  ~BranchModel() override {
    for (auto& [name, tree] : trees_) tree.open.clear();
  }

  void start() {
    files_ = std::make_shared<MortalFiles>();
    branched_ = branched_directory(host_.path(), files_, "one boot");
  }
  uint64_t below(uint64_t n) { return random_() % n; }
  Tree& any_tree() {
    return std::next(trees_.begin(), static_cast<long>(below(trees_.size())))->second;
  }
  std::string any_path() { return (below(3) == 0 ? "d/" : "") + std::to_string(below(6)); }
  std::string text() {
    return std::string(1 + below(below(4) == 0 ? 60'000 : 3'000),
                       static_cast<char>('a' + below(26)));
  }

  File* file_of(Tree& tree, const std::string& path) {
    auto& file = tree.open[path];
    if (file == nullptr) {
      auto opened = tree.fs->open(path, {.access = Access::kReadWrite, .create = true});
      EXPECT_TRUE(opened);
      file = std::move(*opened);
      tree.model.try_emplace(path);
    }
    return file.get();
  }

  void write(Tree& tree) {
    const std::string path = any_path();
    File* file = file_of(tree, path);
    std::string& model = tree.model[path];
    const uint64_t at = below(3) == 0 ? model.size() : below(60'000);
    const std::string part = text();
    ASSERT_EQ(file->pwrite(bytes(part), at).value(), part.size());
    if (model.size() < at + part.size()) model.resize(at + part.size());
    model.replace(at, part.size(), part);
  }
  void truncate(Tree& tree) {
    const std::string path = any_path();
    File* file = file_of(tree, path);
    const uint64_t size = below(60'000);
    ASSERT_TRUE(file->truncate(size));
    tree.model[path].resize(size);
  }
  void allocate(Tree& tree) {
    const std::string path = any_path();
    File* file = file_of(tree, path);
    const uint64_t at = below(60'000), length = 1 + below(30'000);
    ASSERT_TRUE(file->allocate(at, length));
    std::string& model = tree.model[path];
    if (model.size() < at + length) model.resize(at + length);
  }
  void replace(Tree& tree) {  // opened with O_TRUNC
    const std::string path = any_path(), all = text();
    put(*tree.fs, path, all);
    tree.model[path] = all;
  }
  void unlink(Tree& tree) {
    const std::string path = any_path();
    EXPECT_EQ(tree.fs->unlink(path).has_value(), tree.model.erase(path) == 1);
    tree.open.erase(path);
  }
  void rename(Tree& tree) {
    const std::string from = any_path(), to = any_path();
    const bool there = tree.model.contains(from);
    EXPECT_EQ(tree.fs->rename(from, to).has_value(), there);
    if (!there || from == to) return;
    tree.model[to] = std::move(tree.model[from]);
    tree.model.erase(from);
    tree.open.erase(to);
    tree.open[to] = std::move(tree.open[from]);
    tree.open.erase(from);
  }
  void sync(Tree& tree) { ASSERT_TRUE(file_of(tree, any_path())->sync(File::SyncKind::kAll)); }
  void branch(Tree& tree) {
    if (trees_.size() > 6) return;
    Tree fresh{.name = "b" + std::to_string(++branches_), .parent = tree.name, .model = tree.model};
    auto made = branched_->create({.name = fresh.name, .parent = tree.name});
    ASSERT_TRUE(made) << made.error().to_string();
    // The newest one that is durable keeps what the parent overwrites for the older ones.
    if (below(3) != 0) ASSERT_TRUE(branched_->make_durable(fresh.name));
    fresh.fs = *made;
    trees_[fresh.name] = std::move(fresh);
  }
  void drop(Tree& tree) {
    if (tree.name.empty()) return;
    for (auto& [name, other] : trees_)
      if (other.parent == tree.name) return;
    const std::string name = tree.name;
    trees_.erase(name);
    ASSERT_TRUE(branched_->drop(name));
  }
  void kill() {
    files_->dead = true;
    for (auto& [name, tree] : trees_) {
      tree.open.clear();
      tree.fs.reset();
    }
    branched_.reset();
    start();
    for (auto& [name, tree] : trees_) {
      if (name.empty()) {
        tree.fs = branched_->root();
      } else {
        auto opened = branched_->open_branch(name);
        ASSERT_TRUE(opened) << opened.error().to_string();
        tree.fs = *opened;
      }
    }
  }
  void check(Tree& tree) {
    for (auto& [path, contents] : tree.model) {
      ASSERT_EQ(tree.fs->stat(path, Follow::kNo)->size_bytes, contents.size());
      const std::string found = get(*tree.fs, path);
      const auto differ = std::ranges::mismatch(found, contents).in1 - found.begin();
      ASSERT_TRUE(found == contents) << path << " of \"" << tree.name << "\" differs at " << differ;
      auto open = tree.open.find(path);
      if (open != tree.open.end() && open->second) ASSERT_TRUE(get(*open->second) == contents);
    }
    for (const char* directory : {"", "d"}) {
      for (const std::string& name : list(*tree.fs->open(directory, {.directory = true}).value())) {
        if (name == "." || name == ".." || name == "d") continue;
        ASSERT_TRUE(tree.model.contains(*directory == 'd' ? "d/" + name : name)) << name;
      }
    }
  }

  TemporaryDirectory host_;
  std::shared_ptr<MortalFiles> files_;
  std::unique_ptr<BranchedDirectory> branched_;
  std::map<std::string, Tree> trees_;
  std::mt19937 random_;
  int branches_ = 0;
};

TEST_P(BranchModel, trees_contain_what_was_written_to_them) {
  ASSERT_TRUE(trees_[""].fs->mkdir("d", 0700));
  using Step = void (BranchModel::*)(Tree&);
  const std::vector<Step> steps = {
      &BranchModel::write,    &BranchModel::write,   &BranchModel::write,    &BranchModel::write,
      &BranchModel::truncate, &BranchModel::replace, &BranchModel::allocate, &BranchModel::unlink,
      &BranchModel::rename,   &BranchModel::branch,  &BranchModel::sync};
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + ", step " + std::to_string(i));
    (this->*steps[below(steps.size())])(any_tree());
    if (below(40) == 0) drop(any_tree());
    if (below(60) == 0) kill();
    if (below(5) == 0) check(any_tree());
    if (HasFatalFailure()) return;
  }
  for (auto& [name, tree] : trees_) check(tree);
}

INSTANTIATE_TEST_SUITE_P(Seeds, BranchModel, testing::Range(1, 13));

}  // namespace
}  // namespace calf::vfs
