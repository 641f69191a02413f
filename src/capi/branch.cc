// Branches, by the SQL functions of the schema `calf`, in sessions of their own.
#include <cstring>
#include <memory>

#include "capi/session_handle.h"

namespace calf::capi {
namespace {

using SessionHandle = std::unique_ptr<calf_session, decltype(&calf_session_close)>;

// Runs `sql` with `name`, if there is one, as the superuser.
calf_status run(calf_cluster* cluster, const char* sql, const char* name, calf_result** result,
                calf_error** error) {
  calf_session_options options = {};
  options.struct_size = sizeof options;
  options.user = "postgres";
  options.database = "postgres";
  calf_session* opened = nullptr;
  const calf_status status = calf_session_open(cluster, &options, &opened, error);
  if (status != CALF_OK) return status;
  const SessionHandle session(opened, &calf_session_close);
  const calf_parameter parameter = {.data = name,
                                    .size = name == nullptr ? 0 : std::strlen(name),
                                    .type = 0,
                                    .format = CALF_TEXT};
  return calf_query(session.get(), sql, &parameter, name == nullptr ? 0 : 1, CALF_TEXT, result,
                    error);
}

calf_status run_for(calf_cluster* cluster, const char* sql, const char* name, calf_error** error) {
  if (name == nullptr) {
    return guarded(error, []() -> Answer<calf_status> {
      return fail(CALF_ERROR_INVALID, "the branch's name is NULL");
    });
  }
  return run(cluster, sql, name, nullptr, error);
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_branch_create(calf_cluster* cluster, const char* name, calf_error** error) {
  return run_for(cluster, "select calf.branch($1)", name, error);
}

calf_status calf_branch_drop(calf_cluster* cluster, const char* name, calf_error** error) {
  return run_for(cluster, "select calf.drop_branch($1)", name, error);
}

calf_status calf_branch_reset(calf_cluster* cluster, const char* name, calf_error** error) {
  return run_for(cluster, "select calf.reset_branch($1)", name, error);
}

calf_status calf_branch_list(calf_cluster* cluster, calf_result** result, calf_error** error) {
  if (result != nullptr) *result = nullptr;
  return run(cluster, "select * from calf.branches()", nullptr, result, error);
}

}  // extern "C"
