#include "calf/calf.h"

extern "C" {

const char* calf_version(void) {
  return CALF_VERSION;
}

int calf_abi_version(void) {
  return CALF_ABI_VERSION;
}

const char* calf_postgres_version(void) {
  return "18.6";
}

}  // extern "C"
