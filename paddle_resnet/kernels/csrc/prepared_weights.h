// Weights of inference, prepared once: multiplied by the scale of their BN and in the layout and
// dtype of a primitive. For one image that takes longer than many of the convolutions.
//
// An optimizer, an average of weights or a user may change them unseen (Paddle counts no
// version for set_value and optimizers), so a checksum of weights and scales is compared at each
// call: one pass of reading.
#pragma once

#include <cstdint>
#include <functional>

// Returns the prepared weights of `user`, a primitive, for the `count` weights of `channels` output
// channels. `prepare` is called with the buffer of `bytes` if there are none, or if weights or scales
// have changed. Valid until the next call; not for several threads at a time.
const void* PreparedWeights(const void* user, const float* weights, int64_t count,
                            const float* scale, int64_t channels, size_t bytes,
                            const std::function<void(void*)>& prepare);
// Drops what was prepared of these weights, which are trained now; for null, everything.
void ForgetPrepared(const float* weights);

// Returns a number that differs, but for a chance of 2^-64, if any bit of the array does.
uint64_t Checksum(const float* data, int64_t count);
