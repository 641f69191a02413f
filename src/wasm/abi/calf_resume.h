/* What a function with a `resumable-call` (guest/README.md) asks of the host. The translator writes these declarations
 * into that function; objects of other functions do not depend on this file. */
#ifndef CALF_RESUME_H_
#define CALF_RESUME_H_

#include "calf_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Just before the call: the bits of all locals, then of the arguments that are not constant. Valid during the call. */
void calf_checkpoint_frame(const u64* values, u32 count);

/* When the function starts: NULL to start as usual, or `count` values as calf_checkpoint_frame was given them, to go on at
 * the call. The values must stay valid until that call. */
const u64* calf_resumed_frame(u32 count);

#ifdef __cplusplus
}
#endif

#endif /* CALF_RESUME_H_ */
